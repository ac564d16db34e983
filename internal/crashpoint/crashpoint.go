// Package crashpoint names the moments at which a crash must do no harm, so
// that tests can kill the process at each of them. Only a binary built with
// the tag crashpoints can be told to die; in any other, [Here] is empty.
package crashpoint

// Point is a named moment.
type Point string

// The points, along the way of a mail.
const (
	Accepting  Point = "accepting"  // a sign-up is written and not committed
	Accepted   Point = "accepted"   // committed and not answered
	Relayed    Point = "relayed"    // the message is sent and the mail not marked
	Marked     Point = "marked"     // the mail is marked queued
	Received   Point = "received"   // a message is taken and its mail not claimed
	Claimed    Point = "claimed"    // the mail is claimed and nothing dialled
	Begun      Point = "begun"      // the content is with the server, the dot is not
	Committed  Point = "committed"  // committing is on disk and the dot not written
	Dotted     Point = "dotted"     // the dot is written and its answer not read
	Replied    Point = "replied"    // the answer is read and not recorded
	Recorded   Point = "recorded"   // the outcome is on disk and the message still there
	Completed  Point = "completed"  // the message is gone
	Committing Point = "committing" // a group is written and not committed, in either database
	Synced     Point = "synced"     // a group is committed and nobody told
)

// The points of what people do with their mail.
const (
	Redeeming Point = "redeeming" // a link or code is used, its session opened, and nothing committed
	Redeemed  Point = "redeemed"  // committed and not answered
	Erasing   Point = "erasing"   // a person is erased and it is not committed
)

// AccountPoints lists those that are only come to where people redeem, or are
// erased.
func AccountPoints() []Point { return []Point{Redeeming, Redeemed, Erasing} }

// Points lists those along the way of a mail.
func Points() []Point {
	return []Point{
		Accepting, Accepted, Relayed, Marked, Received, Claimed, Begun, Committed,
		Dotted, Replied, Recorded, Completed, Committing, Synced,
	}
}

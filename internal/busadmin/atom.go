package busadmin

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"bellhop/internal/bus"
)

// place is where a request was sent to, as answers repeat it.
type place struct {
	root    string // such as https://localhost:5672/
	version string // of the API, as it was asked for
	name    string // of the namespace
}

func placeOf(r *http.Request) place {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	p := place{root: scheme + "://" + r.Host + "/", version: r.URL.Query().Get("api-version"), name: hostname(r.Host)}
	if _, err := netip.ParseAddr(p.name); err != nil {
		p.name, _, _ = strings.Cut(p.name, ".")
	}
	return p
}

// url is the address of what is at path. query ends with & or is empty.
func (p place) url(path, query string) string {
	return p.root + path + "?" + query + "api-version=" + url.QueryEscape(p.version)
}

type atomText struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	HREF string `xml:"href,attr"`
}

// atomEntry describes one thing. SDKs for Go take a queue's name from the
// title, those for JavaScript from the path of the id.
type atomEntry struct {
	XMLName   xml.Name    `xml:"entry"`
	Xmlns     string      `xml:"xmlns,attr"`
	ID        string      `xml:"id"`
	Title     atomText    `xml:"title"`
	Published string      `xml:"published"`
	Updated   string      `xml:"updated"`
	Author    string      `xml:"author>name"`
	Link      atomLink    `xml:"link"`
	Content   atomContent `xml:"content"`
}

type atomContent struct {
	Type      string `xml:"type,attr"`
	Queue     *queueDescription
	Namespace *namespaceInfo
}

// atomFeed is a page of a list. JavaScript's SDK sees the link to the next page
// only among two links or more.
type atomFeed struct {
	XMLName xml.Name    `xml:"feed"`
	Xmlns   string      `xml:"xmlns,attr"`
	Title   atomText    `xml:"title"`
	ID      string      `xml:"id"`
	Updated string      `xml:"updated"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

// queueDescription has its elements in the documented order, which some clients
// need. JavaScript's SDK cannot do without most of them.
type queueDescription struct {
	XMLName                             xml.Name `xml:"QueueDescription"`
	Xmlns                               string   `xml:"xmlns,attr"`
	Instance                            string   `xml:"xmlns:i,attr"`
	LockDuration                        string
	MaxSizeInMegabytes                  int64
	RequiresDuplicateDetection          bool
	RequiresSession                     bool
	DefaultMessageTimeToLive            string
	DeadLetteringOnMessageExpiration    bool
	DuplicateDetectionHistoryTimeWindow string
	MaxDeliveryCount                    int
	EnableBatchedOperations             bool
	SizeInBytes                         int64
	MessageCount                        int64
	IsAnonymousAccessible               bool
	AuthorizationRules                  authorizationRules
	Status                              string
	UserMetadata                        string `xml:",omitempty"`
	CreatedAt                           string
	UpdatedAt                           string
	AccessedAt                          string
	SupportOrdering                     bool
	CountDetails                        countDetails
	AutoDeleteOnIdle                    string
	EnablePartitioning                  bool
	EntityAvailabilityStatus            string
	EnableExpress                       bool
	MaxMessageSizeInKilobytes           int
}

type authorizationRules struct {
	Rules []authorizationRule `xml:"AuthorizationRule"`
}

// countDetails always has all five, and exactly one attribute: the SDKs fail
// otherwise.
type countDetails struct {
	Xmlns              string `xml:"xmlns:d2p1,attr"`
	Active             int64  `xml:"d2p1:ActiveMessageCount"`
	DeadLetter         int64  `xml:"d2p1:DeadLetterMessageCount"`
	Scheduled          int64  `xml:"d2p1:ScheduledMessageCount"`
	Transfer           int64  `xml:"d2p1:TransferMessageCount"`
	TransferDeadLetter int64  `xml:"d2p1:TransferDeadLetterMessageCount"`
}

type namespaceInfo struct {
	XMLName       xml.Name `xml:"NamespaceInfo"`
	Xmlns         string   `xml:"xmlns,attr"`
	Instance      string   `xml:"xmlns:i,attr"`
	CreatedTime   string
	MessagingSKU  string
	ModifiedTime  string
	Name          string
	NamespaceType string
}

// entry describes a queue.
func (p place) entry(q *bus.Queue, maxMessageBytes int) atomEntry {
	e := p.bare(q.Name, q.Created, q.Updated)
	e.Content.Queue = describe(q, maxMessageBytes)
	return e
}

// bare is an entry without content.
func (p place) bare(name string, created, updated time.Time) atomEntry {
	self := p.url(name, "")
	return atomEntry{
		Xmlns: atomSpace, ID: self, Title: atomText{"text", name}, Published: timestamp(created), Updated: timestamp(updated),
		Author: p.name, Link: atomLink{"self", self}, Content: atomContent{Type: "application/xml"},
	}
}

// feed is the page of a list that begins at skip. more tells of a next one, at
// next.
func (p place) feed(path string, skip, top, next int, more bool, now time.Time) atomFeed {
	self := p.url(path, fmt.Sprintf("%%24skip=%d&%%24top=%d&", skip, top))
	f := atomFeed{
		Xmlns: atomSpace, Title: atomText{"text", path[strings.LastIndexByte(path, '/')+1:]}, ID: self, Updated: timestamp(now),
		Links: []atomLink{{"self", self}},
	}
	if more {
		f.Links = append(f.Links, atomLink{"next", p.url(path, fmt.Sprintf("%%24skip=%d&%%24top=%d&", next, top))})
	}
	return f
}

// describe is a queue as the admin API tells it.
func describe(q *bus.Queue, maxMessageBytes int) *queueDescription {
	s, w, c := &q.Settings, wordingOf(q.Settings), q.Counts
	d := &queueDescription{
		Xmlns: serviceSpace, Instance: instanceSpace,
		LockDuration: worded(w.LockDuration, s.LockDuration), MaxDeliveryCount: s.MaxDeliveryCount,
		MaxSizeInMegabytes: maxMegabytes, EnableBatchedOperations: !w.Unbatched,
		DefaultMessageTimeToLive: worded(w.DefaultMessageTimeToLive, orForever(s.DefaultTTL)), DeadLetteringOnMessageExpiration: s.DeadLetterOnExpiration,
		RequiresDuplicateDetection: s.DuplicateWindow > 0, DuplicateDetectionHistoryTimeWindow: defaultWindow,
		SizeInBytes: q.SizeBytes, MessageCount: c.Active + c.Deferred + c.Scheduled + c.DeadLetter,
		AuthorizationRules: authorizationRules{w.AuthorizationRules}, Status: statusNames[s.Status], UserMetadata: s.UserMetadata,
		CreatedAt: timestamp(q.Created), UpdatedAt: timestamp(q.Updated), AccessedAt: timestamp(q.Accessed), SupportOrdering: true,
		CountDetails:     countDetails{Xmlns: countsSpace, Active: c.Active, DeadLetter: c.DeadLetter, Scheduled: c.Scheduled},
		AutoDeleteOnIdle: foreverText, EntityAvailabilityStatus: "Available", MaxMessageSizeInKilobytes: maxMessageBytes >> 10,
	}
	if s.MaxSizeBytes > 0 {
		d.MaxSizeInMegabytes = min(max(s.MaxSizeBytes>>20, 1), maxMegabytes)
	}
	switch {
	case s.DuplicateWindow > 0:
		d.DuplicateDetectionHistoryTimeWindow = worded(w.DuplicateWindow, s.DuplicateWindow)
	case w.DuplicateWindow != "":
		d.DuplicateDetectionHistoryTimeWindow = w.DuplicateWindow
	}
	for i := range d.AuthorizationRules.Rules {
		d.AuthorizationRules.Rules[i].Type = sharedAccess
	}
	return d
}

// orForever is a time to live of the bus, where 0 has no end.
func orForever(ttl time.Duration) time.Duration {
	if ttl == 0 {
		return forever
	}
	return ttl
}

// timestamp is a time of the admin API, the year 1 for never.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return "0001-01-01T00:00:00"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

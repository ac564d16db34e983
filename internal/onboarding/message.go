package onboarding

import (
	"fmt"
	"strconv"
	"time"

	"bellhop/internal/queue"
)

// The properties of a message. A mail's message has mail and gen, a marker has
// marker. There is no body.
const (
	propMail   = "mail"
	propGen    = "gen"
	propMarker = "marker"
)

// message is the decoded form of what travels in a lane.
type message struct {
	ref    Ref
	marker time.Time // when a marker was sent; zero for a mail
}

// mailMessage is the message that stands for a mail in its lane.
func mailMessage(id string, ref Ref) queue.Message {
	return queue.Message{ID: id, Properties: map[string]string{
		propMail: string(ref.Mail),
		propGen:  strconv.FormatInt(ref.Gen, 10),
	}}
}

// markerMessage proves, by arriving, that a lane's messages come through.
func markerMessage(id string, sent time.Time) queue.Message {
	return queue.Message{ID: id, Properties: map[string]string{
		propMarker: strconv.FormatInt(sent.UnixMicro(), 10),
	}}
}

func decodeMessage(m queue.Message) (message, error) {
	if text, ok := m.Properties[propMarker]; ok {
		micros, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return message{}, fmt.Errorf("property %q: want microseconds since 1970", propMarker)
		}
		return message{marker: time.UnixMicro(micros)}, nil
	}
	id := MailID(m.Properties[propMail])
	if _, _, _, err := id.Parse(); err != nil {
		return message{}, fmt.Errorf("property %q: %w", propMail, err)
	}
	gen, err := strconv.ParseInt(m.Properties[propGen], 10, 64)
	if err != nil || gen < 1 {
		return message{}, fmt.Errorf("property %q: want a generation of 1 or more", propGen)
	}
	return message{ref: Ref{Mail: id, Gen: gen}}, nil
}

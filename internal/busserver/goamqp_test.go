package busserver

import (
	"errors"
	"fmt"

	goamqp "github.com/Azure/go-amqp"

	"bellhop/internal/amqp"
)

// What go-amqp, the library below the SDK, can do and the SDK does not.

func transport(secure, loopback bool) amqp.Transport {
	return amqp.Transport{Secure: secure, Loopback: loopback}
}

// root is the root's password.
func (r *rig) root() goamqp.SASLType {
	root := r.keys.Root()
	return goamqp.SASLTypePlain(root.Name, root.Key)
}

func (r *rig) dial(sasl goamqp.SASLType) *goamqp.Conn {
	r.Helper()
	conn, err := goamqp.Dial(r.ctx, "amqp://"+r.addr, &goamqp.ConnOptions{SASLType: sasl})
	r.must(err)
	r.Cleanup(func() { _ = conn.Close() })
	return conn
}

// session is one of a connection with the root's password.
func (r *rig) session() *goamqp.Session {
	r.Helper()
	session, err := r.dial(r.root()).NewSession(r.ctx, nil)
	r.must(err)
	return session
}

// condition compares the condition of an AMQP error.
func (r *rig) condition(err error, want goamqp.ErrCond) {
	r.Helper()
	var e *goamqp.Error
	if !errors.As(err, &e) || e.Condition != want {
		r.Errorf("got the error %v, want %s", err, want)
	}
}

// awaitDetach sends until the sender's link has ended, and returns why.
func (r *rig) awaitDetach(s *goamqp.Sender) error {
	r.Helper()
	for {
		err := s.Send(r.ctx, goamqp.NewMessage([]byte("still there")), nil)
		var link *goamqp.LinkError
		if errors.As(err, &link) || r.ctx.Err() != nil {
			return err
		}
	}
}

// caller is a pair of links for requests.
type caller struct {
	to   *goamqp.Sender
	from *goamqp.Receiver
	name string
	n    int
}

func (r *rig) caller(conn *goamqp.Conn, node string) *caller {
	r.Helper()
	session, err := conn.NewSession(r.ctx, nil)
	r.must(err)
	c := &caller{name: "replies"}
	c.to, err = session.NewSender(r.ctx, node, nil)
	r.must(err)
	c.from, err = session.NewReceiver(r.ctx, node, &goamqp.ReceiverOptions{
		TargetAddress: c.name, SettlementMode: goamqp.ReceiverSettleModeFirst.Ptr(), RequestedSenderSettleMode: goamqp.SenderSettleModeSettled.Ptr(), Credit: 10,
	})
	r.must(err)
	return c
}

// call sends a request and returns the answer.
func (r *rig) call(c *caller, m *goamqp.Message) (status int32, answer *goamqp.Message) {
	r.Helper()
	c.n++
	m.Properties = &goamqp.MessageProperties{MessageID: fmt.Sprint("request ", c.n), ReplyTo: &c.name}
	r.must(c.to.Send(r.ctx, m, nil))
	answer, err := c.from.Receive(r.ctx, nil)
	r.must(err)
	if answer.Properties.CorrelationID != m.Properties.MessageID {
		r.Errorf("the answer is to %v, the request was %v", answer.Properties.CorrelationID, m.Properties.MessageID)
	}
	status, _ = answer.ApplicationProperties["statusCode"].(int32)
	return status, answer
}

func tokenRequest(audience string, token any) *goamqp.Message {
	return &goamqp.Message{
		ApplicationProperties: map[string]any{"operation": "put-token", "type": tokenSAS, "name": audience}, Value: token,
	}
}

func (r *rig) putToken(c *caller, audience, token string) {
	r.Helper()
	if status, answer := r.call(c, tokenRequest(audience, token)); status != 202 || answer.ApplicationProperties["status-code"] != int32(202) {
		r.Fatalf("put token: %v", answer.ApplicationProperties)
	}
}

// operate sends a request to $management.
func (r *rig) operate(c *caller, operation string, body any) (status int32, answer *goamqp.Message) {
	r.Helper()
	return r.call(c, &goamqp.Message{ApplicationProperties: map[string]any{"operation": operation}, Value: body})
}

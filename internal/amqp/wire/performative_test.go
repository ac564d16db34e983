package wire

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// performatives are bodies of AMQP frames with the bytes written by hand.
var performatives = []struct {
	name, hex string
	p         Performative
}{
	{"open, the least", "00 53 10 c0 04 01 a1 01 63", &Open{ContainerID: "c"}},
	{"open", "00 53 10 c0 3a 0a a1 01 63 a1 01 68 70 00010000 60 1387 70 0003a980 40" +
		"e0 04 01 a3 01 6c" + "e0 07 02 a3 01 61 02 6262" + "e0 04 01 a3 01 64" + "c1 06 02 a3 01 6b 5201",
		&Open{"c", "h", Some[uint32](65536), Some[uint16](4999), 240000, nil, []Symbol{"l"}, []Symbol{"a", "bb"}, []Symbol{"d"}, Map{{Symbol("k"), uint32(1)}}}},
	{"begin, the answer", "00 53 11 c0 0e 05 60 0000 43 70 00001388 5201 52ff", &Begin{RemoteChannel: Some[uint16](0), IncomingWindow: 5000, OutgoingWindow: 1, HandleMax: Some[uint32](255)}},
	{"begin", "00 53 11 c0 07 04 40 5201 5202 43", &Begin{NextOutgoingID: 1, IncomingWindow: 2}},
	{"attach, refused", "00 53 12 c0 06 03 a1 01 6e 43 42", &Attach{Name: "n"}},
	{"attach", "00 53 12 c0 39 0e a1 01 6e 5207 41 50 00 50 01" +
		"00 53 28 c0 04 01 a1 01 71" + "00 53 29 45" + "c1 01 00 41 43 53ff" + "40" + "40" + "c1 0d 02 a3 01 78 80 000000137000000c",
		&Attach{Name: "n", Handle: 7, Role: RoleReceiver, SenderSettleMode: Some(SenderUnsettled), ReceiverSettleMode: Some(ReceiverSecond),
			Source: &Source{Address: Some("q")}, Target: &Target{}, Unsettled: Map{}, IncompleteUnsettled: true,
			InitialDeliveryCount: Some[uint32](0), MaxMessageSize: 255, Properties: Map{{Symbol("x"), uint64(0x137000000c)}}}},
	{"attach to the coordinator", "00 53 12 c0 11 07 a1 01 6e 43 42 40 40 40 00 53 30 c0 01 00", &Attach{Name: "n", Coordinator: &Coordinator{}}},
	{"flow of a session", "00 53 13 c0 06 04 43 5201 5202 5203", &Flow{NextIncomingID: Some[uint32](0), IncomingWindow: 1, NextOutgoingID: 2, OutgoingWindow: 3}},
	{"flow of a link", "00 53 13 c0 11 0a 40 5201 5202 5203 43 70 ffffffff 43 40 41 41",
		&Flow{IncomingWindow: 1, NextOutgoingID: 2, OutgoingWindow: 3, Handle: Some[uint32](0), DeliveryCount: Some[uint32](1<<32 - 1), LinkCredit: Some[uint32](0), Drain: true, Echo: true}},
	{"transfer, the first", "00 53 14 c0 0b 06 5201 43 a0 01 74 43 42 41", &Transfer{Handle: 1, DeliveryID: Some[uint32](0), DeliveryTag: []byte("t"), MessageFormat: Some[uint32](0), Settled: Some(false), More: true}},
	{"transfer, a later one", "00 53 14 c0 02 01 43", &Transfer{}},
	{"transfer of a batch", "00 53 14 c0 09 04 43 40 40 70 80013700", &Transfer{MessageFormat: Some[uint32](0x80013700)}},
	{"transfer, all else", "00 53 14 c0 12 0b 43 40 a0 00 40 41 40 50 01 00 53 24 45 41 41 41",
		&Transfer{DeliveryTag: []byte{}, Settled: Some(true), ReceiverSettleMode: Some(ReceiverSecond), State: &Accepted{}, Resume: true, Aborted: true, Batchable: true}},
	{"disposition, accepted", "00 53 15 c0 0a 05 41 43 5205 41 00 53 24 45", &Disposition{Role: RoleReceiver, Last: Some[uint32](5), Settled: true, State: &Accepted{}}},
	{"disposition, released", "00 53 15 c0 08 05 42 43 40 40 00 53 26 45", &Disposition{State: &Released{}}},
	{"disposition, received", "00 53 15 c0 0c 05 42 43 40 40 00 53 23 c0 04 02 43 53 09", &Disposition{State: &Received{SectionOffset: 9}}},
	{"disposition, modified", "00 53 15 c0 0f 05 42 43 40 40 00 53 27 c0 06 03 40 41 c1 01 00", &Disposition{State: &Modified{UndeliverableHere: true, MessageAnnotations: Map{}}}},
	{"disposition, rejected", "00 53 15 c0 14 05 42 43 40 40 00 53 25 c0 0b 01 00 53 1d c0 05 01 a3 02 613a", &Disposition{State: &Rejected{&Error{Condition: "a:"}}}},
	{"disposition, rejected without error", "00 53 15 c0 08 05 42 43 40 40 00 53 25 45", &Disposition{State: &Rejected{}}},
	{"disposition, declared", "00 53 15 c0 0c 05 42 43 40 40 00 53 33 c0 04 01 a0 01 01", &Disposition{State: &Declared{[]byte{1}}}},
	{"disposition, transactional", "00 53 15 c0 10 05 42 43 40 40 00 53 34 c0 08 02 a0 01 01 00 53 24 45", &Disposition{State: &TransactionalState{[]byte{1}, &Accepted{}}}},
	{"disposition, batchable", "00 53 15 c0 07 06 42 43 40 40 40 41", &Disposition{Batchable: true}},
	{"detach", "00 53 16 c0 03 02 43 41", &Detach{Closed: true}},
	{"detach with an error", "00 53 16 c0 16 03 43 41 00 53 1d c0 0e 03 a3 01 63 a1 01 64 c1 05 02 a3 01 69 40", &Detach{Closed: true, Error: &Error{"c", "d", Map{{Symbol("i"), nil}}}}},
	{"end", "00 53 17 45", &End{}},
	{"close", "00 53 18 45", &Close{}},
}

// fixSize puts the size of the outermost list right, so that a reader of the
// table need not count; the sizes within are by hand.
func fixSize(b []byte) []byte {
	if b[3] == codeList8 {
		b[4] = byte(len(b) - 5)
	}
	return b
}

func TestPerformatives(t *testing.T) {
	for _, c := range performatives {
		t.Run(c.name, func(t *testing.T) {
			b := fixSize(unhex(t, c.hex))
			p, payload, err := DecodePerformative(b)
			if err != nil || len(payload) > 0 || !reflect.DeepEqual(p, c.p) {
				t.Fatalf("decoded: %+v, %x, %v", p, payload, err)
			}
			got, err := AppendFrame([]byte{9}, 0x102, c.p)
			if err != nil {
				t.Fatal(err)
			}
			want := append([]byte{0, 0, 0, byte(8 + len(b)), 2, 0, 1, 2}, b...)
			if a, _ := c.p.(*Attach); a != nil && a.Coordinator != nil {
				want = bytes.ReplaceAll(want, []byte{0x30, 0xc0, 1, 0}, []byte{0x30, 0x45})
				want[3] -= 2
				want[8+4] -= 2
			}
			if !bytes.Equal(got[1:], want) {
				t.Errorf("encoded: %x\nwant:    %x", got[1:], want)
			}
			for n := range b {
				if p, _, err := DecodePerformative(b[:n]); !isDecodeError(err) {
					t.Errorf("of %d bytes: %+v, %v", n, p, err)
				}
			}
		})
	}
}

func TestSourceAndTarget(t *testing.T) {
	filter := Map{{Symbol("com.microsoft:session-filter"), Described{uint64(0x137000000c), nil}}, {Symbol("bare"), "s"}}
	node := Map{{Symbol("lifetime-policy"), DeleteOnClose.Described()}}
	for _, p := range []*Attach{
		{Source: &Source{Some(""), DurabilityUnsettledState, ExpiryNever, 9, true, node, "copy", filter, &Modified{DeliveryFailed: true}, []Symbol{"o"}, []Symbol{"c", "d"}}},
		{Target: &Target{Some("q"), DurabilityConfiguration, ExpiryLinkDetach, 1, true, node, []Symbol{"c"}}},
		{Coordinator: &Coordinator{[]Symbol{"amqp:local-transactions"}}},
	} {
		b, err := AppendFrame(nil, 0, p)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := DecodePerformative(b[8:]); err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	for want, v := range map[LifetimePolicy]any{
		DeleteOnClose:             DeleteOnClose.Described(),
		DeleteOnNoLinksOrMessages: Described{Symbol("amqp:delete-on-no-links-or-messages:list"), List{}},
	} {
		if got, ok := LifetimePolicyOf(Map{{Symbol("lifetime-policy"), v}}); got != want || !ok {
			t.Errorf("%#x, %v; want %#x", got, ok, want)
		}
	}
	for _, m := range []Map{nil, {{Symbol("lifetime-policy"), "x"}}, {{Symbol("lifetime-policy"), Described{Symbol("amqp:open:list"), nil}}}} {
		if got, ok := LifetimePolicyOf(m); ok {
			t.Errorf("%v is %#x", m, got)
		}
	}
}

// TestOtherShapes: descriptors by name, long lists, nulls for absent fields,
// one symbol for an array of one.
func TestOtherShapes(t *testing.T) {
	for _, c := range []struct {
		hex string
		p   Performative
	}{
		{"00 a3 0f 616d71703a636c6f73653a6c697374 45", &Close{}},
		{"00 80 0000000000000018 c0 02 01 40", &Close{}},
		{"00 53 18 d0 00000005 00000001 40", &Close{}},
		{"00 53 13 c0 0a 0b 40 43 43 43 40 40 40 40 40 40 40", &Flow{}},
		{"00 53 10 c0 0d 06 a1 00 40 40 40 40 a3 05 656e2d5553", &Open{OutgoingLocales: []Symbol{"en-US"}}},
		{"00 53 10 c0 0a 06 a1 00 40 40 40 40 e0 02 00 a3", &Open{}},
	} {
		p, _, err := DecodePerformative(fixSize(unhex(t, c.hex)))
		if err != nil || !reflect.DeepEqual(p, c.p) {
			t.Errorf("%s: %+v, %v", c.hex, p, err)
		}
	}
}

func TestBadPerformatives(t *testing.T) {
	for _, c := range []struct {
		hex       string
		condition Symbol
		want      string
	}{
		{"", ConditionDecodeError, "the input ends"},
		{"45", ConditionDecodeError, "expected a described list, got list"},
		{"00 40 45", ConditionDecodeError, "expected a ulong or symbol descriptor, got null"},
		{"00 53 19 45", ConditionDecodeError, "expected a performative, got the descriptor 0x19"},
		{"00 a3 01 61 45", ConditionDecodeError, "expected a performative"},
		{"00 53 40 45", ConditionDecodeError, "expected a performative, got the descriptor 0x40"},
		{"00 53 18 c1 01 00", ConditionDecodeError, "close: expected a list of fields, got map"},
		{"00 53 18 c0 02 02 40", ConditionDecodeError, "close: 2 elements are claimed, but 1 bytes are left"},
		{"00 53 18 c0 03 02 40 40", ConditionDecodeError, "close: 1 fields more than there are"},
		{"00 53 18 c0 03 01 40 40", ConditionDecodeError, "1 bytes are left after the last element"},
		{"00 53 18 45 40", ConditionDecodeError, "1 bytes are left after a performative that has no payload"},
		{"00 53 10 45", ConditionInvalidField, "open.container-id: this field is mandatory, but absent"},
		{"00 53 10 c0 02 01 40", ConditionInvalidField, "open.container-id: this field is mandatory"},
		{"00 53 14 c0 04 02 43 5301", ConditionDecodeError, "transfer.delivery-id: expected uint, got ulong"},
		{"00 53 14 c0 08 03 43 43 a1 03 616263", ConditionDecodeError, "transfer.delivery-tag: expected binary, got string"},
		{"00 53 14 c0 00 03 43 43 a0 21" + strings.Repeat("00", 33), ConditionInvalidField, "transfer.delivery-tag: 33 bytes are more than 32"},
		{"00 53 14 c0 05 03 43 43 a0 09", ConditionDecodeError, "transfer.delivery-tag: expected 9 bytes more"},
		{"00 53 14 c0 07 05 43 40 40 40 56 07", ConditionDecodeError, "transfer.settled: 0x07 is no boolean"},
		{"00 53 14 c0 05 05 43 40 40 40 43", ConditionDecodeError, "transfer.settled: expected boolean, got uint"},
		{"00 53 15 c0 02 01 41", ConditionInvalidField, "disposition.first: this field is mandatory"},
		{"00 53 15 c0 08 05 41 43 40 40 00 53 99 45", ConditionDecodeError, "disposition.state: expected a delivery state, got the descriptor 0x99"},
		{"00 53 15 c0 08 05 41 43 40 40 45", ConditionDecodeError, "disposition.state: expected a described list, got list"},
		{"00 53 12 c0 08 04 a1 01 6e 43 42 50 03", ConditionInvalidField, "attach.snd-settle-mode: 3 is none of"},
		{"00 53 12 c0 08 05 a1 01 6e 43 42 40 50 02", ConditionInvalidField, "attach.rcv-settle-mode: 2 is neither"},
		{"00 53 12 c0 06 03 a1 01 6e 43 43", ConditionDecodeError, "attach.role: expected boolean, got uint"},
		{"00 53 12 c0 06 06 a1 01 6e 43 42 40 40 00 53 29 45", ConditionDecodeError, "attach.source: expected a source, got the descriptor 0x29"},
		{"00 53 12 c0 06 06 a1 01 6e 43 42 40 40 00 53 28 c0 03 01 52 01", ConditionDecodeError, "attach.source: source.address: expected string, got uint"},
		{"00 53 12 c0 06 06 a1 01 6e 43 42 40 40 00 53 28 c0 04 02 40 52 03", ConditionInvalidField, "attach.source: source.durable: 3 is none of"},
		{"00 53 12 c0 06 07 a1 01 6e 43 42 40 40 40 00 53 28 45", ConditionDecodeError, "attach.target: expected a target or a coordinator"},
		{"00 53 10 c0 0a 06 a1 00 40 40 40 40 e0 02 00 a1", ConditionDecodeError, "open.outgoing-locales: expected an array of symbol, got one of string"},
		{"00 53 10 c0 0a 06 a1 00 40 40 40 40 45", ConditionDecodeError, "open.outgoing-locales: expected an array of symbol or one symbol, got list"},
		{"00 53 17 c0 0a 01 00 53 24 45", ConditionDecodeError, "end.error: expected an error, got the descriptor 0x24"},
		{"00 53 17 c0 0a 01 00 53 1d 45", ConditionInvalidField, "end.error: error.condition: this field is mandatory"},
		{"00 53 15 c0 00 05 41 43 40 40" + strings.Repeat("00 53 34 d0 00000fff 00000002 a0 00", 40), ConditionDecodeError, "disposition.state"},
	} {
		b := unhex(t, c.hex)
		if len(b) > 5 && strings.Contains(c.want, ".") {
			fixSize(b)
		}
		p, _, err := DecodePerformative(b)
		var e *Error
		if !errors.As(err, &e) || e.Condition != c.condition || !strings.Contains(e.Description, c.want) {
			t.Errorf("%s: %+v, %v, want %s that says %q", c.hex, p, err, c.condition, c.want)
		}
	}
}

func TestSASL(t *testing.T) {
	for _, c := range []struct {
		hex string
		s   SASL
	}{
		{"00 53 40 c0 15 01 e0 10 02 a3 07 4d535342434253 05 504c41494e", &SASLMechanisms{[]Symbol{"MSSBCBS", "PLAIN"}}},
		{"00 53 41 c0 0e 03 a3 05 504c41494e a0 01 00 a1 01 68", &SASLInit{"PLAIN", []byte{0}, "h"}},
		{"00 53 41 c0 08 01 a3 05 504c41494e", &SASLInit{Mechanism: "PLAIN"}},
		{"00 53 42 c0 04 01 a0 01 01", &SASLChallenge{[]byte{1}}},
		{"00 53 43 c0 04 01 a0 01 02", &SASLResponse{[]byte{2}}},
		{"00 53 44 c0 03 01 50 00", &SASLOutcome{Code: SASLOk}},
		{"00 53 44 c0 06 02 50 01 a0 01 78", &SASLOutcome{SASLAuthFailed, []byte("x")}},
	} {
		b := fixSize(unhex(t, c.hex))
		s, err := DecodeSASL(b)
		if err != nil || !reflect.DeepEqual(s, c.s) {
			t.Errorf("%+v, %v; want %+v", s, err, c.s)
		}
		if got, err := AppendSASL(nil, c.s); err != nil || !bytes.Equal(got, append([]byte{0, 0, 0, byte(8 + len(b)), 2, 1, 0, 0}, b...)) {
			t.Errorf("%x, %v; want a frame with %x", got, err, b)
		}
	}
	for hex, want := range map[string]string{
		"00 53 40 45":                "sasl-mechanisms.sasl-server-mechanisms: this field is mandatory",
		"00 53 41 45":                "sasl-init.mechanism: this field is mandatory",
		"00 53 42 45":                "sasl-challenge.challenge: this field is mandatory",
		"00 53 43 45":                "sasl-response.response: this field is mandatory",
		"00 53 44 45":                "sasl-outcome.code: this field is mandatory",
		"00 53 44 c0 03 01 50 00 40": "1 bytes are left after the body",
		"00 53 10 45":                "expected the body of a SASL frame, got the descriptor 0x10",
	} {
		if s, err := DecodeSASL(unhex(t, hex)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %q", hex, s, err, want)
		}
	}
}

func TestPerformativesThatCannotBeWritten(t *testing.T) {
	for want, p := range map[string]Performative{
		"both a target and a coordinator": &Attach{Target: &Target{}, Coordinator: &Coordinator{}},
		"delivery-tag of 33 bytes":        &Transfer{DeliveryTag: make([]byte, 33)},
		"a string is not UTF-8":           &Open{ContainerID: "\xff"},
		"int is no AMQP value":            &Flow{Properties: Map{{Symbol("a"), 1}}},
		"a symbol is not ASCII":           &End{&Error{Condition: "ü"}},
	} {
		if b, err := AppendFrame([]byte{7}, 0, p); err == nil || !strings.Contains(err.Error(), want) || len(b) != 1 {
			t.Errorf("%x, %v, want %q", b, err, want)
		}
	}
}

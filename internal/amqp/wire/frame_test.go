package wire

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestProtocolHeaders(t *testing.T) {
	b := HeaderOf(ProtocolSASL).Append(nil)
	b = ProtocolHeader{ProtocolAMQP, 0, 9, 1}.Append(b)
	if string(b) != "AMQP\x03\x01\x00\x00AMQP\x00\x00\x09\x01" {
		t.Errorf("%x", b)
	}
	r := NewReader(bytes.NewReader(append(b, "AMQP\x00"...)), 0)
	for _, want := range []ProtocolHeader{HeaderOf(ProtocolSASL), {ProtocolAMQP, 0, 9, 1}} {
		if h, err := r.ReadProtocolHeader(); err != nil || h != want {
			t.Errorf("%v, %v; want %v", h, err, want)
		}
	}
	if _, err := r.ReadProtocolHeader(); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
	if _, err := NewReader(strings.NewReader("GET / HTTP/1.1"), 0).ReadProtocolHeader(); err == nil || err.Error() != "amqp:connection:framing-error: expected a protocol header, which begins with AMQP" {
		t.Error(err)
	}
}

func TestReader(t *testing.T) {
	stream := AppendEmptyFrame(nil)
	if want := []byte{0, 0, 0, 8, 2, 0, 0, 0}; !bytes.Equal(stream, want) {
		t.Errorf("an empty frame is %x", stream)
	}
	stream = append(stream, 0, 0, 0, 14, 3, 1, 9, 9, 1, 2, 3, 4, 5, 6) // an extended header of 4 bytes
	stream = append(stream, 0, 0, 0, 9, 2, 0, 1, 2, 7)
	large := append([]byte{0, 0, 0x80, 0, 2, 0, 0, 1}, make([]byte, 32<<10-8)...)
	stream = append(stream, large...)
	for name, src := range map[string]io.Reader{"at once": bytes.NewReader(stream), "byte by byte": iotest.OneByteReader(bytes.NewReader(stream))} {
		r := NewReader(src, 32<<10)
		for i, want := range []Frame{{FrameAMQP, 0, nil}, {FrameSASL, 0, []byte{5, 6}}, {FrameAMQP, 0x102, []byte{7}}, {FrameAMQP, 1, large[8:]}} {
			f, err := r.ReadFrame()
			if err != nil || f.Type != want.Type || f.Channel != want.Channel || !bytes.Equal(f.Body, want.Body) || f.Empty() != (i == 0) {
				t.Errorf("%s: frame %d: %v, %v", name, i, f, err)
			}
		}
		if _, err := r.ReadFrame(); err != io.EOF {
			t.Errorf("%s: at the end: %v", name, err)
		}
	}
	for n := 1; n < 22; n++ {
		r := NewReader(bytes.NewReader(stream[8:8+n]), 512)
		_, err := r.ReadFrame()
		if n >= 14 {
			_, err = r.ReadFrame()
		}
		if want := map[bool]error{true: io.EOF, false: io.ErrUnexpectedEOF}[n == 14]; err != want {
			t.Errorf("after %d bytes: %v, want %v", n, err, want)
		}
	}
	broken := errors.New("broken")
	if _, err := NewReader(iotest.ErrReader(broken), 512).ReadFrame(); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestBadFrames(t *testing.T) {
	for hex, want := range map[string]string{
		"00000007 02 00 0000":    "a frame of 7 bytes is smaller than its header",
		"00000201 02 00 0000":    "a frame of 513 bytes is larger than the 512 allowed",
		"ffffffff 02 00 0000":    "a frame of 4294967295 bytes is larger than the 512 allowed",
		"00000009 01 00 0000 00": "the data of a frame of 9 bytes cannot begin at 4",
		"00000009 03 00 0000 00": "the data of a frame of 9 bytes cannot begin at 12",
		"00000008 02 02 0000":    "frame type 0x02 is neither AMQP nor SASL",
	} {
		_, err := NewReader(bytes.NewReader(unhex(t, hex)), 1).ReadFrame()
		var e *Error
		if !errors.As(err, &e) || e.Condition != ConditionFramingError || e.Description != want {
			t.Errorf("%s: %v, want %q", hex, err, want)
		}
	}
}

// TestLargeFramesAnnouncedOnly: memory comes with the bytes.
func TestLargeFramesAnnouncedOnly(t *testing.T) {
	head := []byte{0x10, 0, 0, 0, 2, 0, 0, 0}
	bounded(t, 0, func() {
		if _, err := NewReader(bytes.NewReader(head), 1<<30).ReadFrame(); err != io.ErrUnexpectedEOF {
			t.Error(err)
		}
	})
}

func TestAppendTransfer(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789"), 200)
	for _, size := range []uint32{512, 513, 600, 1 << 16} {
		tr := Transfer{Handle: 3, DeliveryID: Some[uint32](9), DeliveryTag: []byte("tag"), MessageFormat: Some[uint32](0), Settled: Some(false)}
		var stream []byte
		for rest := payload; ; {
			before := len(stream)
			var err error
			if stream, rest, err = AppendTransfer(stream, 5, &tr, rest, size); err != nil {
				t.Fatal(err)
			}
			if n := len(stream) - before; n > int(size) || (len(rest) > 0 && n != int(size)) {
				t.Errorf("a frame of %d bytes, of %d allowed, %d bytes are left", n, size, len(rest))
			}
			if len(rest) == 0 {
				break
			}
			tr = Transfer{Handle: 3}
		}
		var got []byte
		more := true
		for r := NewReader(bytes.NewReader(stream), size); more; {
			f, err := r.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			p, part, err := DecodePerformative(f.Body)
			if err != nil || f.Channel != 5 {
				t.Fatal(err, f.Channel)
			}
			got, more = append(got, part...), p.(*Transfer).More
		}
		if !bytes.Equal(got, payload) {
			t.Errorf("in frames of %d bytes, %d of %d bytes arrived", size, len(got), len(payload))
		}
	}
}

func TestAppendTransferWithoutRoom(t *testing.T) {
	large := &Transfer{State: &Modified{MessageAnnotations: Map{{Symbol("a"), strings.Repeat("x", 600)}}}}
	for _, payload := range [][]byte{nil, []byte("payload")} {
		b, rest, err := AppendTransfer([]byte{7}, 0, large, payload, 512)
		var e *Error
		if !errors.As(err, &e) || e.Condition != ConditionFrameSizeTooSmall || len(b) != 1 || !reflect.DeepEqual(rest, payload) {
			t.Errorf("%x, %x, %v", b, rest, err)
		}
	}
	if _, rest, err := AppendTransfer(nil, 0, &Transfer{DeliveryTag: make([]byte, 33)}, []byte("p"), 512); err == nil || len(rest) != 1 {
		t.Errorf("%x, %v", rest, err)
	}
	if b, rest, err := AppendTransfer(nil, 0, &Transfer{Aborted: true, More: true}, nil, 512); err != nil || rest != nil || len(b) == 0 {
		t.Errorf("%x, %x, %v", b, rest, err)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(AppendEmptyFrame(HeaderOf(ProtocolAMQP).Append(nil)))
	for _, stream := range proton(f, "stream") {
		f.Add(stream)
		f.Add(stream[bytes.LastIndex(stream, []byte("AMQP")):])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded(t, 4*len(b), func() {
			r := NewReader(bytes.NewReader(b), 4096)
			_, err := r.ReadProtocolHeader()
			for err == nil {
				var frame Frame
				if frame, err = r.ReadFrame(); err == nil && frame.Type == FrameSASL {
					_, _ = DecodeSASL(frame.Body)
				} else if err == nil {
					_, _, _ = DecodePerformative(frame.Body)
				}
			}
		})
	})
}

func FuzzPerformative(f *testing.F) {
	for _, c := range performatives {
		f.Add(fixSize(unhex(f, c.hex)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Performative
		var payload []byte
		var err error
		bounded(t, len(b), func() { p, payload, err = DecodePerformative(b) })
		if err != nil {
			sasl, err := DecodeSASL(b)
			if err != nil {
				return
			}
			reencode(t, sasl.appendTo, func(b []byte) (any, error) { return DecodeSASL(b) }, func(s any) ([]byte, error) { return s.(SASL).appendTo(nil) })
			return
		}
		if !bytes.HasSuffix(b, payload) {
			t.Errorf("the payload %x is not the end of %x", payload, b)
		}
		reencode(t, p.appendTo, func(b []byte) (any, error) { p, _, err := DecodePerformative(b); return p, err },
			func(p any) ([]byte, error) { return p.(Performative).appendTo(nil) })
	})
}

// reencode wants what was decoded to be written, read and written alike.
func reencode(t *testing.T, write func([]byte) ([]byte, error), read func([]byte) (any, error), rewrite func(any) ([]byte, error)) {
	t.Helper()
	b, err := write(nil)
	if err != nil {
		t.Fatalf("what was decoded cannot be encoded: %v", err)
	}
	v, err := read(b)
	if err != nil {
		t.Fatalf("what was encoded cannot be decoded: %v, of %x", err, b)
	}
	if b2, err := rewrite(v); err != nil || !bytes.Equal(b, b2) {
		t.Fatalf("%x became %x, %v", b, b2, err)
	}
}

func BenchmarkAppendTransfer(b *testing.B) {
	tr := &Transfer{Handle: 1, DeliveryID: Some[uint32](70000), DeliveryTag: make([]byte, 16), MessageFormat: Some[uint32](0), Settled: Some(false)}
	payload, buf := make([]byte, 1024), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf, _, _ = AppendTransfer(buf[:0], 1, tr, payload, 65536)
	}
}

func BenchmarkDecodeTransfer(b *testing.B) {
	tr := &Transfer{Handle: 1, DeliveryID: Some[uint32](70000), DeliveryTag: make([]byte, 16), MessageFormat: Some[uint32](0), Settled: Some(false)}
	frame, _, _ := AppendTransfer(nil, 1, tr, make([]byte, 1024), 65536)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := DecodePerformative(frame[8:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeDisposition(b *testing.B) {
	frame, _ := AppendFrame(nil, 1, &Disposition{Role: RoleReceiver, First: 1000, Last: Some[uint32](1007), Settled: true, State: &Accepted{}})
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := DecodePerformative(frame[8:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendFlow(b *testing.B) {
	flow := &Flow{NextIncomingID: Some[uint32](70000), IncomingWindow: 5000, NextOutgoingID: 70000, OutgoingWindow: 5000, Handle: Some[uint32](1), DeliveryCount: Some[uint32](70000), LinkCredit: Some[uint32](1000)}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = AppendFrame(buf[:0], 1, flow)
	}
}

package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// MinMaxFrameSize is the smallest limit a peer may set, in bytes (part 2,
// 2.3.2 and 2.7.1).
const MinMaxFrameSize = 512

// ProtocolID is which protocol follows a protocol header.
type ProtocolID uint8

// The protocols of part 2, 2.2, and part 5, 5.2.1 and 5.3.2.
const (
	ProtocolAMQP ProtocolID = 0
	ProtocolTLS  ProtocolID = 2
	ProtocolSASL ProtocolID = 3
)

// ProtocolHeader is the eight bytes that begin a protocol on a connection.
type ProtocolHeader struct {
	ID                     ProtocolID
	Major, Minor, Revision uint8
}

// HeaderOf is the header of version 1.0.0, the only one there is.
func HeaderOf(id ProtocolID) ProtocolHeader { return ProtocolHeader{ID: id, Major: 1} }

// Append writes the header to the end of b.
func (h ProtocolHeader) Append(b []byte) []byte {
	return append(b, 'A', 'M', 'Q', 'P', byte(h.ID), h.Major, h.Minor, h.Revision)
}

// FrameType is the kind of body of a frame.
type FrameType uint8

// The types of part 2, 2.3.1, and part 5, 5.3.1.
const (
	FrameAMQP FrameType = 0
	FrameSASL FrameType = 1
)

const frameHeader = 8

// Frame is a frame whose body has not been decoded.
type Frame struct {
	Type    FrameType
	Channel uint16 // 0 in a SASL frame, where these bytes mean nothing
	Body    []byte // part of the Reader, until its next call
}

// Empty tells whether the frame is a sign of life and nothing else.
func (f Frame) Empty() bool { return len(f.Body) == 0 }

// Reader cuts a stream into protocol headers and frames. It reads ahead, so
// nothing else may read from the stream. It is for one goroutine at a time.
type Reader struct {
	src *bufio.Reader
	max uint32
	buf []byte
}

// NewReader reads from src and refuses frames larger than maxFrameSize bytes,
// header included; less than MinMaxFrameSize is taken for that.
func NewReader(src io.Reader, maxFrameSize uint32) *Reader {
	return &Reader{src: bufio.NewReader(src), max: max(maxFrameSize, MinMaxFrameSize)}
}

// ReadProtocolHeader reads eight bytes. It does not judge the protocol or its
// version: who meets one it does not speak answers with its own header and
// closes (part 2, 2.2). Errors of the stream are returned as they are: io.EOF
// when nothing came, io.ErrUnexpectedEOF when too little.
func (r *Reader) ReadProtocolHeader() (ProtocolHeader, error) {
	var b [8]byte
	if _, err := io.ReadFull(r.src, b[:]); err != nil {
		return ProtocolHeader{}, err
	}
	if string(b[:4]) != "AMQP" {
		return ProtocolHeader{}, errorf(ConditionFramingError, "expected a protocol header, which begins with AMQP")
	}
	return ProtocolHeader{ProtocolID(b[4]), b[5], b[6], b[7]}, nil
}

// ReadFrame reads one frame and skips its extended header. Errors of the
// stream are returned as they are: io.EOF between two frames,
// io.ErrUnexpectedEOF within one. After any error the stream is of no use.
func (r *Reader) ReadFrame() (Frame, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r.src, head[:]); err != nil {
		return Frame{}, err
	}
	f, size, offset, err := parseFrameHeader(head, r.max)
	if err != nil {
		return Frame{}, err
	}
	if err := r.fill(int(size) - frameHeader); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	f.Body = r.buf[offset-frameHeader:]
	return f, nil
}

// fill reads n bytes into buf. It makes room as bytes come, so that who
// announces a large frame and sends nothing holds little memory.
func (r *Reader) fill(n int) error {
	const step = 4 << 10
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		have := len(r.buf)
		want := min(n, max(2*have, step, cap(r.buf)))
		r.buf = slices.Grow(r.buf, want-have)[:want]
		if _, err := io.ReadFull(r.src, r.buf[have:]); err != nil {
			return err
		}
	}
	return nil
}

// parseFrameHeader reads part 2, 2.3.1: size, data offset in words, type, and
// two bytes that depend on the type.
func parseFrameHeader(head [frameHeader]byte, maxSize uint32) (f Frame, size, offset uint32, err error) {
	size, offset = binary.BigEndian.Uint32(head[0:]), 4*uint32(head[4])
	f.Type = FrameType(head[5])
	switch {
	case size < frameHeader:
		err = errorf(ConditionFramingError, "a frame of %d bytes is smaller than its header", size)
	case size > maxSize:
		err = errorf(ConditionFramingError, "a frame of %d bytes is larger than the %d allowed", size, maxSize)
	case offset < frameHeader || offset > size:
		err = errorf(ConditionFramingError, "the data of a frame of %d bytes cannot begin at %d", size, offset)
	case f.Type > FrameSASL:
		err = errorf(ConditionFramingError, "frame type 0x%02x is neither AMQP nor SASL", uint8(f.Type))
	case f.Type == FrameAMQP:
		f.Channel = binary.BigEndian.Uint16(head[6:])
	}
	return f, size, offset, err
}

func openFrame(b []byte, t FrameType, channel uint16) []byte {
	return append(b, 0, 0, 0, 0, frameHeader/4, byte(t), byte(channel>>8), byte(channel))
}

func closeFrame(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// AppendFrame writes an AMQP frame without payload to the end of b, which comes
// back as it was when p cannot be written. The frame's size is not limited: of
// what has no payload, only properties of our own could make it large.
func AppendFrame(b []byte, channel uint16, p Performative) ([]byte, error) {
	out, err := p.appendTo(openFrame(b, FrameAMQP, channel))
	if err != nil {
		return b, err
	}
	return closeFrame(out, len(b)), nil
}

// AppendSASL writes a SASL frame to the end of b, as AppendFrame does.
func AppendSASL(b []byte, s SASL) ([]byte, error) {
	out, err := s.appendTo(openFrame(b, FrameSASL, 0))
	if err != nil {
		return b, err
	}
	return closeFrame(out, len(b)), nil
}

// AppendEmptyFrame writes the sign of life to the end of b.
func AppendEmptyFrame(b []byte) []byte {
	return closeFrame(openFrame(b, FrameAMQP, 0), len(b))
}

// AppendTransfer writes one transfer frame of at most maxFrameSize bytes to the
// end of b and returns what of the payload did not fit; the frame says more
// when something is left, or when t does. For the next frame the caller may
// keep t as it is, or clear all but Handle and More, which is shorter. When t
// cannot be written, or leaves no room for payload that is there, b comes back
// as it was with an error.
func AppendTransfer(b []byte, channel uint16, t *Transfer, payload []byte, maxFrameSize uint32) (out, rest []byte, err error) {
	out, err = t.appendTo(openFrame(b, FrameAMQP, channel))
	if err != nil {
		return b, payload, err
	}
	if room := int(maxFrameSize) - (len(out) - len(b)); len(payload) > room {
		partial := *t
		partial.More = true
		if out, err = partial.appendTo(openFrame(b, FrameAMQP, channel)); err != nil {
			return b, payload, err
		}
		room = int(maxFrameSize) - (len(out) - len(b))
		if room <= 0 || len(payload) == 0 {
			return b, payload, errorf(ConditionFrameSizeTooSmall, "a frame of %d bytes has no room for a payload", maxFrameSize)
		}
		payload, rest = payload[:room], payload[room:]
	}
	return closeFrame(append(out, payload...), len(b)), rest, nil
}

package smtp

import (
	"net"

	"bellhop/internal/crashpoint"
)

// wire is the connection below go-smtp's client: plain TCP or TLS on top of
// it. It answers the two questions the client cannot: was everything written,
// and did the server say more than it was asked.
type wire struct {
	net.Conn          // what is read and written: the socket, or TLS over it
	socket   net.Conn // the TCP connection below; never changes
	first    []byte   // read before anything that comes from Conn
	short    bool     // a Write ended before its last byte
	wrote    bool     // something was written
	dotting  bool     // what is written now ends the content
	replies  replies
}

// Write passes p on and notes whether all of it was taken by the kernel.
func (w *wire) Write(p []byte) (int, error) {
	w.wrote = true
	w.replies = replies{}
	n, err := w.Conn.Write(p)
	if n < len(p) {
		w.short = true
	} else if w.dotting {
		crashpoint.Here(crashpoint.Dotted)
	}
	return n, err
}

// Read passes on what comes in and looks for more than one reply in it.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.first) > 0 {
		n := copy(p, w.first)
		w.first = w.first[n:]
		return n, nil
	}
	n, err := w.Conn.Read(p)
	w.replies.count(p[:n])
	return n, err
}

// cut ends the connection at once: what the kernel has not sent yet is thrown
// away and the server sees a reset. It may be called at any time, by anyone.
func (w *wire) cut() {
	if tcp, ok := w.socket.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = w.socket.Close()
}

// replies reads along from one command to the next. Anything beyond one reply
// would be taken for the answer to the next command: after STARTTLS that is
// how an attacker in the middle injects lines (A4.3), and a stray "250" before
// the final dot would count a mail as accepted that is not.
type replies struct {
	column int  // bytes of the current line so far
	fourth byte // of the current line: '-' if another one follows
	whole  bool // a reply has come in to its end
	more   bool // and something behind it
}

func (r *replies) count(p []byte) {
	for _, c := range p {
		switch {
		case r.whole:
			r.more = true
			return
		case c == '\n':
			r.whole = r.fourth != '-'
			r.column, r.fourth = 0, 0
			continue
		case r.column == 3:
			r.fourth = c
		}
		r.column++
	}
}

package smtp

import (
	"net"
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
	replies  replies
}

// Write passes p on and notes whether all of it was taken by the kernel.
func (w *wire) Write(p []byte) (int, error) {
	w.wrote = true
	w.replies = replies{}
	n, err := w.Conn.Write(p)
	if n < len(p) {
		w.short = true
	}
	return n, err
}

// Read passes on what comes in and counts the replies in it.
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

// replies counts what came in since the last command. Anything beyond one
// reply would be taken for the answer to the next command: after STARTTLS that
// is how an attacker in the middle injects lines (A4.3), and a stray "250"
// before the final dot would count a mail as accepted that is not.
type replies struct {
	finals int // last lines of replies: "250 ..." but not "250-..."
	column int // bytes of the current line so far
	fourth byte
}

func (r *replies) count(p []byte) {
	for _, c := range p {
		switch {
		case c == '\n':
			if r.fourth != '-' {
				r.finals++
			}
			r.column, r.fourth = 0, 0
			continue
		case r.column == 3:
			r.fourth = c
		}
		r.column++
	}
}

// extra tells whether more than one reply, or the beginning of a second one,
// has come in since the last command.
func (r *replies) extra() bool {
	return r.finals > 1 || r.finals == 1 && r.column > 0
}

package redistest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// login is how to speak to a server.
type login struct {
	user, password string
	tls            *tls.Config // nil: plain
}

// conn is a connection to a server that speaks RESP2, the protocol of Redis:
// https://redis.io/docs/latest/develop/reference/protocol-spec/
type conn struct {
	net.Conn
	r *bufio.Reader
}

// dial connects and logs in. All that is done on the connection has to be done
// within patience.
func dial(address string, l login) (*conn, error) {
	raw, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	if l.tls != nil {
		raw = tls.Client(raw, l.tls)
	}
	c := &conn{Conn: raw, r: bufio.NewReader(raw)}
	if err := c.login(l); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *conn) login(l login) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if l.password == "" {
		return nil
	}
	auth := []string{"AUTH", l.password}
	if l.user != "" {
		auth = []string{"AUTH", l.user, l.password}
	}
	_, err := c.do(auth...)
	return err
}

// ask runs one command on a connection of its own.
func ask(address string, l login, args ...string) (string, error) {
	c, err := dial(address, l)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.do(args...)
}

// do runs one command.
func (c *conn) do(args ...string) (string, error) {
	if err := c.send(args...); err != nil {
		return "", err
	}
	return c.receive()
}

func (c *conn) send(args ...string) error {
	_, err := io.WriteString(c, encode(args...))
	return err
}

// encode is a command as it travels.
func encode(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return b.String()
}

// replyError is an answer that is an error, such as "READONLY You can't write
// against a read only replica.".
type replyError string

func (e replyError) Error() string { return string(e) }

// receive reads one answer: an integer in decimal, nothing for nil, and the
// elements of an array on lines of their own.
func (c *conn) receive() (string, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return "", fmt.Errorf("read reply: want one of RESP, got an empty line")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+', ':':
		return rest, nil
	case '-':
		return "", replyError(rest)
	}
	n, err := strconv.Atoi(rest)
	if err != nil || kind != '$' && kind != '*' {
		return "", fmt.Errorf("read reply: want one of RESP, got %q", line)
	}
	if kind == '*' {
		return c.elements(n)
	}
	return c.bulk(n)
}

func (c *conn) bulk(n int) (string, error) {
	if n < 0 {
		return "", nil
	}
	text := make([]byte, n+len("\r\n"))
	if _, err := io.ReadFull(c.r, text); err != nil {
		return "", err
	}
	return string(text[:n]), nil
}

func (c *conn) elements(n int) (string, error) {
	var lines []string
	for range max(n, 0) {
		line, err := c.receive()
		if err != nil {
			return "", err
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"), nil
}

// field is the value of one "name:value" line of an INFO, "" without it.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// number reads a number that a server printed; 0 for what is none.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

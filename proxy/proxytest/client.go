package proxytest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// patience is how long a scenario waits for anything before it fails: machines that
// others use too may pause for seconds.
const patience = time.Minute

// client is one connection to the gateway that sends exactly what it is told.
type client struct {
	conn net.Conn
	r    *bufio.Reader
	sent time.Time // when the last byte went out
}

// dial connects to addr; secure is nil for cleartext.
func dial(addr string, secure *tls.Config) (*client, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		t := tls.Client(c, secure)
		if err := t.Handshake(); err != nil {
			_ = c.Close() // the handshake's error says more
			return nil, err
		}
		c = t
	}
	return &client{conn: c, r: bufio.NewReader(c)}, nil
}

func (c *client) close() {
	_ = c.conn.Close() // the gateway may have been first
}

// send writes text. A gateway that refuses early may close before all of it is
// written; what it answered tells, so that isn't an error here.
func (c *client) send(text string) error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, text)
	c.sent = time.Now()
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("the gateway took nothing for %v", patience)
	}
	return nil
}

// receive reads the answer to a request with verb, and how long it took.
func (c *client) receive(verb string) (*message, time.Duration, error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, 0, err
	}
	if _, err := c.r.Peek(1); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, 0, fmt.Errorf("no answer within %v", patience)
		}
		return nil, time.Since(c.sent), errNothing
	}
	took := time.Since(c.sent)
	m, err := readMessage(c.r, func(m *message) bool {
		status := m.status()
		return verb == "HEAD" || status < 200 || status == 204 || status == 304
	}, true)
	return m, took, err
}

// exactly reads n bytes.
func (c *client) exactly(n int) (string, error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	buf := make([]byte, n)
	n, err := io.ReadFull(c.r, buf)
	return string(buf[:n]), err
}

// closed reports whether the gateway closes the connection: within patience
// when that is expected, or already when it isn't.
func (c *client) closed(wait time.Duration) (bool, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return false, err
	}
	rest, err := c.r.Peek(1)
	switch {
	case err == nil:
		return false, fmt.Errorf("further bytes came: %q…", rest)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	}
	return true, nil
}

// request is a request that a script composes.
type request struct {
	verb, target string
	fields       []field
	content      string
	exact        bool // raw is all of it
	raw          string
}

// bytes returns the request as it goes out, with Host and Content-Length unless
// the script gave its own.
func (r *request) bytes(host string) string {
	if r.exact {
		return r.raw
	}
	var b strings.Builder
	b.WriteString(r.verb + " " + r.target + " HTTP/1.1\r\n")
	if !has(r.fields, "Host") {
		b.WriteString("Host: " + host + "\r\n")
	}
	for _, f := range r.fields {
		b.WriteString(f.name + ": " + f.value + "\r\n")
	}
	if r.content != "" && !has(r.fields, "Content-Length") && !has(r.fields, "Transfer-Encoding") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.content))
	}
	b.WriteString("\r\n" + r.content)
	return b.String()
}

package server

import (
	"net"
	"time"

	"golang.org/x/net/http2"
)

// clear says by the first bytes of g, a connection without TLS, whether it
// speaks HTTP/2: a client that knows it beforehand begins with a preface, which
// no request of HTTP/1.1 is. It reads no more than is needed to tell, and leaves
// it in front. false means that nothing came in time. RFC 9113, 3.3 and 3.4.
func (g *greeted) clear(s *settings) (came bool) {
	until := time.Now().Add(time.Duration(s.HeaderTimeout))
	if g.wire.SetReadDeadline(until) != nil || g.wire.Await() != nil {
		return false
	}
	for {
		b := g.wire.Buffered()
		n := min(len(b), len(http2.ClientPreface))
		if string(b[:n]) != http2.ClientPreface[:n] {
			return true
		}
		if n == len(http2.ClientPreface) {
			break
		}
		if g.wire.Fill(len(b)+len(http2.ClientPreface)) != nil {
			return false
		}
	}
	g.h2 = s.h2
	g.front = append([]byte(nil), g.wire.Buffered()...)
	g.wire.Discard(len(g.front))
	g.wire.Release()
	return g.wire.SetReadDeadline(time.Time{}) == nil
}

// begun is a connection of which the front was read before.
type begun struct {
	net.Conn
	front []byte
}

func (c *begun) Read(p []byte) (int, error) {
	if len(c.front) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.front)
	if c.front = c.front[n:]; len(c.front) == 0 {
		c.front = nil
	}
	return n, nil
}

// whole returns the connection from its first byte on, without TLS.
func (g *greeted) whole() net.Conn {
	if g.session != nil {
		return g.session
	}
	return &begun{g.socket, g.front}
}

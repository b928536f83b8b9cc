package server

import (
	"time"

	"github.com/postern-gateway/postern/proxy/http2"
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
		n := min(len(b), len(http2.Preface))
		if string(b[:n]) != http2.Preface[:n] {
			return true
		}
		if n == len(http2.Preface) {
			break
		}
		if g.wire.Fill(len(b)+len(http2.Preface)) != nil {
			return false
		}
	}
	g.h2 = true
	return true
}

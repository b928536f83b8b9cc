package control

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// maxConnections is how many connections the listener has at the same time.
const maxConnections = 256

// Guard has connections to a TCP address speak TLS from now on, nil for cleartext, and
// tokens be the ones that count; back makes both what they were.
func (s *Server) Guard(c *tls.Certificate, tokens []Token) (back func()) {
	certificate, before := s.certificate.Swap(c), s.tokens.Load()
	s.SetTokens(tokens)
	return func() {
		s.certificate.Store(certificate)
		s.tokens.Store(before)
	}
}

// secured reports whether others than the machine itself may ask: with TLS, and a token.
func (s *Server) secured() bool {
	tokens := s.tokens.Load()
	return s.certificate.Load() != nil && tokens != nil && len(*tokens) > 0
}

// gate is a listener that has so many connections to a TCP address at most, with TLS
// where that is wanted.
type gate struct {
	net.Listener
	server *Server
	free   chan struct{} // one token for each connection
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	g.free <- struct{}{}
	c, err := g.Listener.Accept()
	if err != nil {
		<-g.free
		return nil, err
	}
	if c.LocalAddr().Network() != "tcp" { // the process's user alone
		<-g.free
		return c, nil
	}
	c = &admitted{Conn: c, leave: sync.OnceFunc(func() { <-g.free })}
	if g.server.certificate.Load() == nil {
		return c, nil
	}
	return tls.Server(c, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return g.server.certificate.Load(), nil },
	}), nil
}

// admitted is a connection that counts until it is closed.
type admitted struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (a *admitted) Close() error {
	defer a.leave()
	return a.Conn.Close()
}

// fromHere reports whether a request came to an address of the machine's own.
func fromHere(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.IP.IsLoopback()
}

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/clients"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/http3"
	"github.com/postern-gateway/postern/proxy/snapshot"
	"github.com/postern-gateway/postern/proxy/wire"
)

// listener is one public listener.
type listener struct {
	name     string
	address  string // as configured
	server   *Server
	socket   net.Listener
	settings atomic.Pointer[settings]
	active   gauge
	crowd    crowd
	once     sync.Once
	stopped  atomic.Bool
	ended    atomic.Bool // the accept loop is over

	datagrams atomic.Pointer[datagrams] // nil: no HTTP/3; Server.mu is held to change it
}

// settings are what a configuration says of a listener. Immutable.
type settings struct {
	config.Limits
	head http1.Limits
	admission
	tls      *tls.Config // nil for cleartext
	h2, h3   bool        // HTTP/2 and HTTP/3 are offered
	private  bool
	redirect *redirect // nil: clients stay

	policy  string      // of TLS
	tickets *tls.Config // whose keys seal tickets
	ways    sync.Map    // *tls.Config by the snapshot.TLS of the names that it is for
}

// newSettings returns what c says; current returns the snapshot that serves, or nil,
// the keys of tickets seal those of sessions, and keeper has domains' certificates.
func newSettings(c *config.Listen, current func() *snapshot.Snapshot, tickets *tls.Config, keeper *certificate.Keeper) (*settings, error) {
	s := &settings{Limits: c.Limits, private: c.Private, redirect: newRedirect(c.RedirectHTTPS), tickets: tickets}
	var err error
	if s.admission, err = newAdmission(c); err != nil {
		return nil, err
	}
	s.head = http1.Limits{Line: int(c.Limits.Line), Head: int(c.Limits.Header), Fields: c.Limits.Headers}
	if c.TLS == nil {
		s.h2 = c.H2C
		return s, nil
	}
	s.policy = c.TLS.Policy
	s.h3 = slices.Contains(c.TLS.ALPN, http3.Protocol)
	alpn := slices.DeleteFunc(slices.Clone(c.TLS.ALPN), func(name string) bool { return name == http3.Protocol })
	if s.tls, err = serverTLS(c.TLS, alpn, tickets); err != nil {
		return nil, err
	}
	// A domain's certificate, else the listener's own: the one that fits, or the first.
	// A listener without any refuses who names nothing of ours, or nothing at all, with
	// unrecognized_name (RFC 6066, 3), and so tells nobody what else it has.
	s.tls.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return keeper.For(hello), nil }
	s.tls.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if proof := keeper.Proof(hello); proof != nil {
			return proof, nil
		}
		return s.tlsFor(current(), hello.ServerName), nil
	}
	s.h2 = slices.Contains(s.tls.NextProtos, "h2")
	return s, nil
}

// stop closes the socket, and ends the connections when they become idle.
func (l *listener) stop() {
	l.once.Do(func() {
		l.stopped.Store(true)
		_ = l.socket.Close() // it was only listening
		l.active.wake()
		if d := l.datagrams.Load(); d != nil {
			d.stop()
		}
	})
}

// accept takes connections until the listener stops.
func (l *listener) accept() {
	defer l.server.work.Done()
	defer l.ended.Store(true)
	var pause time.Duration
	for {
		if !l.active.enter(int64(l.settings.Load().Connections), &l.stopped) {
			return
		}
		socket, err := l.socket.Accept()
		l.active.arrived()
		if err == nil && l.server.short(socket) {
			err = ErrFiles
			_ = socket.Close() // shed: nothing was read or written yet
		}
		if err == nil {
			pause = 0
			l.server.work.Add(1)
			go l.serve(socket)
			continue
		}
		l.active.leave()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Out of file descriptors or the like: those that are open go on, and
		// their end makes room.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		l.server.logger.Warn("cannot accept a connection", zap.String("listener", l.name), zap.Error(err), zap.Duration("again_in", pause))
		time.Sleep(pause)
	}
}

// serve takes one connection from its first byte to its end.
func (l *listener) serve(socket net.Conn) {
	s := l.server
	defer s.work.Done()
	defer l.active.leave()
	defer socket.Close() // a second close does no harm
	defer func() {
		if r := recover(); r != nil {
			s.logger.Error("panic in a connection", zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
		}
	}()
	g := l.greet(socket)
	if g == nil {
		return
	}
	defer l.crowd.open.Leave(g.key)
	if g.h2 {
		l.serveHTTP2(g)
		return
	}
	l.serveHTTP1(g)
}

// greeted is a connection that has come so far that requests can come.
type greeted struct {
	ends
	key     clients.Key // what it is counted under; 0: it isn't
	socket  net.Conn
	wire    *wire.Conn
	session *tls.Conn   // nil for cleartext
	state   *sessionTLS // nil for cleartext
	h2      bool        // it speaks HTTP/2
}

// greet takes a connection up to its first request; nil means that it is of no
// use. It is a function of its own, and stays one, for what it needs on the stack
// would double what an idle connection costs.
//
//go:noinline
func (l *listener) greet(socket net.Conn) *greeted {
	s, settings := l.server, l.settings.Load()
	g := &greeted{socket: socket}
	if !l.admit(settings, g) {
		return nil
	}
	if settings.tls == nil {
		g.wire = wire.NewConn(socket, socket, &s.buffers)
		if settings.h2 && !g.clear(settings) {
			l.crowd.open.Leave(g.key)
			return nil
		}
		return g
	}
	records := wire.NewRecords(socket, &s.buffers)
	g.session = tls.Server(records, settings.tls)
	limited, cancel := context.WithTimeout(context.Background(), time.Duration(settings.HeaderTimeout))
	defer cancel()
	if err := g.session.HandshakeContext(limited); err != nil {
		s.failures.count(err)
		s.logger.Debug("TLS handshake", zap.String("listener", l.name), zap.Stringer("client", g.client), zap.Error(err))
		l.crowd.open.Leave(g.key)
		return nil
	}
	state := g.session.ConnectionState()
	if state.NegotiatedProtocol == certificate.ProofProtocol { // RFC 8737, 3: that was all
		l.crowd.open.Leave(g.key)
		return nil
	}
	g.state = describeTLS(&state)
	g.h2 = state.NegotiatedProtocol == "h2" && settings.h2
	g.wire = wire.NewTLS(g.session, records, &s.buffers)
	return g
}

func (l *listener) serveHTTP1(g *greeted) {
	c := newConn(l, g)
	if !l.server.enter(c) {
		return
	}
	defer l.server.leave(c)
	c.serve()
}

// gauge counts connections up to a limit and makes the accept loop wait there.
// The zero value is ready to use.
type gauge struct {
	mu    sync.Mutex
	freed *sync.Cond
	n     int64
	ahead int64 // of n: 1 while the accept loop waits for whom it has counted already
}

// enter waits until there are fewer than limit and counts one more; false
// means that the listener stopped meanwhile.
func (g *gauge) enter(limit int64, stopped *atomic.Bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.freed == nil {
		g.freed = sync.NewCond(&g.mu)
	}
	for g.n >= limit && !stopped.Load() {
		g.freed.Wait()
	}
	if stopped.Load() {
		return false
	}
	g.n++
	g.ahead = 1
	return true
}

// arrived says that the accept loop doesn't wait any more.
func (g *gauge) arrived() {
	g.mu.Lock()
	g.ahead = 0
	g.mu.Unlock()
}

// try counts one more if there are fewer than limit, not counting whom the accept loop
// waits for: that one may be one too many.
func (g *gauge) try(limit int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n-g.ahead >= limit {
		return false
	}
	g.n++
	return true
}

func (g *gauge) leave() {
	g.mu.Lock()
	g.n--
	if g.freed != nil {
		g.freed.Signal()
	}
	g.mu.Unlock()
}

func (g *gauge) count() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

func (g *gauge) wake() {
	g.mu.Lock()
	if g.freed != nil {
		g.freed.Broadcast()
	}
	g.mu.Unlock()
}

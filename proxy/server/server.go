// Package server owns the public listeners: TLS, HTTP/1.1 with the gateway's own
// engine, HTTP/2, the swap of snapshots, and the drain.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/explain"
	"github.com/postern-gateway/postern/proxy/http2"
	"github.com/postern-gateway/postern/proxy/http3"
	"github.com/postern-gateway/postern/proxy/overload"
	"github.com/postern-gateway/postern/proxy/snapshot"
	"github.com/postern-gateway/postern/proxy/wire"
)

// Options are what a Server needs.
type Options struct {
	Logger *zap.Logger
	// Recorder gets the exchanges that matched no stage. Default: nobody.
	Recorder proxy.Recorder
	// Entropy returns random bits for request ids. Default: math/rand/v2, which
	// is a ChaCha8 stream that the operating system seeded.
	Entropy func() uint64
	// Open opens the socket of a listener. Default: a TCP socket at its address.
	Open func(name string, c *config.Listen) (net.Listener, error)
	// Overload tells when to do less. Default: never. Whoever made it closes it
	// after the server.
	Overload *overload.Monitor
	// Certificates has the certificates of domains, and answers authorities who check
	// names. Default: there are none. Whoever made it closes it after the server.
	Certificates *certificate.Keeper
	// Traces judges the tokens of requests that want to be traced, and keeps the traces.
	// Default: none is traced.
	Traces *explain.Desk
	// Poison overwrites memory that is given back, so that a test finds who keeps
	// strings of an exchange for too long.
	Poison bool
}

// Server answers clients. It outlives configurations: listeners that the next
// one names again stay open, and so do their connections. Safe for concurrent
// use.
type Server struct {
	logger   *zap.Logger
	recorder proxy.Recorder
	entropy  func() uint64
	listen   func(name string, c *config.Listen) (net.Listener, error)
	buffers  wire.Buffers
	desks    desks
	workers  http2.Workers
	streams  sync.Pool // of *stream
	date     dateText
	tickets  tls.Config // its keys seal the tickets of TLS sessions
	h2, h3   protocol

	certificates *certificate.Keeper
	traces       *explain.Desk

	current  atomic.Pointer[snapshot.Snapshot]
	draining atomic.Bool
	shards   atomic.Uint32 // works and streams so far
	overload *overload.Monitor
	refusals refusals
	failures handshakes
	open     atomic.Int64
	tunnels  atomic.Int64
	// HTTP/3 connections.
	alternatives atomic.Int64
	work         sync.WaitGroup // accept loops and connections

	mu        sync.Mutex // guards what follows
	listeners map[string]*listener
	leaving   []*listener // stopped, perhaps with requests under way
	conns     map[closer]struct{}
	closed    bool
}

// closer is an open connection.
type closer interface {
	// hurry asks an idle connection to end by itself soon.
	hurry(grace time.Duration)
	// kill closes the connection now.
	kill()
	// of returns the listener that it came in by.
	of() *listener
}

// New returns a server without listeners. Close ends it.
func New(o Options) *Server {
	s := &Server{logger: o.Logger, recorder: o.Recorder, entropy: o.Entropy, listen: o.Open, overload: o.Overload, certificates: o.Certificates, traces: o.Traces,
		listeners: make(map[string]*listener), conns: make(map[closer]struct{})}
	s.buffers.Poison = o.Poison
	s.h2 = protocol{"HTTP/2.0", http2.AppendStatus, http2.AppendField, http2.AppendLength}
	s.h3 = protocol{"HTTP/3.0", http3.AppendStatus, http3.AppendField, http3.AppendLength}
	if s.logger == nil {
		s.logger = zap.NewNop()
	}
	if s.recorder == nil {
		s.recorder = nobody{}
	}
	if s.entropy == nil {
		s.entropy = rand.Uint64
	}
	if s.listen == nil {
		s.listen = OpenTCP
	}
	if s.traces == nil {
		s.traces = &explain.Desk{}
	}
	if s.certificates == nil {
		s.certificates = certificate.New(certificate.Options{})
	}
	return s
}

// nobody is a recorder that records nothing.
type nobody struct{}

func (nobody) Record(*proxy.Exchange) {}

// Apply makes cfg's listeners and snap the server's: it opens listeners that are
// new, closes those that are gone, and lets requests from now on use snap. The
// snapshot before is closed and ends with its last request. Connections stay
// open; those of a listener that is gone are ended like in a drain.
//
// When a listener can't be opened or its certificates can't be used, nothing has
// changed, and snap still belongs to the caller.
func (s *Server) Apply(cfg *config.Config, snap *snapshot.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.draining.Load() {
		return errors.New("the server is stopping")
	}
	next, opened, err := s.prepare(cfg)
	if err != nil {
		for _, l := range opened {
			_ = l.socket.Close() // nothing was accepted yet
		}
		return err
	}
	old := s.current.Swap(snap)
	for name, l := range s.listeners {
		if next[name].listener != l {
			l.stop()
			s.leaving = append(s.leaving, l)
			s.hurry(l)
		}
	}
	s.listeners = make(map[string]*listener, len(next))
	for name, n := range next {
		n.listener.equip(n.settings)
		n.listener.settings.Store(n.settings)
		n.listener.alternate(n.settings)
		s.listeners[name] = n.listener
	}
	for _, l := range opened {
		s.work.Add(1)
		go l.accept()
	}
	if old != nil {
		old.Close()
	}
	s.renew()
	return nil
}

// prepared is a listener with the settings that it is about to get.
type prepared struct {
	listener *listener
	settings *settings
}

// prepare opens what cfg needs and changes nothing else.
func (s *Server) prepare(cfg *config.Config) (next map[string]prepared, opened []*listener, err error) {
	next = make(map[string]prepared, len(cfg.Listen))
	var problems []error
	for name, c := range cfg.Listen {
		settings, err := newSettings(&c, s.current.Load, &s.tickets, s.certificates)
		if err != nil {
			problems = append(problems, fmt.Errorf("listen.%s: %w", name, err))
			continue
		}
		if l := s.listeners[name]; l != nil && l.address == c.Address {
			next[name] = prepared{l, settings}
			continue
		}
		socket, err := s.listen(name, &c)
		if err != nil {
			problems = append(problems, fmt.Errorf("listen.%s: %w", name, err))
			continue
		}
		l := &listener{name: name, address: c.Address, server: s, socket: socket}
		l.settings.Store(settings)
		opened = append(opened, l)
		next[name] = prepared{l, settings}
	}
	return next, opened, errors.Join(problems...)
}

// Addrs returns the address of each listener by name.
func (s *Server) Addrs() map[string]net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make(map[string]net.Addr, len(s.listeners))
	for name, l := range s.listeners {
		addrs[name] = l.socket.Addr()
	}
	return addrs
}

// Stats are what the server is busy with.
type Stats struct {
	Connections int64 // open client connections
	InFlight    int64 // requests that are being answered, upgraded ones included
	Tunnels     int64 // connections that were upgraded, such as WebSockets
	HTTP3       int64 // of the connections, those that use HTTP/3

	// Refused says what was turned away so far, by the reason: "files",
	// "proxy_protocol", "connections", "client_connections" and "client_connection_rate"
	// count connections, "memory", "in_flight" and "client_request_rate" requests.
	Refused map[string]uint64

	// Handshakes says which TLS handshakes over TCP failed so far, by the reason:
	// "unrecognized_name" for names that have no certificate, "timeout", "closed" by the
	// client, "client_alert" for what the client said no to, such as a certificate that
	// it doesn't trust, and "protocol" for what the client couldn't do.
	Handshakes map[string]uint64
}

// Stats returns current figures.
func (s *Server) Stats() Stats {
	return Stats{Connections: s.open.Load(), InFlight: s.flying(), Tunnels: s.tunnels.Load(), HTTP3: s.alternatives.Load(), Refused: s.refusals.all(), Handshakes: s.failures.all()}
}

// idleGrace is how long an idle connection may still begin a request once the
// server drains: a client that is about to send one gets its answer.
const idleGrace = 2 * time.Second

// Drain stops accepting connections, answers what still arrives on those that
// are open with "Connection: close", and waits until they have ended. It
// returns ctx's error if they had not when ctx ended; Close then ends them.
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	s.mu.Lock()
	for _, l := range s.listeners {
		l.stop()
	}
	s.hurry(nil)
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		s.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d connections still open: %w", s.open.Load(), ctx.Err())
	}
}

// hurry asks the connections of l, or all if l is nil, to end soon. s.mu is held.
func (s *Server) hurry(l *listener) {
	for c := range s.conns {
		if l == nil || c.of() == l {
			c.hurry(idleGrace)
		}
	}
}

// Close ends the listeners and all connections at once, and waits for them.
func (s *Server) Close() error {
	s.draining.Store(true)
	s.mu.Lock()
	s.closed = true
	for _, l := range s.listeners {
		l.stop()
	}
	for c := range s.conns {
		c.kill()
	}
	s.mu.Unlock()
	s.work.Wait()
	s.workers.Close()
	if snap := s.current.Swap(nil); snap != nil {
		snap.Close()
	}
	return nil
}

// nextShard returns the number of the counters of what requests are answered with.
func (s *Server) nextShard() uint8 { return uint8(s.shards.Add(1)) }

// snapshot returns the current snapshot, acquired; nil when there is none.
func (s *Server) snapshot() *snapshot.Snapshot {
	for {
		snap := s.current.Load()
		if snap == nil || snap.Acquire() {
			return snap
		}
		// It was closed between the two calls: a newer one is there.
	}
}

// enter registers a connection; false means that the server is closed.
func (s *Server) enter(c closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	s.open.Add(1)
	return true
}

func (s *Server) leave(c closer) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.open.Add(-1)
}

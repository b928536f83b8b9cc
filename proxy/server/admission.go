package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/clients"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/overload"
)

// admission is what a configuration says of who may come in, and how often.
// Immutable but for the tables, which are the listener's.
type admission struct {
	trust       *trust   // nil: nobody is trusted
	preface     *preface // nil: nobody sends the header of the PROXY protocol
	arrivals    clients.Rate
	requests    clients.Rate
	arrivalLog  *clients.Rates // nil as long as arrivals has no bound
	requestsLog *clients.Rates // nil as long as requests has no bound
}

func newAdmission(c *config.Listen) (a admission, err error) {
	limits := &c.Limits.Client
	a.arrivals = clients.NewRate(float64(limits.ConnectionRate), limits.ConnectionBurst)
	a.requests = clients.NewRate(float64(limits.RequestRate), limits.RequestBurst)
	if a.trust, err = newTrust(c); err != nil {
		return a, fmt.Errorf("trusted_proxies: %w", err)
	}
	if a.preface, err = newPreface(c); err != nil {
		return a, fmt.Errorf("proxy_protocol: %w", err)
	}
	return a, nil
}

// ratedClients is how many clients a listener remembers the rates of: 1 MiB each.
const ratedClients = 64 << 10

// crowd is who is in: it outlives settings.
type crowd struct {
	flying      atomic.Int64 // requests under way
	open        clients.Census
	arrivalLog  *clients.Rates // guarded by Server.mu, as is the next
	requestsLog *clients.Rates
}

// equip gives s the listener's tables, those that it needs. Server.mu is held.
func (l *listener) equip(s *settings) {
	if s.arrivals.Bounds() && l.crowd.arrivalLog == nil {
		l.crowd.arrivalLog = clients.NewRates(time.Now(), ratedClients)
	}
	if s.requests.Bounds() && l.crowd.requestsLog == nil {
		l.crowd.requestsLog = clients.NewRates(time.Now(), ratedClients)
	}
	s.arrivalLog, s.requestsLog = l.crowd.arrivalLog, l.crowd.requestsLog
}

// exempt reports whether addr isn't bounded as a client: it speaks for many.
func (a *admission) exempt(addr netip.Addr) bool {
	return a.trust != nil && a.trust.proxies.has(addr)
}

// Why something is turned away; for logs, the client learns no more than the
// kind of fault.
var (
	ErrFiles    = errors.New("too few file descriptors are left")
	ErrShedding = errors.New("memory is nearly used up")
	ErrInFlight = errors.New("limits.in_flight is reached")
	ErrRate     = errors.New("limits.client.request_rate is exceeded")
)

// admit decides about the new connection g. It fills in the ends and, when the
// connection counts, the key.
func (l *listener) admit(s *settings, g *greeted) bool {
	g.ends = endsOf(g.socket)
	refused := &l.server.refusals
	if s.preface != nil {
		told, err := s.preface.read(g.socket, g.ends)
		if err != nil {
			refused.preface.Add(1)
			l.server.logger.Debug("PROXY protocol", zap.String("listener", l.name), zap.Stringer("from", g.client), zap.Error(err))
			return false
		}
		g.ends = told
	}
	key, ok := l.admitClient(s, g.client.Addr())
	g.key = key
	return ok
}

// admitClient decides about a new connection from addr, and returns the key under
// which it is counted, 0 if it isn't.
func (l *listener) admitClient(s *settings, addr netip.Addr) (counted clients.Key, ok bool) {
	key, known := clients.KeyOf(addr)
	if !known || s.exempt(addr) {
		return 0, true
	}
	if s.arrivals.Bounds() && s.arrivalLog.Take(key, s.arrivals, time.Now()) > 0 {
		l.server.refusals.arrivals.Add(1)
		return 0, false
	}
	if s.Client.Connections == 0 || addr.IsLoopback() {
		return 0, true
	}
	if !l.crowd.open.Enter(key, s.Client.Connections) {
		l.server.refusals.connections.Add(1)
		return 0, false
	}
	return key, true
}

// admitRequest decides about a request whose In is filled. flying is how many
// are under way with it.
func (l *listener) admitRequest(s *settings, ex *proxy.Exchange, flying int64) (refused proxy.Fault, ok bool) {
	if flying > int64(s.InFlight) {
		l.server.refusals.inFlight.Add(1)
		return proxy.Fault{Kind: proxy.Overloaded, Cause: ErrInFlight}, false
	}
	if l.server.overload.Level() >= overload.Shedding {
		l.server.refusals.memory.Add(1)
		return proxy.Fault{Kind: proxy.Overloaded, Cause: ErrShedding}, false
	}
	if !s.requests.Bounds() {
		return proxy.Fault{}, true
	}
	addr := ex.In.Client.Addr()
	key, known := clients.KeyOf(addr)
	if !known || s.exempt(addr) {
		return proxy.Fault{}, true
	}
	if wait := s.requestsLog.Take(key, s.requests, ex.Start); wait > 0 {
		l.server.refusals.requests.Add(1)
		return proxy.Fault{Kind: proxy.Throttled, RetryAfter: int((wait + time.Second - 1) / time.Second), Cause: ErrRate}, false
	}
	return proxy.Fault{}, true
}

// short reports whether so few file descriptors are left that socket, which was
// just accepted, had better be closed.
func (s *Server) short(socket net.Conn) bool {
	if s.overload == nil {
		return false
	}
	tcp, ok := socket.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	few := false
	if raw.Control(func(fd uintptr) { few = int(fd) >= s.overload.FileMark() }) != nil || !few {
		return false
	}
	s.refusals.files.Add(1)
	return true
}

// flying returns how many requests are under way.
func (s *Server) flying() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := int64(0)
	for _, l := range s.listeners {
		total += l.crowd.flying.Load()
	}
	kept := s.leaving[:0]
	for _, l := range s.leaving {
		n := l.crowd.flying.Load()
		if total += n; n > 0 || l.active.count() > 0 {
			kept = append(kept, l)
		}
	}
	clear(s.leaving[len(kept):])
	s.leaving = kept
	return total
}

// refusals counts what was turned away.
type refusals struct {
	files, preface, full, connections, arrivals atomic.Uint64 // connections
	memory, inFlight, requests                  atomic.Uint64 // requests
}

func (r *refusals) all() map[string]uint64 {
	return map[string]uint64{
		"files": r.files.Load(), "proxy_protocol": r.preface.Load(), "connections": r.full.Load(),
		"client_connections": r.connections.Load(), "client_connection_rate": r.arrivals.Load(),
		"memory": r.memory.Load(), "in_flight": r.inFlight.Load(), "client_request_rate": r.requests.Load(),
	}
}

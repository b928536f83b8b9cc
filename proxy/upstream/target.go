package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy/wire"
)

// target is one address of a backend with its unused connections.
type target struct {
	// Set at construction.
	address string // host:port
	host    string
	port    uint16
	fixed   netip.Addr // host, when it is an address
	tls     *tls.Config
	options *Options
	buffers *wire.Buffers
	maxIdle int
	hash    uint64 // of address

	announces announcement
	sessions  *sessions // nil for HTTP/1.1

	begun   atomic.Uint64 // tries of requests that were begun
	ended   atomic.Uint64 // of these, how many are over
	failed  atomic.Uint64 // of these, how many failed by the rules of ejection
	fails   atomic.Int32  // in a row
	risen   atomic.Int64  // when its slow start began, since the backend's birth; 0: it has none
	warming atomic.Int32  // connections that are being opened ahead

	state // guarded by the backend's mu

	mu     sync.Mutex // guards what follows
	idle   []*conn    // least recently used first
	conns  int        // connections, used and unused
	closed bool

	names names
}

func newTarget(address string, s *settings, o *Options, buffers *wire.Buffers) (*target, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("port %q of %s is not a number from 1 to 65535", portText, address)
	}
	t := &target{
		address: address, host: host, port: uint16(port), tls: s.tls, options: o, buffers: buffers, maxIdle: s.maxIdle,
		hash: hashText(address),
	}
	t.fixed, _ = netip.ParseAddr(host)
	t.announces = s.announces
	if s.multiplexes() {
		t.sessions = newSessions(t, s)
	}
	t.names.fresh = s.follow
	return t, nil
}

// busy returns how many requests are under way.
func (t *target) busy() int64 {
	ended := t.ended.Load() // first: the difference is never negative
	return int64(t.begun.Load() - ended)
}

// hasRoom reports whether one more request may have a connection, of which
// there are limit.
func (t *target) hasRoom(limit int) bool {
	return t.busy()+int64(t.warming.Load()) < int64(limit)
}

// figures returns how many connections are open, and how many of these unused.
func (t *target) figures() (open, idle int) {
	if t.sessions != nil {
		return t.sessions.figures()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conns, len(t.idle)
}

// connect opens a connection that counts as one of the target's.
func (t *target) connect(ctx context.Context, owner, local netip.AddrPort) (*conn, error) {
	t.mu.Lock()
	t.conns++
	t.mu.Unlock()
	c, err := t.dial(ctx, owner, local)
	if err != nil {
		t.lose()
		return nil, err
	}
	c.counted = true
	return c, nil
}

// lose counts a connection that is closed.
func (t *target) lose() {
	t.mu.Lock()
	t.conns--
	t.mu.Unlock()
}

// shed closes the connection that was unused for longest, if there is one.
func (t *target) shed() {
	t.mu.Lock()
	var c *conn
	if len(t.idle) > 0 {
		c = t.idle[0]
		copy(t.idle, t.idle[1:])
		t.idle[len(t.idle)-1] = nil
		t.idle = t.idle[:len(t.idle)-1]
	}
	t.mu.Unlock()
	if c != nil {
		c.close()
	}
}

// take returns owner's unused connection that was used last, or nil.
func (t *target) take(owner netip.AddrPort) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.idle) - 1; i >= 0; i-- {
		if c := t.idle[i]; c.owner == owner {
			t.idle = slices.Delete(t.idle, i, i+1)
			return c
		}
	}
	return nil
}

// put keeps c for later, or closes it when there are enough.
func (t *target) put(c *conn) {
	t.mu.Lock()
	if t.closed || len(t.idle) >= t.maxIdle && (t.announces == 0 || t.maxIdle == 0) {
		t.mu.Unlock()
		c.close()
		return
	}
	var oldest *conn
	if len(t.idle) >= t.maxIdle {
		// Each serves one client only: room for the one that is here now.
		oldest = t.idle[0]
		t.idle = slices.Delete(t.idle, 0, 1)
	}
	t.idle = append(t.idle, c)
	t.mu.Unlock()
	if oldest != nil {
		oldest.close()
	}
}

// sweep closes connections that weren't used since before, or whose peer left
// or sent what nobody asked for.
func (t *target) sweep(before time.Time) {
	if t.sessions != nil {
		t.sessions.sweep(before)
	}
	t.mu.Lock()
	var old []*conn
	kept := t.idle[:0]
	for _, c := range t.idle {
		if c.since.Before(before) || !c.rests() {
			old = append(old, c)
		} else {
			kept = append(kept, c)
		}
	}
	clear(t.idle[len(kept):])
	t.idle = kept
	t.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// close closes the unused connections and keeps no further ones.
func (t *target) close() {
	if t.sessions != nil {
		t.sessions.close()
	}
	t.mu.Lock()
	idle := t.idle
	t.idle, t.closed = nil, true
	t.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

// dial opens a connection for HTTP/1.1; owner and local are open's.
func (t *target) dial(ctx context.Context, owner, local netip.AddrPort) (*conn, error) {
	secure, socket, err := t.open(ctx, owner, local)
	if err != nil {
		return nil, err
	}
	c := newConn(t, wire.NewConn(secure, socket, t.buffers))
	c.owner = owner
	return c, nil
}

// open opens a connection: each address of the host in turn, until ctx ends.
// secure is socket itself when there is no TLS. owner and local, the gateway's
// end of that client's connection, are what the PROXY protocol tells, if it is
// spoken.
func (t *target) open(ctx context.Context, owner, local netip.AddrPort) (secure, socket net.Conn, err error) {
	addresses, err := t.addresses(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("look up %s: %w", t.host, err)
	}
	for i, address := range addresses {
		one, cancel := share(ctx, len(addresses)-i)
		socket, err = t.options.Dial(one, netip.AddrPortFrom(address, t.port))
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if err := t.announces.announce(ctx, socket, owner, local); err != nil {
		_ = socket.Close() // of no use
		return nil, nil, err
	}
	if t.tls == nil {
		return socket, socket, nil
	}
	session := tls.Client(socket, t.tls)
	if err := session.HandshakeContext(ctx); err != nil {
		_ = socket.Close() // the handshake's error says more
		return nil, nil, fmt.Errorf("TLS with %s: %w", t.host, err)
	}
	return session, socket, nil
}

// share returns a context with an nth of the time that ctx has left, so that
// one address that doesn't answer leaves time for the others.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, limited := ctx.Deadline()
	if !limited || n <= 1 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

func (t *target) addresses(ctx context.Context) ([]netip.Addr, error) {
	if t.fixed.IsValid() {
		return []netip.Addr{t.fixed}, nil
	}
	return t.names.lookUp(ctx, t.host, t.options.Resolve)
}

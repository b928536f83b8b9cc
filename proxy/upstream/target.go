package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
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
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conns, len(t.idle)
}

// connect opens a connection that counts as one of the target's.
func (t *target) connect(ctx context.Context) (*conn, error) {
	t.mu.Lock()
	t.conns++
	t.mu.Unlock()
	c, err := t.dial(ctx)
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

// take returns the unused connection that was used last, or nil.
func (t *target) take() *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.idle)
	if n == 0 {
		return nil
	}
	c := t.idle[n-1]
	t.idle[n-1] = nil
	t.idle = t.idle[:n-1]
	return c
}

// put keeps c for later, or closes it when there are enough.
func (t *target) put(c *conn) {
	t.mu.Lock()
	if t.closed || len(t.idle) >= t.maxIdle {
		t.mu.Unlock()
		c.close()
		return
	}
	t.idle = append(t.idle, c)
	t.mu.Unlock()
}

// sweep closes connections that weren't used since before, or whose peer left.
func (t *target) sweep(before time.Time) {
	t.mu.Lock()
	var old []*conn
	kept := t.idle[:0]
	for _, c := range t.idle {
		if c.since.Before(before) || c.wire.Gone() {
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
	t.mu.Lock()
	idle := t.idle
	t.idle, t.closed = nil, true
	t.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

// dial opens a connection: each address of the host in turn, until ctx ends.
func (t *target) dial(ctx context.Context) (*conn, error) {
	addresses, err := t.addresses(ctx)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", t.host, err)
	}
	var socket net.Conn
	for i, address := range addresses {
		one, cancel := share(ctx, len(addresses)-i)
		socket, err = t.options.Dial(one, netip.AddrPortFrom(address, t.port))
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	secure := socket
	if t.tls != nil {
		session := tls.Client(socket, t.tls)
		if err := session.HandshakeContext(ctx); err != nil {
			_ = socket.Close() // the handshake's error says more
			return nil, fmt.Errorf("TLS with %s: %w", t.host, err)
		}
		secure = session
	}
	return newConn(t, wire.NewConn(secure, socket, t.buffers)), nil
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

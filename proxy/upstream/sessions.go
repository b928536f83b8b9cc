package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// How much of an answer one stream may have under way before the exchange has
// taken it, in bytes. The connection as a whole has no tighter bound, so that a
// client that reads slowly never holds up the streams of others.
const streamWindow = 1 << 20

// suspectWait is how long a connection on which a request timed out may take to
// answer a PING before it is given up.
const suspectWait = 5 * time.Second

// sessions are the HTTP/2 connections to one target; many exchanges share each.
// Safe for concurrent use.
type sessions struct {
	// Set at construction.
	target    *target
	backend   *settings
	transport *http2.Transport
	ctx       context.Context // ends with close
	cancel    context.CancelFunc

	mu      sync.Mutex // guards what follows, and the sessions' own fields
	all     []*session
	opening map[netip.AddrPort]*opening
	closed  bool
}

// session is one HTTP/2 connection.
type session struct {
	// Set at construction.
	conn  *http2.ClientConn
	owner netip.AddrPort // the client that it was opened for; zero for everybody

	// Guarded by sessions.mu.
	active  int       // exchanges that have a stream or are about to open one
	carried bool      // it has carried a request before
	since   time.Time // when the last exchange left it
	doubted bool      // a PING is to show whether the peer still lives
	broken  bool      // not for new exchanges
}

// opening is a connection attempt that several exchanges may wait for.
type opening struct {
	ended chan struct{}
	err   error // valid after ended
}

func newSessions(t *target, s *settings) *sessions {
	p := &sessions{target: t, backend: s, opening: make(map[netip.AddrPort]*opening)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.transport = newTransport(s)
	return p
}

// take returns a connection with room for one more stream, which is reserved.
// carried says that it has carried requests before.
func (p *sessions) take(ctx context.Context, owner, local netip.AddrPort) (s *session, carried bool, err error) {
	for {
		s, carried, attempt, err := p.find(owner, local)
		if s != nil || err != nil {
			return s, carried, err
		}
		select {
		case <-attempt.ended:
		case <-ctx.Done():
			return nil, false, connectError{ctx.Err()}
		}
		if attempt.err != nil {
			return nil, false, connectError{attempt.err}
		}
	}
}

// find returns a connection with room, or the attempt to open one.
func (p *sessions) find(owner, local netip.AddrPort) (found *session, carried bool, attempt *opening, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, nil, connectError{errors.New("the backend was taken out of the configuration")}
	}
	var ended []*session
	for _, s := range p.all {
		switch {
		case s.owner != owner || s.broken || s.doubted:
		case s.conn.ReserveNewRequest():
			carried, s.carried = s.carried, true
			s.active++
			found = s
		case s.active == 0:
			ended = append(ended, s) // the peer has closed it, or is about to
		}
		if found != nil {
			break
		}
	}
	for _, s := range ended {
		p.drop(s)
	}
	if found != nil {
		return found, carried, nil, nil
	}
	if attempt = p.opening[owner]; attempt == nil {
		if limit := p.backend.perOne; limit > 0 && len(p.all)+len(p.opening) >= limit {
			p.drop(p.oldest()) // of another owner, or in doubt
		}
		attempt = &opening{ended: make(chan struct{})}
		p.opening[owner] = attempt
		go p.open(owner, local, attempt)
	}
	return nil, false, attempt, nil
}

// open opens a connection for whoever waits for attempt.
func (p *sessions) open(owner, local netip.AddrPort, attempt *opening) {
	ctx, cancel := context.WithTimeout(p.ctx, p.backend.connect)
	defer cancel()
	conn, err := p.connect(ctx, owner, local)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.opening, owner)
	if err == nil && p.closed {
		_ = conn.Close() // nobody has used it
		err = context.Canceled
	}
	if err == nil {
		p.all = append(p.all, &session{conn: conn, owner: owner, since: time.Now()})
	}
	attempt.err = err
	close(attempt.ended)
}

// connect opens a connection and sees that HTTP/2 is spoken at the other end.
func (p *sessions) connect(ctx context.Context, owner, local netip.AddrPort) (*http2.ClientConn, error) {
	secure, socket, err := p.target.open(ctx, owner, local)
	if err != nil {
		return nil, err
	}
	if t, ok := secure.(*tls.Conn); ok {
		if agreed := t.ConnectionState().NegotiatedProtocol; agreed != http2.NextProtoTLS {
			_ = secure.Close() // nothing was said yet
			return nil, fmt.Errorf("%s didn't agree on HTTP/2 in the TLS handshake (ALPN): it chose %q", p.target.host, agreed)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer stop()
	conn, err := p.transport.NewClientConn(secure)
	if err != nil {
		_ = secure.Close() // of no use
		return nil, fmt.Errorf("HTTP/2 with %s: %w", p.target.host, err)
	}
	// The answer to a PING comes behind the peer's SETTINGS, which say how many
	// streams it allows; and it shows that the peer speaks HTTP/2 at all, before a
	// request is entrusted to it.
	if err := conn.Ping(ctx); err != nil {
		_ = conn.Close() // of no use
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("HTTP/2 with %s: no answer to the first PING: %w", p.target.host, err)
	}
	if !conn.CanTakeNewRequest() {
		_ = conn.Close() // of no use
		return nil, fmt.Errorf("HTTP/2 with %s: it allows no streams", p.target.host)
	}
	return conn, nil
}

// leave ends an exchange's share in s. broken says that s is of no more use.
func (p *sessions) leave(s *session, broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.active--
	s.since = time.Now()
	s.broken = s.broken || broken
	if s.active > 0 {
		return
	}
	if s.broken || p.closed || p.backend.maxIdle == 0 || !s.doubted && !s.conn.CanTakeNewRequest() {
		p.drop(s)
		return
	}
	if p.unused() > p.backend.maxIdle {
		p.drop(p.oldest())
	}
}

// oldest returns the connection that is unused for longest; nil when there is
// none.
func (p *sessions) oldest() (oldest *session) {
	for _, s := range p.all {
		if s.active == 0 && (oldest == nil || s.since.Before(oldest.since)) {
			oldest = s
		}
	}
	return oldest
}

// unused returns how many connections carry no exchange.
func (p *sessions) unused() (n int) {
	for _, s := range p.all {
		if s.active == 0 {
			n++
		}
	}
	return n
}

// figures returns how many connections are open, and how many of these unused.
func (p *sessions) figures() (open, idle int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all) + len(p.opening), p.unused()
}

// drop forgets s and closes it; nil is none. p.mu is held.
func (p *sessions) drop(s *session) {
	if s == nil {
		return
	}
	if i := slices.Index(p.all, s); i >= 0 {
		p.all = slices.Delete(p.all, i, i+1)
	}
	go func() { _ = s.conn.Close() }() // closing TLS can wait for the peer for a moment
}

// suspect finds out whether the peer of s lives, after a request on it got no
// answer in time. Until then s gets no further requests. A regular PING would do
// too, but gRPC servers take more than one in five minutes for an attack.
func (p *sessions) suspect(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.doubted || s.broken || p.closed {
		return
	}
	s.doubted = true
	go func() {
		ctx, cancel := context.WithTimeout(p.ctx, suspectWait)
		defer cancel()
		err := s.conn.Ping(ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		s.doubted = false
		if err == nil || p.closed {
			return
		}
		s.broken = true
		p.drop(s) // its other streams wait for nothing, too
	}()
}

// sweep closes connections that weren't used since before.
func (p *sessions) sweep(before time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range slices.Clone(p.all) {
		if s.active == 0 && !s.doubted && (s.since.Before(before) || !s.conn.CanTakeNewRequest()) {
			p.drop(s)
		}
	}
}

// close closes unused connections now and the others when their exchanges end.
func (p *sessions) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.cancel()
	for _, s := range slices.Clone(p.all) {
		if s.active == 0 {
			p.drop(s)
		}
	}
}

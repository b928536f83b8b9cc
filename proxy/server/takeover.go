package server

import (
	"os"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/wire"
)

// give sends the reply 101 and notes whose the connection is from now on: serve hands it
// over when the exchange has ended. Whether the reply could be sent makes no difference
// to the new owner, who has counted on the connection and sees that it is broken.
func (c *conn) give(t proxy.Takeover) {
	_ = c.reply.flush(c.appendSwitch(nil))
	c.taken.Store(&t)
	if c.server.draining.Load() || c.listener.stopped.Load() { // the one who said so didn't see taken
		t.Leave()
	}
}

// handOver has the connection's new owner speak with the client. It stays a function of
// its own, for the stack of connections that never come here.
//
//go:noinline
func (c *conn) handOver() {
	c.rest()
	c.wire.SetSize(wire.Medium)
	c.server.tunnels.Add(1)
	defer c.server.tunnels.Add(-1)
	(*c.taken.Load()).Serve(c.ctx, &link{conn: c})
}

// renew tells the connections that others own of a new configuration. s.mu is held.
func (s *Server) renew() {
	for c := range s.conns {
		if c, is := c.(*conn); is {
			if t := c.taken.Load(); t != nil {
				(*t).Renew()
			}
		}
	}
}

// link is a connection for who has taken it over.
type link struct {
	conn        *conn
	used        int // bytes that Next returned last
	interrupted atomic.Bool
	latest      atomic.Pointer[time.Time] // when writes are to end; nil for what the settings say
}

// Next implements proxy.Link.
func (l *link) Next(until time.Time) ([]byte, error) {
	w := l.conn.wire
	if l.used > 0 {
		w.Discard(l.used)
		w.Release()
		l.used = 0
	}
	if l.interrupted.Swap(false) {
		return nil, os.ErrDeadlineExceeded
	}
	if len(w.Buffered()) == 0 {
		if err := w.SetReadDeadline(until); err != nil {
			return nil, err
		}
		if l.interrupted.Swap(false) { // the deadline above took back the one that Interrupt had set
			return nil, os.ErrDeadlineExceeded
		}
		if err := w.Await(); err != nil {
			l.interrupted.Store(false)
			return nil, err
		}
	}
	b := w.Buffered()
	l.used = len(b)
	return b, nil
}

// Interrupt implements proxy.Link.
func (l *link) Interrupt() {
	l.interrupted.Store(true)
	l.conn.wire.Abort()
}

// Write implements proxy.Link.
func (l *link) Write(b []byte) error {
	c := l.conn
	if err := c.wire.SetWriteTimeout(time.Now(), time.Duration(c.settings.WriteTimeout)); err != nil {
		return err
	}
	if until := l.latest.Load(); until != nil {
		_ = c.socket.SetWriteDeadline(*until) // fails on a closed connection only
	}
	_, err := c.wire.Write(b)
	return err
}

// Hurry implements proxy.Link. A Write that sets its deadline at the same time looks for
// this one afterwards.
func (l *link) Hurry(d time.Duration) {
	until := time.Now().Add(d)
	l.latest.Store(&until)
	_ = l.conn.socket.SetWriteDeadline(until) // fails on a closed connection only
}

// Hold implements proxy.Link.
func (l *link) Hold(api, stage string) (*proxy.Messages, proxy.Held) {
	snap := l.conn.server.snapshot()
	if snap == nil {
		return nil, nil
	}
	m := snap.Messages(api, stage)
	if m == nil {
		snap.Release()
		return nil, nil
	}
	return m, snap
}

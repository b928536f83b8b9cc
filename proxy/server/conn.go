package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/overload"
	"github.com/postern-gateway/postern/proxy/wire"
)

// conn is one HTTP/1.1 client connection. One goroutine serves it, request after
// request; the same goroutine speaks to the backend.
type conn struct {
	// Set at construction.
	listener *listener
	server   *Server
	socket   net.Conn
	wire     *wire.Conn
	session  *sessionTLS
	client   netip.AddrPort
	address  string // client's address as text
	local    netip.AddrPort
	ctx      context.Context // ends with the connection
	cancel   context.CancelFunc

	// Owned by the serving goroutine.
	settings *settings
	now      time.Time // when the clock was read last
	clock    clock
	*work    // lent from the first byte of a request to the wait for the next
	life     lifetime
	served   int         // requests so far
	parsed   int         // bytes of the head that was parsed but not answered yet
	looked   time.Time   // when the socket was last seen to be empty and open
	quickly  func() bool // c.quick, made once
	slow     bool        // the request's head came in pieces
	closing  bool        // this is the last request
	over     bool        // it is answered
	unread   bool        // the client may still be sending when the connection is closed

	busy    atomic.Bool                  // more of a request is read than what came with its head
	back    atomic.Pointer[proxy.Tunnel] // the open tunnel
	leaving atomic.Bool                  // it is to end
	taken   atomic.Pointer[proxy.Takeover]
}

func newConn(l *listener, g *greeted) *conn {
	c := &conn{listener: l, server: l.server, socket: g.socket, wire: g.wire, session: g.state}
	c.client, c.local = g.client, g.local
	c.wire.Own()
	c.address = c.client.Addr().WithZone("").String()
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.quickly = c.quick
	c.now = c.clock.read()
	c.life.begin(c.now, l.server.entropy())
	return c
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// hurry implements closer.
func (c *conn) hurry(grace time.Duration) {
	if !c.busy.Load() {
		_ = c.socket.SetReadDeadline(time.Now().Add(grace)) // fails on a closed connection only
	}
	if t := c.taken.Load(); t != nil {
		(*t).Leave()
	}
}

// of implements closer.
func (c *conn) of() *listener { return c.listener }

// kill implements closer.
func (c *conn) kill() {
	if c.leave() {
		return
	}
	c.cancel()
	if t := c.taken.Load(); t != nil {
		(*t).Cut()
		return
	}
	if !c.wire.Cut() {
		_ = c.socket.Close()
	}
}

// Inform implements proxy.Client. RFC 9110, 15.2: HTTP/1.0 has no 1xx.
func (c *conn) Inform(status int, fields http1.Fields) error {
	if c.request.Minor == 0 {
		return nil
	}
	return c.reply.inform(status, fields)
}

// Gone implements proxy.Client.
func (c *conn) Gone() bool { return c.wire.Gone() }

// serve answers requests until the connection ends.
func (c *conn) serve() {
	defer c.cancel()
	defer c.wire.Close()
	defer c.life.unbound()
	defer c.rest()
	for {
		c.settings = c.listener.settings.Load()
		start, err := c.await()
		if err != nil {
			return
		}
		if !c.over {
			if len(c.wire.Buffered()) == 0 {
				continue // quick has answered what came
			}
			if c.served == 0 {
				deepen()
			}
			if c.work == nil {
				c.work = c.server.desks.take(c)
			}
			if err := c.readHead(start); err != nil {
				c.refuse(start, err)
				c.work.request.Reset() // what it knows of this head isn't for the next connection
				return
			}
			c.over = !c.answer(start)
		}
		if c.over {
			switch { // one more return would make the function's defers dear
			case c.taken.Load() != nil:
				c.handOver()
			case c.unread:
				c.linger()
			}
			return
		}
	}
}

// await waits for the first byte of the next request and returns its time.
func (c *conn) await() (time.Time, error) {
	now := c.now
	if len(c.wire.Buffered()) > 0 { // pipelined
		return now, nil
	}
	// Draining is looked at after busy is cleared, and hurry looks at busy after
	// draining is set: one of the two sees the other.
	if c.busy.Load() { // for most requests it never was: spares two exchanges of memory for each
		c.busy.Store(false)
	}
	wait := time.Duration(c.settings.IdleTimeout)
	if c.served == 0 {
		wait = time.Duration(c.settings.HeaderTimeout)
	}
	if c.ending() {
		wait = min(wait, idleGrace)
	}
	if err := c.wire.SetReadTimeout(now, wait); err != nil {
		return now, err
	}
	if c.ending() {
		if err := c.wire.SetReadDeadline(now.Add(min(wait, idleGrace))); err != nil {
			return now, err
		}
	}
	c.rest()
	if err := c.wire.AwaitEach(c.quickly); err != nil {
		return now, err
	}
	if c.work == nil {
		c.now = c.clock.read()
	}
	return c.now, nil
}

// rest gives the work back, which is most of what a connection holds.
func (c *conn) rest() {
	if c.work != nil {
		c.server.desks.give(c.work)
		c.work = nil
	}
}

// ending reports whether connections are to end with their current request.
func (c *conn) ending() bool {
	return c.server.draining.Load() || c.listener.stopped.Load() || c.server.overload.Level() > overload.Calm
}

// readHead reads and parses the request's head.
func (c *conn) readHead(start time.Time) error {
	if c.parsed > 0 {
		c.begin(c.parsed)
		return nil
	}
	c.slow = false
	for {
		n, err := c.parse()
		if err == nil {
			c.begin(n)
			return nil
		}
		if err != http1.ErrIncomplete {
			return err
		}
		if !c.slow {
			c.slow = true
			c.busy.Store(true)
			if err := c.wire.SetReadDeadline(start.Add(time.Duration(c.settings.HeaderTimeout))); err != nil {
				return err
			}
		}
		if err := c.wire.Fill(c.settings.head.Line + c.settings.head.Head + http1.HeadFrame); err != nil {
			return err
		}
	}
}

// parse parses the head of what is buffered.
func (c *conn) parse() (n int, err error) {
	c.request.Fields = c.ex.In.Fields[:0]
	return c.request.Parse(c.wire.Buffered(), &c.settings.head)
}

// begin makes what is parsed, n bytes, the request to answer.
func (c *conn) begin(n int) {
	c.parsed = 0
	c.wire.Discard(n)
	c.wire.Pin()
}

// answer takes one request through the pipeline and sends the reply. It
// reports whether the connection can take another request.
func (c *conn) answer(start time.Time) (goOn bool) {
	ex := &c.ex
	c.served++
	flying := c.listener.crowd.flying.Add(1)
	snap := c.server.snapshot()
	defer func() {
		if snap != nil {
			snap.Release()
		}
		c.listener.crowd.flying.Add(-1)
		if r := recover(); r != nil { // a mistake outside of the pipeline's own boundary
			c.server.panicked(r)
			ex.End()
			goOn = false
		}
	}()
	ex.Begin(start, c)
	if c.slow {
		ex.Now() // for whoever asks it for the latest
	}
	ex.Shard = c.work.shard
	c.identify()
	refused, ok := c.fill()
	c.closing = !ok || !c.request.KeepAlive || c.served >= c.settings.Requests || c.ending() || c.life.over(c.settings, start)
	if limit := c.settings.RequestTime; limit > 0 {
		c.life.bound(c, time.Duration(limit))
	}
	if ok {
		c.listener.dispatch(c.ctx, c.settings, snap, ex, flying, &c.body.limit)
	} else {
		ex.Refuse(refused)
	}
	if ex.Reply.Tunnel != nil {
		// The steps are done; a tunnel that stays open keeps no configuration alive.
		snap.Release()
		snap = nil
	}
	c.now = ex.Lately()
	goOn = c.send()
	c.life.unbound()
	ex.Notes.BytesIn = c.body.received.Load()
	c.now = ex.Now()
	ex.Times.Total = c.now.Sub(start)
	c.server.recorderOf(ex).Record(ex)
	ex.End()
	c.wire.Unpin()
	return goOn
}

// send writes the reply and reports whether the connection can go on.
func (c *conn) send() bool {
	ex := &c.ex
	if ex.Fault != nil && ex.Fault.Kind == proxy.ClientGone {
		ex.Notes.ClientGone = true
		return false
	}
	if ex.Reply.Tunnel != nil {
		c.life.unbound()
		c.tunnel()
		return false
	}
	if ex.Reply.Takeover != nil {
		c.give(ex.Reply.Takeover)
		return false
	}
	if !c.body.finished() {
		// What is left of the content would be taken for the next request. While an
		// upload may be reading it, nobody else looks at it.
		c.closing = c.closing || ex.Out.Body != nil || !c.body.skip()
	}
	if err := c.reply.write(); err != nil {
		c.body.Abort()
		return false
	}
	if c.closing || !c.body.finished() {
		c.body.Abort()
		c.unread = true
		return false
	}
	return true
}

// refuse answers what isn't a request and ends the connection.
func (c *conn) refuse(start time.Time, err error) {
	var bad *http1.Error
	f := proxy.Fault{Kind: proxy.BadRequest, Cause: err}
	switch {
	case errors.As(err, &bad):
		f.Kind = headFault(bad.Status)
		f.Message = bad.Reason
	case errors.Is(err, wire.ErrFull):
		f.Kind = proxy.HeadTooLarge
	case !wire.TimedOut(err) || c.served > 0 && len(c.wire.Buffered()) == 0:
		return // the client left
	default:
		f.Kind = proxy.RequestTimeout
	}
	c.now = time.Now()
	ex := &c.ex
	ex.Begin(start, c)
	ex.Shard = c.work.shard
	c.identify()
	ex.In.Method, ex.In.Proto = "-", "HTTP/1.1"
	ex.In.Client, ex.In.Local, ex.In.TLS = c.client, c.local, c.session
	ex.Refuse(f)
	c.closing = true
	c.request.Minor = 1
	c.request.Method = ""
	if c.reply.write() == nil {
		c.linger()
	}
	ex.Times.Total = time.Since(start)
	c.server.recorderOf(ex).Record(ex)
	ex.End()
}

// headFault returns the fault for the status that the codec asks for.
func headFault(status int) proxy.FaultKind {
	switch status {
	case 414:
		return proxy.URITooLong
	case 431:
		return proxy.HeadTooLarge
	case 501:
		return proxy.UnknownCoding
	case 505:
		return proxy.UnknownVersion
	}
	return proxy.BadRequest
}

// How long and how much is read from a client whose connection is ended, so
// that it gets the reply and not a reset. RFC 9112, 9.6.
const (
	lingerTime  = time.Second
	lingerBytes = 512 << 10
)

// linger ends our direction and waits a little for the client to end its own.
func (c *conn) linger() {
	if c.body.finished() && len(c.wire.Buffered()) == 0 && c.session == nil && !c.refusing() {
		return // nothing unread: a plain close resets nothing
	}
	c.outlast()
}

// outlast is linger for a connection on which something may be unread.
func (c *conn) outlast() {
	_ = c.wire.CloseWrite() // the connection ends either way
	if c.wire.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	buf := c.server.buffers.Take(wire.Medium)
	defer c.server.buffers.Give(buf)
	for total := 0; total < lingerBytes; {
		n, err := c.wire.Read(buf)
		total += n
		if err != nil {
			return
		}
	}
}

// refusing reports whether the request was given up before its end.
func (c *conn) refusing() bool { return c.ex.Fault != nil }

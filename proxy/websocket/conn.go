package websocket

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy"
)

// Why nothing can be sent to a connection.
var (
	ErrGone = errors.New("the connection is gone")
	ErrFull = errors.New("the client leaves too much unread")
)

// How long a client may take to answer a Close frame: one who keeps to the protocol, and
// one whose frames are no longer understood, or who is in our way.
const (
	goodbye      = 2 * time.Second
	shortGoodbye = time.Second
)

// Conn is the connection of one client. Its methods are safe for concurrent use.
type Conn struct {
	// Set at construction.
	hub        *Hub
	api, stage string // names
	limits     *limits
	socket     proxy.Socket // of $connect
	caller     proxy.Caller
	domain     proxy.Domain
	tls        *proxy.TLS
	scheme     string
	host, port string
	client     netip.AddrPort
	address    string // client's, as text
	local      netip.AddrPort
	hops       string
	agent      string
	path       string // what $context.path was at $connect
	shard      uint8
	private    bool
	trusted    bool

	// Set by Serve, before mu is taken for the first time after it.
	link proxy.Link
	ctx  context.Context

	last atomic.Int64 // when anything last went by, in Unix nanoseconds

	// Owned by the reading goroutine.
	decoder decoder
	control controls

	mu      sync.Mutex // guards what follows
	changed sync.Cond  // of mu: one of these has
	served  bool       // link is there
	// From the client.
	queue   []message
	working bool // a goroutine goes through queue
	// To the client.
	out     [][]byte // frames
	unsent  int      // bytes of them, those that are being written among them
	pong    []byte   // the answer to the latest ping; nil for none
	pumping bool     // a goroutine writes
	broken  bool     // writing failed
	// The end.
	parting bool   // a Close frame is among out, or was: nothing follows
	end     ending // what it says
	leaving bool   // the client is to be sent away
	cut     bool   // at once
	dead    bool   // nothing can be sent any more
}

// message is a message of the client that waits for its turn.
type message struct {
	content []byte
	arrived time.Time
}

// ID returns what names the connection.
func (c *Conn) ID() string { return c.socket.ConnectionID }

// Send sends a text to the client, whole. It doesn't wait: it fails with ErrFull when
// the client has left more unread than the API's send_buffer, and with ErrGone.
func (c *Conn) Send(text []byte) error {
	frame := appendFrame(make([]byte, 0, len(text)+10), opText, text)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.send(frame)
}

// send is Send of a frame. c.mu is held.
func (c *Conn) send(frame []byte) error {
	switch {
	case c.parting || c.dead:
		return ErrGone
	case c.unsent > 0 && c.unsent+len(frame) > c.limits.unread:
		return ErrFull
	}
	c.push(frame)
	return nil
}

// answer is Send for the goroutine of the client's messages, which waits for room.
func (c *Conn) answer(text []byte) error {
	frame := appendFrame(make([]byte, 0, len(text)+10), opText, text)
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		err := c.send(frame)
		if err != ErrFull || c.cut {
			return err
		}
		c.changed.Wait()
	}
}

// push appends a frame to what is sent. c.mu is held.
func (c *Conn) push(frame []byte) {
	c.out = append(c.out, frame)
	c.unsent += len(frame)
	c.pump()
}

// pump sees to a goroutine that writes. c.mu is held.
func (c *Conn) pump() {
	if c.pumping || !c.served || c.broken {
		return
	}
	c.pumping = true
	go c.write()
}

// write writes what there is to write.
func (c *Conn) write() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var frame []byte
	for !c.broken && (c.pong != nil || len(c.out) > 0) {
		if frame = c.pong; frame != nil && !c.parted() {
			c.pong = nil
		} else if c.pong = nil; len(c.out) > 0 {
			frame = c.out[0]
			c.out[0] = nil
			c.out = c.out[1:]
			c.unsent -= len(frame)
		} else {
			break
		}
		c.unsent += len(frame)
		c.mu.Unlock()
		err := c.link.Write(frame)
		c.touch()
		c.mu.Lock()
		c.unsent -= len(frame)
		if err != nil {
			c.broken, c.dead = true, true
			c.link.Interrupt()
		}
		c.changed.Broadcast()
	}
	c.out, c.pumping = nil, false
	c.changed.Broadcast()
}

// parted reports whether the Close frame was written, or is being. c.mu is held.
func (c *Conn) parted() bool { return c.parting && len(c.out) == 0 }

// part sends a Close frame, the last one. c.mu is held.
func (c *Conn) part(code int, reason string) {
	if c.parting || c.dead {
		return
	}
	c.parting, c.end = true, ending{code, reason}
	c.push(appendClose(nil, code, reason))
}

// Close ends the connection from our side.
func (c *Conn) Close(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.part(code, reason)
	c.wake()
}

// wake has the reading goroutine look at what has changed. c.mu is held.
func (c *Conn) wake() {
	c.changed.Broadcast()
	if c.served {
		c.link.Interrupt()
	}
}

// Leave implements proxy.Takeover.
func (c *Conn) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.leaving {
		c.leaving = true
		c.wake()
	}
}

// Cut implements proxy.Takeover.
func (c *Conn) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.cut {
		c.cut = true
		c.part(closeGoingAway, "")
		if c.served {
			c.link.Hurry(shortGoodbye)
		}
		c.wake()
	}
}

// Renew implements proxy.Takeover.
func (c *Conn) Renew() {
	c.mu.Lock()
	link := c.link
	c.mu.Unlock()
	if link == nil {
		return
	}
	m, held := link.Hold(c.api, c.stage)
	if m == nil {
		c.Leave()
		return
	}
	held.Release()
}

func (c *Conn) touch() { c.last.Store(time.Now().UnixNano()) }

// Serve implements proxy.Takeover.
func (c *Conn) Serve(ctx context.Context, l proxy.Link) {
	c.touch()
	c.mu.Lock()
	c.link, c.ctx, c.served = l, ctx, true
	if len(c.out) > 0 { // sent meanwhile
		c.pump()
	}
	c.mu.Unlock()
	c.Renew()
	end := c.read()
	c.hub.remove(c)
	c.mu.Lock()
	c.dead = true
	c.changed.Broadcast()
	for c.working || c.pumping {
		c.changed.Wait()
	}
	c.mu.Unlock()
	c.disconnect(end)
}

// ending is how a connection ended.
type ending struct {
	code   int
	reason string
}

// read takes what the client sends until the connection is over.
func (c *Conn) read() ending {
	for {
		if end, over := c.due(); over {
			if end.code == closeAbnormal {
				return end
			}
			return c.say(end, goodbye)
		}
		b, err := c.link.Next(c.deadline())
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil:
			return ending{code: closeAbnormal}
		}
		c.touch()
		if end, over := c.take(b); over {
			return end
		}
	}
}

// deadline is when the client is to be sent away if nothing comes.
func (c *Conn) deadline() time.Time {
	idle := time.Unix(0, c.last.Load()).Add(c.limits.idle)
	if end := c.socket.ConnectedAt.Add(c.limits.life); end.Before(idle) {
		return end
	}
	return idle
}

// due reports whether the connection is to end, whatever the client sends.
func (c *Conn) due() (end ending, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	switch {
	case c.broken:
		return ending{code: closeAbnormal}, true
	case c.parting:
		return c.end, true
	case c.cut:
		return ending{code: closeGoingAway}, true
	case c.leaving:
		for c.working && !c.cut && !c.broken {
			c.changed.Wait()
		}
		return ending{closeGoingAway, "Going away"}, true
	case now.Sub(c.socket.ConnectedAt) >= c.limits.life: // AWS: at 2 hours
		return ending{closeGoingAway, "Going away"}, true
	case now.Sub(time.Unix(0, c.last.Load())) >= c.limits.idle:
		if c.working || c.pumping { // something is under way
			c.last.Store(now.UnixNano())
			return ending{}, false
		}
		return ending{closeGoingAway, "Idle timeout"}, true
	}
	return ending{}, false
}

// say tells the client of the end, and waits for its answer, but not long.
func (c *Conn) say(end ending, wait time.Duration) ending {
	c.mu.Lock()
	c.part(end.code, end.reason)
	cut := c.cut
	c.mu.Unlock()
	if cut {
		wait = shortGoodbye
	}
	until := time.Now().Add(wait)
	for time.Now().Before(until) {
		b, err := c.link.Next(until)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.mu.Lock()
			over := c.broken || c.cut && !cut
			c.mu.Unlock()
			if over {
				return end
			}
			continue
		}
		if err != nil {
			return end
		}
		for len(b) > 0 {
			n, r, complete, err := c.decoder.decode(b)
			if err != nil || complete && r.op == opClose {
				return end
			}
			b = b[n:]
		}
	}
	return end
}

// take takes bytes of the client.
func (c *Conn) take(b []byte) (end ending, over bool) {
	for len(b) > 0 {
		n, r, complete, err := c.decoder.decode(b)
		b = b[n:]
		if err == nil && complete && r.op != opText && !c.control.admit(time.Now()) {
			err = violates(closePolicy, "too many control frames")
		}
		var why *violation
		switch {
		case errors.As(err, &why):
			return c.say(ending{why.code, why.reason}, shortGoodbye), true
		case !complete:
		case r.op == opClose:
			return c.closed(r), true
		case r.op == opPing:
			c.mu.Lock()
			c.pong = appendFrame(nil, opPong, r.content) // RFC 6455, 5.5.3: the latest is enough
			c.pump()
			c.mu.Unlock()
		case r.op == opText:
			c.enqueue(r.content)
		}
	}
	return ending{}, false
}

// closed answers the client's Close frame.
func (c *Conn) closed(r received) ending {
	c.mu.Lock()
	c.part(r.code, "")
	c.mu.Unlock()
	return ending{r.code, string(r.content)}
}

// enqueue puts a message behind those that wait, once there is room for it.
func (c *Conn) enqueue(content []byte) {
	m := message{content, time.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) >= c.limits.queue && !c.cut && !c.broken {
		c.changed.Wait()
	}
	if c.cut || c.broken || c.parting {
		return
	}
	c.queue = append(c.queue, m)
	if !c.working {
		c.working = true
		go c.work()
	}
}

// work answers the messages that wait, in order.
func (c *Conn) work() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 && !c.cut {
		m := c.queue[0]
		c.queue[0] = message{}
		c.queue = c.queue[1:]
		c.changed.Broadcast()
		c.mu.Unlock()
		good := c.handle(m)
		c.mu.Lock()
		if !good {
			c.part(closeInternal, "")
			c.wake()
		}
	}
	c.queue, c.working = nil, false
	c.changed.Broadcast()
}

// controls bounds how often a client sends control frames: no client needs so many.
type controls struct {
	tokens float64
	at     time.Time
}

// The bucket of control frames.
const (
	controlBurst = 100
	controlRate  = 10 // a second
)

// admit counts one more, and reports whether it isn't one too many.
func (t *controls) admit(now time.Time) bool {
	if t.at.IsZero() {
		t.tokens = controlBurst
	} else {
		t.tokens = min(controlBurst, t.tokens+now.Sub(t.at).Seconds()*controlRate)
	}
	t.at = now
	if t.tokens < 1 {
		return false
	}
	t.tokens--
	return true
}

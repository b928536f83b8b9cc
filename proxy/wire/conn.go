package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Conn is a network connection with a read buffer that exists only while there
// is something in it, and with coarse deadlines.
//
// One goroutine reads and one writes at a time; Cut, Gone and, unless it is owned, Close
// may be called by any.
type Conn struct {
	// Set at construction.
	net      net.Conn
	raw      syscall.RawConn // of the socket underneath; nil when there is none
	direct   bool            // net is the socket itself, no TLS in between
	plain    bool            // reads and writes go to raw
	owned    bool            // only who writes closes it
	fd       uintptr         // once it is owned
	each     func() bool     // what AwaitEach was given, during it
	within   bool            // it is being called
	buffers  *Buffers
	records  *Records              // below TLS; nil for others
	poll     func(fd uintptr) bool // method values made once, not per call
	probe    func(fd uintptr)
	recvFunc func(fd uintptr) bool
	sendFunc func(fd uintptr) bool
	askFunc  func(fd uintptr) bool

	// Owned by the reading goroutine.
	buf       []byte // nil while nothing is buffered
	r, w      int    // buf[r:w] is what was received and not yet used
	pin       int    // buf[:pin] is in use elsewhere and must stay as it is
	held      []byte // an earlier buffer that is in use elsewhere
	size      int    // of the buffer to take next
	pollN     int
	pollErr   error
	in        transfer
	readUntil time.Time // the socket's read deadline
	more      bool      // TLS may have more of what it has decrypted
	begun     bool      // Ask has begun to write
	sent      bool      // and has written all

	// Owned by the writing goroutine.
	out        transfer
	writeUntil time.Time // the socket's write deadline

	// Owned by whoever calls Gone, one at a time.
	gone  bool
	eager bool // bytes to read count as well
}

// NewConn returns a Conn for c. socket is the connection underneath c when c is
// a TLS connection, else c itself.
func NewConn(c, socket net.Conn, buffers *Buffers) *Conn {
	conn := &Conn{net: c, buffers: buffers, direct: c == socket, size: Small}
	if s, ok := socket.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			conn.raw = raw
		}
	}
	conn.poll = conn.pollRead
	conn.probe = conn.probeGone
	conn.recvFunc, conn.sendFunc, conn.askFunc = conn.recv, conn.send, conn.ask
	conn.plain = rawSockets && conn.direct && conn.raw != nil
	return conn
}

// Buffered returns what was received and not yet used. It is valid until the
// next call of Fill, Read, Await or Release.
func (c *Conn) Buffered() []byte { return c.buf[c.r:c.w] }

// Discard marks n buffered bytes as used.
func (c *Conn) Discard(n int) { c.r += n }

// Pin keeps every byte that was discarded up to now where it is, so that slices
// and strings that point to it stay valid until Unpin.
func (c *Conn) Pin() { c.pin = c.r }

// Unpin ends the validity that Pin promised.
func (c *Conn) Unpin() {
	c.pin = 0
	if c.held != nil {
		c.buffers.Give(c.held)
		c.held = nil
	}
}

// Hold takes the buffer out of use while something in it is pinned, so that
// waiting for more needs no buffer. What isn't used yet goes to another one.
func (c *Conn) Hold() {
	if c.pin == 0 {
		return
	}
	rest := c.buf[c.r:c.w]
	c.held, c.buf, c.r, c.w, c.pin = c.buf, nil, 0, 0, 0
	if len(rest) > 0 {
		c.buf = c.buffers.Take(max(c.size, len(rest)))
		c.w = copy(c.buf, rest)
	}
}

// Release gives the buffer back when nothing is in it and nothing is pinned.
func (c *Conn) Release() {
	if c.buf != nil && c.r == c.w && c.pin == 0 {
		c.buffers.Give(c.buf)
		c.buf, c.r, c.w = nil, 0, 0
	}
}

// SetReadTimeout makes reads fail that wait longer than d, give or take: the
// deadline lies between d and d+d/20 from now, so that a busy connection moves
// it rarely. d is above zero.
func (c *Conn) SetReadTimeout(now time.Time, d time.Duration) error {
	if left := c.readUntil.Sub(now); left >= d && left <= d+d/20 {
		return nil
	}
	return c.SetReadDeadline(now.Add(d + d/20))
}

// SetReadDeadline makes reads fail after t.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.readUntil = t
	return c.net.SetReadDeadline(t)
}

// SetWriteTimeout is SetReadTimeout for writes.
func (c *Conn) SetWriteTimeout(now time.Time, d time.Duration) error {
	if left := c.writeUntil.Sub(now); left >= d && left <= d+d/20 {
		return nil
	}
	c.writeUntil = now.Add(d + d/20)
	return c.net.SetWriteDeadline(c.writeUntil)
}

// SetSize says how large a buffer the next Fill takes when it has none.
func (c *Conn) SetSize(size int) { c.size = size }

// Fill reads more bytes behind the buffered ones; it waits for at least one.
// A buffer that is full grows up to limit bytes; beyond, Fill returns ErrFull.
// Slices that Buffered returned before become invalid.
func (c *Conn) Fill(limit int) error {
	if err := c.makeRoom(limit); err != nil {
		return err
	}
	n, err := c.readSocket(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// leastRoom is the room in bytes behind pinned ones for which reading is worth
// a system call.
const leastRoom = 1 << 10

// makeRoom sees to free space behind what is buffered.
func (c *Conn) makeRoom(limit int) error {
	if c.buf == nil {
		c.buf = c.buffers.Take(c.size)
		return nil
	}
	if c.r == c.w {
		c.r, c.w = c.pin, c.pin
	}
	if len(c.buf)-c.w >= leastRoom || c.pin == 0 && c.w < len(c.buf) {
		return nil
	}
	switch {
	case c.pin > 0:
		fresh := c.buffers.Take(max(c.size, 2*(c.w-c.r)))
		c.w = copy(fresh, c.buf[c.r:c.w])
		c.held, c.buf, c.r, c.pin = c.buf, fresh, 0, 0
	case c.r > 0:
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	case len(c.buf) >= limit:
		return ErrFull
	default:
		larger := c.buffers.Take(min(limit, 4*len(c.buf)))
		c.w = copy(larger, c.buf[:c.w])
		c.buffers.Give(c.buf)
		c.buf = larger
	}
	return nil
}

// ErrFull is what Fill returns when the buffer may not grow further.
var ErrFull = errors.New("buffer is full")

// Await waits for the first bytes with no buffer held, if the connection is a
// plain socket and nothing is pinned. It returns at once when something is
// buffered.
func (c *Conn) Await() error {
	if c.r < c.w {
		return nil
	}
	if !c.plain || c.pin > 0 {
		c.Release()
		if c.records != nil && !c.more && c.records.empty() {
			if err := c.records.await(); err != nil {
				return err
			}
		}
		return c.Fill(c.size)
	}
	if c.within {
		return errWithin
	}
	c.pollErr = nil
	if err := c.raw.Read(c.poll); err != nil {
		return err
	}
	return c.pollErr
}

// AwaitEach is Await that calls f with the bytes that came and, as long as f returns true,
// waits for the next without asking the socket, which nearly always has none yet: one
// system call less for each round; RATIONALE says what that gives. f uses all that is buffered then; it
// mustn't read, nor close the connection. Where bytes may have come already, f isn't
// called, nor for other connections than those that Await has special means for.
//
// What it may miss as long as nothing else comes: that the peer has ended its direction
// right behind the bytes that f was called with.
func (c *Conn) AwaitEach(f func() bool) error {
	c.each = f
	err := c.Await()
	c.each = nil
	return err
}

// callEach calls what AwaitEach was given.
func (c *Conn) callEach() (goOn bool) {
	c.within = true
	goOn = c.each()
	c.within = false
	return goOn
}

// errWithin is what reads fail with where they would wait for themselves.
var errWithin = errors.New("read within AwaitEach")

// pollRead tries to read from fd. It returns false to be called again when the
// socket is readable.
func (c *Conn) pollRead(fd uintptr) bool {
	if c.buf == nil {
		c.buf = c.buffers.Take(c.size)
	}
	c.in = transfer{buf: c.buf}
	ready := c.recv(fd)
	c.in.buf = nil
	c.r, c.w = 0, c.in.n
	if c.in.n > 0 {
		// With room left the socket is empty, and the poller tells of what comes from
		// now on: epoll(7), "Questions and answers", 9.
		if c.each == nil || c.in.n == len(c.buf) || !c.callEach() {
			return true
		}
		c.Release()
		return false
	}
	c.Release()
	c.pollErr = c.in.err
	return ready
}

// Scratch returns the read buffer as memory to make a message in that is sent
// before anything more is read, or nil while something is in the buffer.
func (c *Conn) Scratch() []byte {
	if c.r < c.w || c.pin > 0 {
		return nil
	}
	if c.buf == nil {
		c.buf = c.buffers.Take(c.size)
	}
	c.r, c.w = 0, 0
	return c.buf
}

// Spare returns the free memory behind what is buffered, to make a message in that is
// sent before anything more is read; nil if that is less than least bytes.
func (c *Conn) Spare(least int) []byte {
	if len(c.buf)-c.w < least {
		return nil
	}
	return c.buf[c.w:len(c.buf):len(c.buf)]
}

// Read implements io.Reader: first what is buffered, then straight from the
// connection into p.
func (c *Conn) Read(p []byte) (int, error) {
	if c.r < c.w {
		n := copy(p, c.buf[c.r:c.w])
		c.r += n
		c.Release()
		return n, nil
	}
	if len(p) == 0 {
		return 0, nil
	}
	return c.readSocket(p)
}

func (c *Conn) readSocket(p []byte) (int, error) {
	if c.plain {
		return c.readRaw(p)
	}
	n, err := c.net.Read(p)
	c.more = n == len(p)
	return n, err
}

// Write implements io.Writer. It doesn't buffer.
func (c *Conn) Write(p []byte) (int, error) {
	if c.plain {
		return c.writeRaw(p, nil)
	}
	return c.net.Write(p)
}

// WriteBoth writes a and then b, in one system call where that is possible.
func (c *Conn) WriteBoth(a, b []byte) (int, error) {
	if c.plain {
		return c.writeRaw(a, b)
	}
	n, err := c.net.Write(a)
	if err != nil || len(b) == 0 {
		return n, err
	}
	m, err := c.net.Write(b)
	return n + m, err
}

// Ask writes a and then b, and waits for the first bytes of the answer: WriteBoth
// and then Fill for one who expects nothing before it has written. Often enough it
// saves the system call that finds nothing yet. wrote says that a and b were
// written; err is Fill's then, else WriteBoth's. a may be the result of Scratch.
func (c *Conn) Ask(a, b []byte, limit int) (wrote bool, err error) {
	if !c.plain {
		if _, err := c.WriteBoth(a, b); err != nil {
			return false, err
		}
		return true, c.Fill(limit)
	}
	if err := c.makeRoom(limit); err != nil {
		return false, err
	}
	wrote, err = c.askRaw(a, b)
	if wrote && err == nil && c.r == c.w { // there was no time to wait
		err = c.Fill(limit)
	}
	return wrote, err
}

// CloseWrite ends our direction of the connection, if it can be ended alone.
func (c *Conn) CloseWrite() error {
	if half, ok := c.net.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Own says that from now on only the goroutine that writes closes the connection: all
// others Cut it. A write then needn't see to it that the descriptor stays the same, as
// long as it doesn't wait: BenchmarkWrite compares the two.
func (c *Conn) Own() {
	if c.plain {
		c.owned = c.raw.Control(func(fd uintptr) { c.fd = fd }) == nil
	}
}

// Cut ends both directions of an owned connection, for its owner to close: reads and
// writes fail from now on. It reports false for one that isn't owned.
func (c *Conn) Cut() bool {
	if c.owned {
		shutdown(c.raw)
	}
	return c.owned
}

// Close closes the connection. The buffer is left to the garbage collector,
// since another goroutine may be reading into it.
func (c *Conn) Close() error { return c.net.Close() }

// Gone reports whether the peer has closed its direction or reset the
// connection, even when bytes that it sent before are still unread. It is
// false where the operating system can't tell.
func (c *Conn) Gone() bool {
	c.eager = false
	return c.asked()
}

// Quiet reports whether there is nothing to read: no bytes, and no end or reset
// either. Only one who owns both directions asks, while it expects nothing. It
// is true where the operating system can't tell.
func (c *Conn) Quiet() bool {
	c.eager = true
	return c.r == c.w && !c.asked()
}

// asked returns what probe finds out.
func (c *Conn) asked() bool {
	switch {
	case c.records != nil && c.eager:
		return !c.records.wire.Quiet()
	case c.records != nil:
		return c.records.wire.Gone()
	}
	if c.raw == nil {
		return false
	}
	c.gone = false
	if err := c.raw.Control(c.probe); err != nil {
		return true
	}
	return c.gone
}

// Abort makes reads in progress and later ones fail at once.
func (c *Conn) Abort() { _ = c.net.SetReadDeadline(time.Unix(1, 0)) }

// TimedOut reports whether err is a deadline that passed.
func TimedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

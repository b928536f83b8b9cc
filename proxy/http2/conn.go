package http2

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/postern-gateway/postern/proxy/wire"
)

// Settings bound a connection.
type Settings struct {
	Streams       int           // open at the same time, above 0
	Header        int           // bytes of one request's fields, RFC 9113, 6.5.2
	StreamWindow  int           // bytes of one stream's content that may wait to be read; at least 64 Ki
	ConnWindow    int           // bytes of all streams' content; at least 64 Ki
	HeaderTimeout time.Duration // for the client's preface, and for a request's head from its first frame on
	IdleTimeout   time.Duration // without a stream; with one, until a PING asks whether the client is there
	WriteTimeout  time.Duration // for the client to take what is sent, at most maxOut bytes
	Pace          PaceLimits    // at which the client takes a reply
}

const (
	tableSize = 4096             // bytes of HPACK's table for received fields
	pingWait  = 15 * time.Second // for the answer to a PING
	leaveWait = time.Second      // between the first and the last GOAWAY, for a client that answers no PING
)

// Conn is one client's connection.
//
// Serve is called once. Shutdown and Close may be called by any goroutine.
type Conn struct {
	// Set at construction.
	wire     *wire.Conn
	socket   net.Conn // below TLS
	buffers  *wire.Buffers
	workers  *Workers
	settings Settings
	serve    func(*Stream)
	begun    time.Time

	// Owned by Serve's goroutine.
	decoder *hpack.Decoder
	block   block
	since   time.Time // when the open block began
	heard   time.Time // when bytes came last
	asked   bool      // a PING is out because nothing came
	greeted bool      // the client's preface and SETTINGS were there
	calm    calm

	answering sync.WaitGroup // streams being served, and flushRest
	over      atomic.Bool    // no frame is read any more

	mu       sync.Mutex // guards what follows
	streams  map[uint32]*Stream
	serving  int        // streams that are being served; some may not be open any more
	last     uint32     // highest number of a stream that the client opened
	dropped  [64]uint32 // streams that we reset last: what the client sent before it knew is ignored
	drop     int
	quiet    time.Time // since when no stream is open
	err      error     // why nothing is sent any more
	leaving  leaving
	final    uint32      // the last stream that the client was told
	timer    *time.Timer // of leaving
	out      []byte      // frames to send; lent while it isn't empty
	writing  bool        // somebody is sending
	room     *sync.Cond  // out has become shorter, or err is set
	blocked  int         // streams that wait to send
	window   int         // bytes of content that the client takes
	sent     int64       // bytes of content, of all streams
	initial  int         // window of new streams
	resized  bool        // the client set the size of its table: the next block begins with ours, 0
	unread   int         // bytes of content that it doesn't know of yet that we would take them
	received int         // bytes of content that we would still take
}

// leaving is how far the end of a connection has come that takes no new streams.
type leaving uint8

const (
	staying   leaving = iota
	announced         // the client knows that it should go; what it sent meanwhile is answered
	told              // and knows which stream is the last
)

// NewConn returns the connection that speaks by w; socket is what is below w, and
// w's buffers are buffers. serve is called for each request, by a goroutine of
// workers, and owns the Stream until it returns.
func NewConn(w *wire.Conn, socket net.Conn, buffers *wire.Buffers, workers *Workers, s Settings, serve func(*Stream)) *Conn {
	c := &Conn{wire: w, socket: socket, buffers: buffers, workers: workers, settings: s, serve: serve,
		streams: make(map[uint32]*Stream), window: firstWindow, initial: firstWindow, received: s.ConnWindow}
	c.room = sync.NewCond(&c.mu)
	c.decoder = hpack.NewDecoder(tableSize, c.field)
	c.decoder.SetMaxStringLength(rawRoom(s.Header)) // what is above Header is refused with a reply
	now := time.Now()
	c.begun, c.heard, c.quiet, c.calm.since = now, now, now, now
	c.makeRoom(frameHead + 18 + frameHead + 4)
	c.out = appendFrameHead(c.out, 18, frameSettings, 0, 0)
	c.out = appendSetting(c.out, settingStreams, s.Streams)
	c.out = appendSetting(c.out, settingInitialWindow, s.StreamWindow)
	c.out = appendSetting(c.out, settingHeaderList, s.Header)
	c.out = appendWindowUpdate(c.out, 0, s.ConnWindow-firstWindow)
	return c
}

// rawRoom is how many bytes a block of fields may take as it is sent, if header is
// what its fields may.
func rawRoom(header int) int { return 2*header + maxFrame }

// Errors that end a connection without a word about it.
var (
	errLeft = errors.New("the connection has ended")
	errOver = errors.New("nothing more is wanted of the client")
)

// connError is a mistake of the client that ends the connection. RFC 9113, 5.4.1.
type connError struct {
	code   Code
	reason string
}

func (e connError) Error() string { return fmt.Sprintf("HTTP/2 error %d: %s", e.code, e.reason) }

// Serve reads frames until the connection ends, and waits for the requests that
// are being served. The error says why it ended; nil when both sides were done.
func (c *Conn) Serve() error {
	err := c.readAll()
	var mistake connError
	switch {
	case errors.As(err, &mistake):
		c.sayGoodbye(mistake.code)
	case errors.Is(err, errOver):
		c.sayGoodbye(noError)
		err = nil
	}
	c.fail(errLeft)
	_ = c.wire.Close() // it ends either way
	c.answering.Wait()
	return err
}

func (c *Conn) readAll() error {
	c.mu.Lock()
	c.flush()
	c.mu.Unlock()
	if err := c.need(len(Preface)); err != nil {
		return err
	}
	if string(c.wire.Buffered()[:len(Preface)]) != Preface {
		return connError{protocolError, "no preface"}
	}
	c.wire.Discard(len(Preface))
	for {
		if err := c.need(frameHead); err != nil {
			return err
		}
		f, n := parseFrameHead(c.wire.Buffered())
		if n > maxFrame {
			return connError{frameSizeError, "a frame is too large"}
		}
		if err := c.need(frameHead + n); err != nil {
			return err
		}
		f.payload = c.wire.Buffered()[frameHead : frameHead+n]
		if err := c.take(&f); err != nil {
			return err
		}
		c.wire.Discard(frameHead + n)
	}
}

// need waits until n bytes are in the buffer.
func (c *Conn) need(n int) error {
	if len(c.wire.Buffered()) >= n {
		return nil
	}
	c.mu.Lock()
	c.flush() // what the frames before were answered with
	c.mu.Unlock()
	for len(c.wire.Buffered()) < n {
		now := time.Now()
		until := c.patience()
		if !until.After(now) {
			if err := c.impatient(now); err != nil {
				return err
			}
			continue
		}
		if err := c.wire.SetReadTimeout(now, until.Sub(now)); err != nil {
			return err
		}
		if c.over.Load() { // it was set before the deadline, which would have undone its own
			return errOver
		}
		var err error
		if len(c.wire.Buffered()) == 0 {
			err = c.wire.Await()
		} else {
			err = c.wire.Fill(frameHead + maxFrame)
		}
		switch {
		case err == nil:
			c.heard, c.asked = time.Now(), false
		case c.over.Load():
			return errOver
		case !wire.TimedOut(err):
			return err
		}
	}
	return nil
}

// patience returns until when the client's next bytes are waited for.
func (c *Conn) patience() time.Time {
	c.mu.Lock()
	open, quiet := len(c.streams), c.quiet
	c.mu.Unlock()
	switch {
	case !c.greeted:
		return c.begun.Add(c.settings.HeaderTimeout)
	case c.block.stream != 0:
		return c.since.Add(c.settings.HeaderTimeout)
	case open == 0:
		return quiet.Add(c.settings.IdleTimeout)
	case c.asked:
		return c.heard.Add(c.settings.IdleTimeout + pingWait)
	}
	return c.heard.Add(c.settings.IdleTimeout)
}

// impatient does what is due when the client was silent for too long.
func (c *Conn) impatient(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.greeted || c.block.stream != 0 || len(c.streams) == 0 {
		return errOver
	}
	if c.asked {
		return fmt.Errorf("no answer to a PING within %s", pingWait)
	}
	c.asked = true
	c.makeRoom(frameHead + 8)
	c.out = append(appendFrameHead(c.out, 8, framePing, 0, 0), make([]byte, 8)...)
	c.flush()
	return nil
}

// sayGoodbye sends the last GOAWAY, ends our direction, and waits a little for the
// client to end its own: a reset would take what it hasn't read yet. Streams that
// are still open end with the connection.
func (c *Conn) sayGoodbye(code Code) {
	c.mu.Lock()
	if c.leaving != told || code != noError {
		c.tellLast(code)
	}
	until := time.Now().Add(leaveWait)
	_ = c.socket.SetDeadline(until) // also for a write that is stuck
	for c.err == nil && (c.writing || len(c.out) > 0) {
		c.flush()
		if c.writing {
			c.room.Wait()
		}
	}
	sent := c.err == nil
	c.mu.Unlock()
	c.fail(errLeft)
	if !sent || c.wire.CloseWrite() != nil {
		return
	}
	for total := 0; total < lingerBytes && c.wire.SetReadDeadline(until) == nil; {
		c.wire.Discard(len(c.wire.Buffered()))
		if c.wire.Fill(wire.Medium) != nil {
			return
		}
		total += len(c.wire.Buffered())
	}
}

// lingerBytes is how much a client may still send after the last GOAWAY.
const lingerBytes = 512 << 10

// fail ends all streams and lets nothing more be sent.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	c.over.Store(true)
	if c.timer != nil {
		c.timer.Stop()
	}
	for id, s := range c.streams {
		delete(c.streams, id)
		s.end(err)
	}
	c.room.Broadcast()
}

// Close ends the connection at once.
func (c *Conn) Close() {
	c.fail(errLeft)
	_ = c.socket.Close() // Serve notices
}

// Shutdown asks the client to go: what it has sent up to when it knows is
// answered, later streams aren't. RFC 9113, 6.8.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.leaving != staying {
		return
	}
	c.leaving = announced
	c.makeRoom(2*frameHead + 16)
	c.out = appendGoAway(c.out, lastStream, noError)
	c.out = appendFrameHead(c.out, len(farewell), framePing, 0, 0)
	c.out = append(c.out, farewell...)
	c.timer = time.AfterFunc(leaveWait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tell()
	})
	if !c.writing { // the caller may be in a hurry, and the client slow
		c.writing = true
		c.answering.Add(1)
		go c.flushRest()
	}
}

// farewell is the content of a PING: with the answer to it the client has seen the
// GOAWAY before.
const farewell = "farewell"

// tell names the last stream. c.mu is held.
func (c *Conn) tell() {
	if c.err != nil || c.leaving == told {
		return
	}
	c.timer.Stop()
	c.tellLast(noError)
	c.flush()
	c.depart()
}

// tellLast appends the GOAWAY that names the last stream, which a later one
// doesn't raise: RFC 9113, 6.8. c.mu is held.
func (c *Conn) tellLast(code Code) {
	if c.leaving != told {
		c.leaving, c.final = told, c.last
	}
	c.makeRoom(frameHead + 8)
	c.out = appendGoAway(c.out, c.final, code)
}

// depart ends the connection if it has nothing more to do. c.mu is held.
func (c *Conn) depart() {
	if c.leaving == told && len(c.streams) == 0 {
		c.over.Store(true)
		_ = c.socket.SetReadDeadline(time.Unix(1, 0)) // wakes up Serve
	}
}

// remove takes s out of the open streams. c.mu is held.
func (c *Conn) remove(s *Stream) {
	if c.streams[s.id] != s {
		return
	}
	delete(c.streams, s.id)
	if len(c.streams) == 0 {
		c.quiet = time.Now()
		c.depart()
	}
}

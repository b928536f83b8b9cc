package http3

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/postern-gateway/postern/proxy/http2"
)

// Settings bound a connection.
type Settings struct {
	Streams       int              // open at the same time, above 0
	Header        int              // bytes of one request's fields, RFC 9114, 4.2.2
	StreamWindow  int              // bytes of one stream's content that may wait to be read
	ConnWindow    int              // bytes of all streams' content
	HeaderTimeout time.Duration    // for the handshake, the client's settings, and for a request's head
	IdleTimeout   time.Duration    // without a stream; with one, without a sign of life
	WriteTimeout  time.Duration    // for the client to take what is sent
	Pace          http2.PaceLimits // at which the client takes a reply
}

const (
	leaveWait   = 500 * time.Millisecond // between the first and the last GOAWAY
	lingerWait  = time.Second            // between the last reply and the connection's end
	maxSettings = 4 << 10                // bytes of the client's SETTINGS
	lastStream  = 1<<62 - 4              // the highest number of a client's stream
	uniStreams  = 16                     // that a client may open in all: three that it needs, and some for grease
)

// Conn is one client's connection.
//
// Serve is called once. Shutdown and Close may be called by any goroutine.
type Conn struct {
	// Set at construction.
	quic     *quic.Conn
	settings Settings
	serve    func(*Stream)
	control  *quic.SendStream // ours

	answering sync.WaitGroup // streams being served, and readers of the client's streams
	sent      atomic.Int64   // bytes of content, of all streams

	mu      sync.Mutex // guards what follows
	err     error      // why it ended
	open    int        // streams that are being served
	next    quic.StreamID
	leaving leaving
	timer   *time.Timer // of leaving
	idle    *time.Timer // ends a connection without streams
	have    [4]bool     // which of the client's streams of which there is one are there
}

// leaving is how far the end of a connection has come that takes no new streams.
type leaving uint8

const (
	staying   leaving = iota
	announced         // the client knows that it should go; what it sent meanwhile is answered
	told              // and knows which stream is the last
)

// errLeft ends a connection without a mistake.
var errLeft = errors.New("the connection has ended")

func newConn(q *quic.Conn, s Settings) *Conn { return &Conn{quic: q, settings: s} }

// TLS returns what was agreed on in the handshake.
func (c *Conn) TLS() tls.ConnectionState { return c.quic.ConnectionState().TLS }

// Serve takes requests until the connection ends, and waits for those that are being
// served. serve is called for each, by a goroutine of its own, and owns the Stream
// until it returns. The error says why the connection ended; nil when both sides were
// done.
func (c *Conn) Serve(serve func(*Stream)) error {
	c.serve = serve
	c.mu.Lock()
	c.idle = time.AfterFunc(c.settings.IdleTimeout, c.Shutdown)
	err := c.begin()
	c.mu.Unlock()
	if err != nil {
		c.fail(err)
	} else {
		c.answering.Add(1)
		go c.takeUnis()
		c.fail(c.takeRequests())
	}
	c.answering.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle.Stop()
	if errors.Is(c.err, errLeft) {
		return nil
	}
	return c.err
}

// begin opens our control stream. c.mu is held.
func (c *Conn) begin() error {
	var err error
	if c.control, err = c.quic.OpenUniStream(); err != nil { // a client allows three at least: RFC 9114, 6.2
		return connError{protocolError, "no control stream: " + err.Error()}
	}
	b := quicvarint.Append(nil, streamControl)
	return c.tell(appendFrame(b, frameSettings, settingFieldSection, uint64(c.settings.Header)))
}

// tell sends b on our control stream. c.mu is held; what is sent is so little that
// it doesn't wait for the client.
func (c *Conn) tell(b []byte) error {
	if err := c.control.SetWriteDeadline(time.Now().Add(c.settings.WriteTimeout)); err != nil {
		return err
	}
	_, err := c.control.Write(b)
	return err
}

// takeRequests accepts streams until the connection ends.
func (c *Conn) takeRequests() error {
	for {
		q, err := c.quic.AcceptStream(context.Background())
		if err != nil {
			return err
		}
		if !c.enter(q.StreamID()) { // the client knows from GOAWAY that it can ask elsewhere
			q.CancelRead(quic.StreamErrorCode(requestRejected))
			q.CancelWrite(quic.StreamErrorCode(requestRejected))
			continue
		}
		c.answering.Add(1)
		go c.answer(q)
	}
}

// enter counts a stream; false means that it isn't wanted.
func (c *Conn) enter(id quic.StreamID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving == told && id >= c.next {
		return false
	}
	c.next = max(c.next, id+4)
	c.open++
	c.idle.Stop()
	return true
}

func (c *Conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open--; c.open == 0 {
		c.idle.Reset(c.settings.IdleTimeout)
		c.depart()
	}
}

// cause guesses why the client took its time for some bytes of a reply, while others of
// other replies went out: streams take turns, so a stream past which several times as
// much goes as its turns would let has no room of its own.
func (c *Conn) cause(waited time.Duration, size, others int64) http2.Cause {
	if waited < time.Millisecond || others <= 0 {
		return http2.ForLine
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return http2.Cause(others > 2*size*int64(c.open))
}

// answer serves one request.
func (c *Conn) answer(q *quic.Stream) {
	defer c.answering.Done()
	defer c.leave()
	// The client may open another stream when this one isn't served any more, and not
	// when it has reset it: CVE-2023-44487.
	defer q.ReleaseStreamCredit()
	s := newStream(c, q)
	if err := s.readHead(); err != nil {
		s.drop(err)
		return
	}
	c.serve(s)
	s.finish()
}

// Shutdown asks the client to go: what it has sent up to when it knows is answered,
// later streams aren't. RFC 9114, 5.2.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.leaving != staying {
		return
	}
	c.leaving = announced
	if c.control == nil || c.tell(appendFrame(nil, frameGoAway, lastStream)) != nil {
		go c.fail(errLeft)
		return
	}
	c.timer = time.AfterFunc(leaveWait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err != nil {
			return
		}
		c.leaving = told
		_ = c.tell(appendFrame(nil, frameGoAway, uint64(c.next))) // depart ends the connection either way
		c.depart()
	})
}

// depart ends the connection if it has nothing more to do: a little later, for what
// was sent last may still be under way, and a client that has it all ends the
// connection itself. c.mu is held.
func (c *Conn) depart() {
	if c.leaving == told && c.open == 0 && c.err == nil {
		c.timer = time.AfterFunc(lingerWait, func() { c.fail(errLeft) })
	}
}

// Close ends the connection at once.
func (c *Conn) Close() { c.fail(errLeft) }

// fail ends the connection, and says why if it is the client's mistake.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	code, reason := noError, ""
	var mistake connError
	if errors.As(err, &mistake) {
		code, reason = mistake.code, mistake.reason
	}
	_ = c.quic.CloseWithError(code, reason) // it may have ended
}

// takeUnis accepts the client's unidirectional streams.
func (c *Conn) takeUnis() {
	defer c.answering.Done()
	for {
		q, err := c.quic.AcceptUniStream(context.Background())
		if err != nil {
			return // the streams of requests fail, too
		}
		c.answering.Add(1)
		go func() {
			defer c.answering.Done()
			if err := c.takeUni(q); err != nil {
				c.fail(err)
			}
		}()
	}
}

// takeUni reads one of them for as long as it lasts. An error ends the connection.
func (c *Conn) takeUni(q *quic.ReceiveStream) error {
	if err := q.SetReadDeadline(time.Now().Add(c.settings.HeaderTimeout)); err != nil {
		return err
	}
	r := bufio.NewReaderSize(q, 64)
	kind, err := quicvarint.Read(r)
	switch {
	case err != nil || kind > streamDecoder: // which extension it is for doesn't matter: RFC 9114, 6.2
		q.CancelRead(quic.StreamErrorCode(streamCreationError))
		return nil
	case kind == streamPush:
		return connError{streamCreationError, "a push stream of a client"}
	}
	c.mu.Lock()
	twice := c.have[kind]
	c.have[kind] = true
	c.mu.Unlock()
	if twice {
		return connError{streamCreationError, "a stream twice of which there is one"}
	}
	if kind == streamControl {
		err = c.takeControl(q, r)
	} else {
		if err := q.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		err = takeTable(kind, r)
	}
	if errors.Is(err, io.EOF) {
		return connError{closedCritical, "a critical stream was closed"}
	}
	var reset *quic.StreamError
	if errors.As(err, &reset) && reset.Remote {
		return connError{closedCritical, "a critical stream was reset"}
	}
	return err
}

// takeTable reads what the client says of QPACK's dynamic table, which we told it has
// no room: the encoder can only say that it is so, and the decoder which streams it
// gave up. RFC 9204, 4.3 and 4.4.
func takeTable(kind uint64, r *bufio.Reader) error {
	calm := calm{since: time.Now()}
	for {
		b, err := r.ReadByte()
		if err != nil {
			return err
		}
		if kind == streamEncoder && b != 0x20 {
			return connError{encoderStreamError, "an entry for a table without room"}
		}
		if err := calm.bother(); err != nil {
			return err
		}
	}
}

// takeControl reads the client's control stream. RFC 9114, 7.2.
func (c *Conn) takeControl(q *quic.ReceiveStream, r *bufio.Reader) error {
	kind, length, err := readFrameHead(r)
	if err != nil {
		return err
	}
	if kind != frameSettings {
		return connError{missingSettings, "the control stream begins without SETTINGS"}
	}
	if err := takeSettings(r, length); err != nil {
		return err
	}
	if err := q.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	calm := calm{since: time.Now()}
	for {
		kind, length, err := readFrameHead(r)
		if err != nil {
			return err
		}
		switch {
		case kind == frameData, kind == frameHeaders, kind == framePushPromise, kind == frameSettings, fromHTTP2(kind):
			return connError{frameUnexpected, "a frame that doesn't belong on the control stream"}
		case kind == frameCancelPush:
			return connError{idError, "CANCEL_PUSH for what was never pushed"}
		case length > maxSettings:
			return connError{excessiveLoad, "a frame is too large"}
		}
		// MAX_PUSH_ID and GOAWAY speak of pushes, of which there are none; others are
		// extensions. RFC 9114, 9.
		if _, err := r.Discard(int(length)); err != nil {
			return unexpected(err)
		}
		if err := calm.bother(); err != nil {
			return err
		}
	}
}

// takeSettings reads the client's settings, none of which makes a difference: what
// we send is within the least that any client takes. RFC 9114, 7.2.4.
func takeSettings(r *bufio.Reader, length uint64) error {
	if length > maxSettings {
		return connError{excessiveLoad, "SETTINGS are too large"}
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(r, b); err != nil {
		return unexpected(err)
	}
	seen := map[uint64]bool{}
	for len(b) > 0 {
		id, n, err := quicvarint.Parse(b)
		if err != nil {
			return connError{frameError, "SETTINGS aren't complete"}
		}
		_, m, err := quicvarint.Parse(b[n:])
		if err != nil {
			return connError{frameError, "SETTINGS aren't complete"}
		}
		if seen[id] || id >= 0x2 && id <= 0x5 { // HTTP/2's: RFC 9114, 7.2.4.1
			return connError{settingsError, "a setting that can't be"}
		}
		seen[id] = true
		b = b[n+m:]
	}
	return nil
}

// calm bounds what a client may send that is of no use.
type calm struct {
	used  int
	since time.Time
}

const (
	calmBurst = 1000 // at once
	calmRate  = 200  // more each second
)

// bother counts one; the error ends the connection.
func (c *calm) bother() error {
	if c.used++; c.used <= calmBurst {
		return nil
	}
	now := time.Now()
	c.used = max(c.used-int(min(now.Sub(c.since).Seconds()*calmRate, calmBurst)), 0)
	c.since = now
	if c.used > calmBurst {
		return connError{excessiveLoad, "too many frames that are of no use"}
	}
	return nil
}

package http3

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/http2"
)

// Stream is one request and its reply. It is a context.Context too, which ends with
// the stream.
//
// One goroutine writes and one reads at a time; all else may be called by any.
type Stream struct {
	context.Context

	// Set at construction.
	conn *Conn
	quic *quic.Stream
	head http2.Head

	// Owned by who reads.
	r        *bufio.Reader
	frame    uint64 // bytes of the current DATA frame that are still to come
	left     int64  // content that has to come, if it was announced; else -1
	readErr  error  // what reads fail with from now on; io.EOF after the content
	trailers http1.Fields

	complete atomic.Bool // the request was read to its end
	gone     atomic.Bool // the reply can't be completed

	mu    sync.Mutex // held while something is sent; guards what follows
	out   []byte     // frames to send
	sent  int64      // bytes of content
	pace  http2.Pace // at which the client takes it
	began bool       // the reply's head is there
	ended bool       // the reply is complete
}

const (
	readSize = 1 << 10
	// skipFrames and skipBytes are how much an extension may send ahead of a request.
	skipFrames = 16
	skipBytes  = 16 << 10
)

var (
	errAborted = errors.New("the stream was given up")
	errEnded   = errors.New("the reply has ended")
)

func newStream(c *Conn, q *quic.Stream) *Stream {
	return &Stream{Context: q.Context(), conn: c, quic: q, r: bufio.NewReaderSize(q, readSize), left: -1}
}

// Head returns the request's head, which is valid until the stream is served.
func (s *Stream) Head() *http2.Head { return &s.head }

// readHead reads the request's head.
func (s *Stream) readHead() error {
	if err := s.quic.SetReadDeadline(time.Now().Add(s.conn.settings.HeaderTimeout)); err != nil {
		return err
	}
	length, err := s.skipToHeaders()
	if err != nil {
		return err
	}
	section := http2.Section{Head: &s.head, Left: s.conn.settings.Header}
	if length > uint64(rawRoom(s.conn.settings.Header)) {
		section.Large = true
		section.Finish(false)
		s.readErr = errAborted
		return nil
	}
	if err := s.readSection(&section, length); err != nil {
		return err
	}
	end, err := s.atEnd()
	if err != nil {
		return err
	}
	section.Finish(end)
	if s.head.Length != http1.Unknown {
		s.left = s.head.Length
	}
	if end {
		s.end()
	}
	return s.quic.SetReadDeadline(time.Time{})
}

// rawRoom is how many bytes a section may take as it is sent, if header is what its
// fields may.
func rawRoom(header int) int { return 2*header + skipBytes }

// skipToHeaders reads up to the payload of the request's HEADERS. RFC 9114, 4.1.
func (s *Stream) skipToHeaders() (length uint64, err error) {
	skipped := uint64(0)
	for range skipFrames {
		kind, length, err := readFrameHead(s.r)
		switch {
		case errors.Is(err, io.EOF):
			return 0, streamError{requestIncomplete, "a stream without a request"}
		case err != nil:
			return 0, err
		case kind == frameHeaders:
			return length, nil
		case !extension(kind):
			return 0, connError{frameUnexpected, "a frame before HEADERS that can't be there"}
		}
		if skipped += length; skipped > skipBytes {
			break
		}
		if _, err := s.r.Discard(int(length)); err != nil {
			return 0, unexpected(err)
		}
	}
	return 0, connError{excessiveLoad, "too much ahead of a request"}
}

// extension reports whether a frame of this type on a request's stream is to be
// ignored. RFC 9114, 9.
func extension(kind uint64) bool {
	return kind > frameMaxPushID || kind == 0xa || kind == 0xb || kind == 0xc
}

// readSection reads the payload of a HEADERS frame.
func (s *Stream) readSection(section *http2.Section, length uint64) error {
	raw := make([]byte, length)
	if _, err := io.ReadFull(s.r, raw); err != nil {
		return unexpected(err)
	}
	next := qpack.NewDecoder().Decode(raw)
	for {
		f, err := next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return connError{decompressionFailed, err.Error()}
		case !section.Add(f.Name, f.Value):
			return nil
		}
	}
}

// atEnd reports whether nothing follows the head. HTTP/3 tells it by the end of the
// stream, which may come a little later than the head: for methods that usually have
// no content it is waited for, up to the deadline.
func (s *Stream) atEnd() (bool, error) {
	switch s.head.Method {
	case "GET", "HEAD", "OPTIONS", "DELETE":
	default:
		if err := s.quic.SetReadDeadline(time.Unix(1, 0)); err != nil {
			return false, err
		}
	}
	_, err := s.r.Peek(1)
	var waits interface{ Timeout() bool }
	switch {
	case err == nil, errors.As(err, &waits) && waits.Timeout():
		return false, nil
	case err == io.EOF:
		return true, nil
	}
	return false, err
}

// Read gives the request's content. It fails with os.ErrDeadlineExceeded when the
// deadline passes, and with another error when the stream has ended before its
// content was there.
func (s *Stream) Read(p []byte) (int, error) {
	for s.frame == 0 {
		if s.readErr != nil {
			return 0, s.readErr
		}
		if err := s.nextFrame(); err != nil {
			s.readErr = err
		}
	}
	if s.readErr != nil {
		return 0, s.readErr
	}
	if uint64(len(p)) > s.frame {
		p = p[:s.frame]
	}
	n, err := s.r.Read(p)
	s.frame -= uint64(n)
	if err != nil && (err != io.EOF || s.frame > 0) {
		s.readErr = s.broken(unexpected(err))
		s.frame = 0
	}
	if n == 0 {
		return 0, s.readErr
	}
	return n, nil
}

// nextFrame reads on up to the next content; io.EOF means that there is no more.
func (s *Stream) nextFrame() error {
	for range skipFrames {
		kind, length, err := readFrameHead(s.r)
		switch {
		case err == io.EOF && s.left > 0:
			return s.broken(streamError{messageError, "less content than announced"})
		case err == io.EOF:
			s.end()
			return io.EOF
		case err != nil:
			return s.broken(err)
		case kind == frameHeaders:
			return s.readTrailers(length)
		case kind == frameData:
			if s.left >= 0 {
				if s.left -= int64(min(length, 1<<62)); s.left < 0 {
					return s.broken(streamError{messageError, "more content than announced"})
				}
			}
			if s.frame = length; length > 0 {
				return nil
			}
			continue // of no use, and bounded
		case !extension(kind):
			return s.broken(connError{frameUnexpected, "a frame within a request that can't be there"})
		case length > skipBytes:
			return s.broken(connError{excessiveLoad, "a frame is too large"})
		}
		if _, err := s.r.Discard(int(length)); err != nil {
			return s.broken(unexpected(err))
		}
	}
	return s.broken(connError{excessiveLoad, "too many frames that are of no use"})
}

// readTrailers reads the fields at the end of a request, behind which nothing comes.
func (s *Stream) readTrailers(length uint64) error {
	section := http2.Section{Left: s.conn.settings.Header}
	if length > uint64(rawRoom(s.conn.settings.Header)) {
		return s.broken(streamError{messageError, "the trailers are too large"})
	}
	if err := s.readSection(&section, length); err != nil {
		return s.broken(err)
	}
	if section.Bad != nil || section.Large || s.left > 0 {
		return s.broken(streamError{messageError, "malformed trailers"})
	}
	switch _, err := s.r.Peek(1); {
	case err == nil:
		return s.broken(connError{frameUnexpected, "something behind the trailers"})
	case err != io.EOF:
		return s.broken(err)
	}
	s.trailers = section.Trailers
	s.end()
	return io.EOF
}

// end notes that the request is complete.
func (s *Stream) end() {
	s.readErr = io.EOF
	s.complete.Store(true)
}

// broken ends the stream, or the connection, if err is a mistake of the client's; it
// returns err.
func (s *Stream) broken(err error) error {
	var mistake streamError
	var fatal connError
	switch {
	case errors.As(err, &fatal):
		go s.conn.fail(err) // which waits for streams to end
	case errors.As(err, &mistake):
		s.reset(mistake.code)
	}
	return err
}

// drop ends a stream whose head can't be read.
func (s *Stream) drop(err error) {
	_ = s.broken(err)
	var fatal connError
	if !errors.As(err, &fatal) { // else the client is to learn that
		s.reset(requestIncomplete)
	}
}

// SetReadDeadline makes reads fail after t, also one in progress; zero takes the
// deadline away.
func (s *Stream) SetReadDeadline(t time.Time) {
	_ = s.quic.SetReadDeadline(t) // fails never
}

// Trailers returns the request's trailer fields, complete after io.EOF.
func (s *Stream) Trailers() http1.Fields {
	if !s.complete.Load() {
		return nil
	}
	return s.trailers
}

// Abort makes reads fail, one in progress included, and the client stop sending.
func (s *Stream) Abort() {
	if !s.complete.Load() {
		s.quic.CancelRead(quic.StreamErrorCode(noError)) // RFC 9114, 4.1: the rest isn't needed
	}
}

// Reset gives the stream up: the client can't take what it got for complete.
func (s *Stream) Reset() { s.reset(internalError) }

func (s *Stream) reset(code Code) {
	s.gone.Store(true)
	s.quic.CancelRead(quic.StreamErrorCode(code))
	s.quic.CancelWrite(quic.StreamErrorCode(code))
}

// finish ends what the stream's server left open.
func (s *Stream) finish() {
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	switch {
	case !ended:
		s.Reset()
	case s.head.Malformed != nil:
		s.quic.CancelRead(quic.StreamErrorCode(messageError)) // RFC 9114, 4.1.2
	default:
		s.Abort()
	}
}

// Gone reports whether the stream has ended before its reply was complete.
func (s *Stream) Gone() bool { return s.Err() != nil }

// Err implements context.Context.
func (s *Stream) Err() error {
	if s.gone.Load() {
		return context.Canceled
	}
	return s.Context.Err()
}

// AfterFunc has f run by a goroutine of its own when the stream ends, unless stop is
// called before.
func (s *Stream) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(s.Context, f) }

// Inform sends an informational answer: a block made by AppendStatus and the like. It
// does nothing once the reply has begun. Any goroutine may call it.
func (s *Stream) Inform(block []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began {
		return nil
	}
	s.appendHeaders(block)
	return s.flush(nil)
}

// WriteHead sends a block made by AppendStatus and the like: the reply's head, or
// trailer fields. end says that nothing follows; else it goes out with what is
// written next, or with Flush.
func (s *Stream) WriteHead(block []byte, end bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return errEnded
	}
	s.began = true
	s.appendHeaders(block)
	if !end {
		return nil
	}
	return s.close(nil)
}

// appendHeaders appends a HEADERS frame, with the prefix that says that nothing of a
// dynamic table is used. RFC 9204, 4.5.1.
func (s *Stream) appendHeaders(block []byte) {
	s.out = quicvarint.Append(s.out, frameHeaders)
	s.out = quicvarint.Append(s.out, uint64(len(block)+2))
	s.out = append(s.out, 0, 0)
	s.out = append(s.out, block...)
}

// Flush sends what was written.
func (s *Stream) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.flush(nil) // the next Write fails, too
}

// Write sends content and returns how much it sent. It waits as long as the client
// takes nothing, and resets the stream with os.ErrDeadlineExceeded when that is longer
// than WriteTimeout.
func (s *Stream) Write(p []byte, end bool) (sent int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0, errEnded
	}
	if len(p) > 0 {
		s.out = quicvarint.Append(s.out, frameData)
		s.out = quicvarint.Append(s.out, uint64(len(p)))
	}
	if end {
		err = s.close(p)
	} else {
		err = s.flush(p)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// joined is up to how many bytes content is copied to go out with what is ahead of it.
const joined = 4 << 10

// flush sends what waits, and p. s.mu is held.
func (s *Stream) flush(p []byte) error {
	if len(s.out) == 0 && len(p) == 0 {
		return nil
	}
	c, now := s.conn, time.Now()
	if slow := s.pace.Judge(c.settings.Pace, s.sent, c.sent.Load()); slow != nil {
		s.reset(excessiveLoad)
		return slow
	}
	if err := s.quic.SetWriteDeadline(now.Add(c.settings.WriteTimeout)); err != nil {
		return err
	}
	size := int64(len(p))
	s.sent += size
	before := c.sent.Add(size)
	if len(p) <= joined {
		s.out = append(s.out, p...)
		p = nil
	}
	_, err := s.quic.Write(s.out)
	s.out = s.out[:0]
	if err == nil && p != nil {
		_, err = s.quic.Write(p)
	}
	waited := time.Since(now)
	s.pace.Wait(waited, c.cause(waited, size, c.sent.Load()-before))
	if err != nil {
		s.reset(internalError)
	}
	return err
}

// close sends what waits, and p, and the end. s.mu is held.
func (s *Stream) close(p []byte) error {
	if err := s.flush(p); err != nil {
		return err
	}
	s.ended = true
	return s.quic.Close()
}

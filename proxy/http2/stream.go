package http2

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/wire"
)

// Stream is one request and its reply. It is a context.Context too, which ends
// with the stream: a stream is never used for a second request.
//
// One goroutine writes and one reads at a time; all else may be called by any.
type Stream struct {
	// Set at construction.
	conn *Conn
	id   uint32
	head *Head // lent until the stream is served

	// Guarded by conn.mu.
	changed    sync.Cond // of anything that somebody waits for
	err        error     // why the stream ended before its time
	gotEnd     bool      // the client's side is complete
	sentEnd    bool      // and ours
	began      bool      // the reply's head is sent
	aborted    bool      // nobody reads the content any more
	blocked    bool      // waits to send
	window     int       // bytes of content that the client takes
	sent       int64     // bytes of content
	pace       Pace      // at which the client takes it
	received   int       // bytes of content that we would still take
	unread     int       // bytes that the client doesn't know of yet that we would take them
	left       int64     // content that has to come, if it was announced; else -1
	chunks     [][]byte  // content that came, in lent buffers
	from, to   int       // where it begins in the first and ends in the last of chunks
	trailers   http1.Fields
	readUntil  time.Time // zero for no deadline
	readTimer  *time.Timer
	writeTimer *time.Timer
	done       chan struct{} // made when somebody asks
	after      []*func()     // run when the stream ends
}

var (
	errEnded   = errors.New("the reply has ended")
	errBroken  = errors.New("the client broke the protocol")
	errAborted = errors.New("the stream was given up")
	// errReset is what the client's RST_STREAM makes of a stream.
	errReset = errors.New("the client reset the stream")
)

// Head returns the request's head, which is valid until the stream is served.
func (s *Stream) Head() *Head { return s.head }

// Read gives the request's content. It fails with os.ErrDeadlineExceeded when the
// deadline passes, and with another error when the stream has ended before its
// content was there.
func (s *Stream) Read(p []byte) (int, error) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(s.chunks) == 0 {
		switch {
		case s.err != nil:
			return 0, s.err
		case s.aborted:
			return 0, errAborted
		case s.gotEnd:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		}
		if err := s.wait(time.Now(), s.readUntil, &s.readTimer); err != nil {
			return 0, err
		}
	}
	n := 0
	for n < len(p) && len(s.chunks) > 0 {
		first := s.chunks[0]
		if len(s.chunks) == 1 {
			first = first[:s.to]
		}
		took := copy(p[n:], first[s.from:])
		n += took
		if s.from += took; s.from == len(first) {
			c.buffers.Give(s.chunks[0])
			s.chunks, s.from = s.chunks[1:], 0
		}
	}
	c.readSome(s, n)
	return n, nil
}

// SetReadDeadline makes reads fail after t, also one in progress; zero takes the
// deadline away.
func (s *Stream) SetReadDeadline(t time.Time) {
	s.conn.mu.Lock()
	s.readUntil = t
	s.changed.Broadcast()
	s.conn.mu.Unlock()
}

// Trailers returns the request's trailer fields, complete after io.EOF.
func (s *Stream) Trailers() http1.Fields {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.trailers
}

// wait waits for a change, at most until a time that isn't zero, after which it
// returns os.ErrDeadlineExceeded. timer is for this use only. conn.mu is held.
func (s *Stream) wait(now, until time.Time, timer **time.Timer) error {
	if until.IsZero() {
		s.changed.Wait()
		return nil
	}
	if !now.Before(until) {
		return os.ErrDeadlineExceeded
	}
	if *timer == nil {
		*timer = time.AfterFunc(until.Sub(now), func() {
			s.conn.mu.Lock()
			s.changed.Broadcast()
			s.conn.mu.Unlock()
		})
	} else {
		(*timer).Reset(until.Sub(now))
	}
	s.changed.Wait()
	(*timer).Stop()
	return nil
}

// receive takes content. conn.mu is held.
func (s *Stream) receive(p []byte) {
	for len(p) > 0 {
		if len(s.chunks) == 0 || s.to == len(s.chunks[len(s.chunks)-1]) {
			s.chunks = append(s.chunks, s.conn.buffers.Take(min(max(len(p), wire.Small), wire.Medium)))
			s.to = 0
		}
		n := copy(s.chunks[len(s.chunks)-1][s.to:], p)
		s.to += n
		p = p[n:]
	}
}

// Reset gives the stream up: the client can't take what it got for complete.
func (s *Stream) Reset() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.reset(internalError, errAborted)
	s.conn.flush()
}

// reset is Reset with an error for who uses the stream. conn.mu is held.
func (s *Stream) reset(code Code, err error) {
	c := s.conn
	if s.err != nil || c.err != nil || s.gotEnd && s.sentEnd {
		return
	}
	c.makeRoom(frameHead + 4)
	c.out = appendReset(c.out, s.id, code)
	c.dropped[c.drop] = s.id
	c.drop = (c.drop + 1) % len(c.dropped)
	s.end(err)
	c.remove(s)
}

// end makes everything fail that uses the stream. conn.mu is held.
func (s *Stream) end(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	s.forget()
	s.changed.Broadcast()
	if s.done != nil {
		close(s.done)
	}
	for _, f := range s.after {
		go (*f)()
	}
	s.after = nil
}

// forget gives back what nobody will read. conn.mu is held.
func (s *Stream) forget() {
	n := -s.from
	for i, chunk := range s.chunks {
		if i < len(s.chunks)-1 {
			n += len(chunk)
		} else {
			n += s.to
		}
		s.conn.buffers.Give(chunk)
	}
	if len(s.chunks) > 0 {
		s.conn.credit(n)
	}
	s.chunks, s.from, s.to = nil, 0, 0
}

// Abort makes reads fail, one in progress included.
func (s *Stream) Abort() {
	s.conn.mu.Lock()
	s.aborted = true
	s.forget()
	s.changed.Broadcast()
	s.conn.mu.Unlock()
}

// Gone reports whether the stream has ended before its reply was complete.
func (s *Stream) Gone() bool { return s.Err() != nil }

// Deadline implements context.Context; there is none.
func (s *Stream) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context; there is none.
func (s *Stream) Value(any) any { return nil }

// Err implements context.Context.
func (s *Stream) Err() error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.err != nil {
		return context.Canceled
	}
	return nil
}

// Done implements context.Context.
func (s *Stream) Done() <-chan struct{} {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.err != nil {
			close(s.done)
		}
	}
	return s.done
}

// AfterFunc has f run by a goroutine of its own when the stream ends, unless stop
// is called before; package context then needs no goroutine to wait for it.
func (s *Stream) AfterFunc(f func()) (stop func() bool) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.err != nil {
		go f()
		return func() bool { return false }
	}
	own := &f
	s.after = append(s.after, own)
	return func() bool {
		s.conn.mu.Lock()
		defer s.conn.mu.Unlock()
		for i, other := range s.after {
			if other == own {
				s.after = append(s.after[:i], s.after[i+1:]...)
				return true
			}
		}
		return false
	}
}

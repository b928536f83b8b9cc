package outbound

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// askGone is how often who waits looks whether anybody still wants the answer.
const askGone = 100 * time.Millisecond

// Session is the requests of one call of a plugin. It isn't safe for concurrent
// use.
type Session struct {
	client   *Client
	asker    Asker
	context  context.Context // of all requests
	cancel   context.CancelFunc
	running  sync.WaitGroup
	replies  []*Reply
	patience time.Duration // what is left of it
	waited   time.Duration
}

// Figures are what a session did. Failures are requests that got no whole answer
// though somebody waited for it; Sent and Received count content, in bytes.
type Figures struct {
	Requests, Failures, Sent, Received int64
}

// Asker is on whose behalf a session's requests are sent. The session is given up
// when Context is done, and when Gone says so, which is asked every 100 ms while
// there is something to wait for.
type Asker struct {
	Context  context.Context
	Gone     func() bool   // nil: never
	Patience time.Duration // for all waiting together; the rules' timeout if that is less
	Blocks   func()        // is called before it is waited; may be nil
}

// Begin returns a session. Whoever begins one ends it.
func (c *Client) Begin(a Asker) *Session {
	s := &Session{client: c, asker: a, patience: min(c.timeout, a.Patience)}
	s.context, s.cancel = context.WithCancel(context.Background())
	s.context = context.WithValue(s.context, sessionKey{}, s.context)
	return s
}

// Send begins a request, of which it keeps nothing, and doesn't wait. The error
// is ErrDenied, ErrMalformed or ErrLimit.
func (s *Session) Send(r *Request) (*Reply, error) {
	if len(s.replies) >= s.client.calls {
		return nil, fmt.Errorf("%w: %d requests in a call", ErrLimit, s.client.calls)
	}
	limit := s.client.timeout
	if r.Timeout > 0 {
		limit = min(limit, r.Timeout)
	}
	ctx, stop := context.WithTimeout(s.context, limit)
	request, err := s.client.check(ctx, r)
	if err != nil {
		stop()
		return nil, err
	}
	reply := &Reply{session: s, sent: int64(len(r.Content)), head: make(chan struct{}), more: make(chan struct{}, 1)}
	s.replies = append(s.replies, reply)
	s.running.Go(func() {
		defer stop()
		reply.run(request)
	})
	return reply, nil
}

// Count is how many requests were begun.
func (s *Session) Count() int { return len(s.replies) }

// Reply returns the answer to the n-th request, beginning at 1; nil if there is
// no such.
func (s *Session) Reply(n int) *Reply {
	if n < 1 || n > len(s.replies) {
		return nil
	}
	return s.replies[n-1]
}

// Waited is how long it was waited for answers so far.
func (s *Session) Waited() time.Duration { return s.waited }

// End breaks off what is still under way, and waits until nothing is.
func (s *Session) End() Figures {
	s.cancel()
	s.running.Wait()
	var f Figures
	for _, r := range s.replies {
		f.Requests++
		f.Sent += r.sent
		f.Received += int64(len(r.content))
		if err := cmp.Or(r.err, r.failure); err != nil && (s.patience <= 0 || !errors.Is(err, context.Canceled)) {
			f.Failures++
		}
	}
	return f
}

// await waits for ready. The error is ErrDeadline, or ErrUnavailable when nobody
// wants the answers any more.
func (s *Session) await(ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	default:
	}
	if s.asker.Blocks != nil {
		s.asker.Blocks()
	}
	begin := time.Now()
	left := s.patience
	defer func() {
		took := time.Since(begin)
		s.waited += took
		s.patience -= took
	}()
	look := time.NewTimer(min(left, askGone))
	defer look.Stop()
	for {
		select {
		case <-ready:
			return nil
		case <-s.asker.Context.Done():
			return s.leave()
		case <-look.C:
		}
		took := time.Since(begin)
		switch {
		case took >= left:
			return fmt.Errorf("%w: %v of waiting in a call", ErrDeadline, s.waited+took)
		case s.asker.Gone != nil && s.asker.Gone():
			return s.leave()
		}
		look.Reset(min(left-took, askGone))
	}
}

var errLeft = errors.New("the client left")

// leave gives up all requests.
func (s *Session) leave() error {
	s.cancel()
	return fmt.Errorf("%w: %w", ErrUnavailable, errLeft)
}

package responsecache

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy"
)

// flight is one question to a backend that is under way, for all requests with its key.
type flight struct {
	store   *store
	key     string
	waiting int // guarded by store.mu

	landed chan struct{} // closed when what follows is set
	answer *entry        // nil for none
	varied string        // what tells who gets answer, if it has a vary
	failed error         // the gateway's own fault; nil: each asks for itself
	again  bool          // who asked gave up: somebody else may ask for all
}

// mostWaiting is how many requests may wait for one answer.
const mostWaiting = 10_000

// Why requests fail that waited for the answer to another.
var (
	errManyWait = errors.New("too many requests wait for the same answer")
	errWaitLeft = errors.New("the client left while its request waited for the answer to another")
)

// join returns the flight for key, and whether the caller is who begins it. It fails if too
// many wait already.
func (s *store) join(key string) (f *flight, leads bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f = s.flights[key]; f == nil {
		f = &flight{store: s, key: strings.Clone(key), landed: make(chan struct{}), again: true}
		s.flights[f.key] = f
		return f, true, nil
	}
	if f.waiting == mostWaiting {
		return nil, false, proxy.Fault{Kind: proxy.Overloaded, Cause: errManyWait}
	}
	f.waiting++
	return f, false, nil
}

// land ends f, once: nobody joins it any more.
func (f *flight) land() {
	f.store.mu.Lock()
	delete(f.store.flights, f.key)
	f.store.mu.Unlock()
	close(f.landed)
}

// wait waits for f, for patience at most, and reports whether it landed in that time.
func (f *flight) wait(ctx context.Context, patience time.Duration) (landed bool, err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-f.landed:
		return true, nil
	case <-ctx.Done():
		return false, proxy.Fault{Kind: proxy.ClientGone, Cause: errWaitLeft}
	case <-timer.C:
		return false, nil
	}
}

// Package snapshot compiles a configuration into an immutable Snapshot: for
// every method of every stage a route with its pipeline, and the matcher that
// finds the route of a request by host, base path or stage, resource and verb.
package snapshot

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/postern-gateway/postern/proxy/config"
)

// closed is what Close adds to the count of uses: it makes the count negative.
const closed = math.MinInt64

// Snapshot is one configuration, ready to serve. It never changes; all methods
// are safe for concurrent use.
//
// Whoever uses a snapshot's routes holds it: Acquire before, Release after.
// What its steps hold is given back when it was closed and the last use ended.
type Snapshot struct {
	cfg     *config.Config // that it can be used again for; nil for none
	hosts   hosts
	stages  map[string]map[string]*stage // by API and name
	onClose []func()

	uses   atomic.Int64 // plus closed, once it is
	closer sync.Once
	ender  sync.Once
}

// Acquire takes one use of the snapshot, and reports false without taking it
// when the snapshot is closed: then a newer one is in place.
func (s *Snapshot) Acquire() bool {
	if s.uses.Add(1) > 0 {
		return true
	}
	s.Release()
	return false
}

// Release ends one use. The last one after Close runs the functions that the
// kinds left with OnClose, on the calling goroutine.
func (s *Snapshot) Release() {
	switch s.uses.Add(-1) {
	case closed:
		s.end()
	case -1:
		panic("snapshot: released more often than acquired")
	}
}

// Close gives the snapshot up: Acquire fails from now on. The OnClose functions
// run now if nobody uses it, else in the last Release; once, last one first.
// Closing again does nothing.
func (s *Snapshot) Close() {
	s.closer.Do(func() {
		if s.uses.Add(closed) == closed {
			s.end()
		}
	})
}

func (s *Snapshot) end() {
	// An Acquire that comes too late brings the count back to closed as well.
	s.ender.Do(func() {
		for i := len(s.onClose) - 1; i >= 0; i-- {
			s.onClose[i]()
		}
		s.onClose = nil
	})
}

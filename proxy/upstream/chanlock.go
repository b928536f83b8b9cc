package upstream

import (
	"context"
	"sync"
)

// chanLock is a lock whose waiting ends with a context. The zero value is open.
type chanLock struct {
	once sync.Once
	ch   chan struct{} // of one place: taken means locked
}

func (l *chanLock) place() chan struct{} {
	l.once.Do(func() { l.ch = make(chan struct{}, 1) })
	return l.ch
}

func (l *chanLock) lock(ctx context.Context) error {
	select {
	case l.place() <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try locks unless that would have to wait, and reports whether it did.
func (l *chanLock) try() bool {
	select {
	case l.place() <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l *chanLock) unlock() { <-l.place() }

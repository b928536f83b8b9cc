package certificate

import (
	"context"
	"sync"
	"time"
)

// budget bounds how many orders are placed in any minute, at all authorities
// together: a mistake of ours, or of a configuration, is no storm at theirs.
type budget struct {
	now func() time.Time

	mu     sync.Mutex // guards what follows
	limit  int
	placed []time.Time // in the last minute, oldest first
	total  int64
}

// orderWindow is the time that the limit is about.
const orderWindow = time.Minute

// set changes the limit.
func (b *budget) set(limit int) {
	b.mu.Lock()
	b.limit = limit
	b.mu.Unlock()
}

// take waits until one more order may be placed, and counts it.
func (b *budget) take(ctx context.Context) error {
	for {
		wait := b.try()
		if wait <= 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// try counts an order if one is left; else it returns when to try again.
func (b *budget) try() (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
	if len(b.placed) < b.limit {
		b.placed = append(b.placed, b.now())
		b.total++
		return 0
	}
	return max(orderWindow-b.now().Sub(b.placed[len(b.placed)-b.limit]), time.Millisecond)
}

// back takes back an order that the authority didn't even look at.
func (b *budget) back() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.placed); n > 0 {
		b.placed = b.placed[:n-1]
		b.total--
	}
}

// left returns how many orders may be placed at once, and how many were so far.
func (b *budget) left() (left int, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
	return max(b.limit-len(b.placed), 0), b.total
}

// forget drops what is older than the window. b.mu is held. Readings of the
// monotonic clock decide, where the clock has them: setting the time changes nothing.
func (b *budget) forget() {
	now, old := b.now(), 0
	for old < len(b.placed) && now.Sub(b.placed[old]) >= orderWindow {
		old++
	}
	b.placed = append(b.placed[:0], b.placed[old:]...)
}

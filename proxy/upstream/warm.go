package upstream

import (
	"context"
	"net/netip"
	"time"
)

// warmEvery is how often it is seen to that there are unused connections.
const warmEvery = time.Second

// warm keeps unused connections to each target that takes part, until ctx ends.
func (b *backend) warm(ctx context.Context) {
	for {
		for _, m := range b.picks.Load().members {
			for b.warmOne(ctx, m.target) {
			}
		}
		if !rest(ctx, warmEvery) {
			return
		}
	}
}

// warmOne opens one connection to t if it lacks one, and reports whether it did.
func (b *backend) warmOne(ctx context.Context, t *target) bool {
	if !b.lacks(t) {
		return false
	}
	defer func() {
		t.warming.Add(-1)
		if b.gate != nil {
			b.gate.wake(b)
		}
	}()
	limited, cancel := context.WithTimeout(ctx, b.settings.connect)
	defer cancel()
	c, err := t.connect(limited, netip.AddrPort{}, netip.AddrPort{})
	if err != nil {
		return false // requests and health checks tell
	}
	c.since = time.Now()
	t.put(c)
	return true
}

// lacks reports whether t should have one more unused connection and may, and
// reserves it.
func (b *backend) lacks(t *target) bool {
	if b.gate != nil { // no request takes a place meanwhile
		b.gate.mu.Lock()
		defer b.gate.mu.Unlock()
	}
	_, idle := t.figures()
	if idle >= b.minIdle || b.perOne > 0 && int(t.busy())+idle >= b.perOne {
		return false
	}
	t.warming.Add(1)
	return true
}

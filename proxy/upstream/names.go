package upstream

import (
	"context"
	"net/netip"
	"time"
)

// How long looked-up addresses count.
const (
	namesFresh = 10 * time.Second // asked again after this, by default
	namesStale = 5 * time.Minute  // used this long when asking fails
	namesWait  = 5 * time.Second  // for one answer of the resolver
)

// names remembers the addresses of one host name. One look-up runs at a time,
// whoever waits for it; when it fails, the last good answer serves for a while.
// The zero value is ready to use. Safe for concurrent use.
type names struct {
	fresh   time.Duration // asked again after this; 0: namesFresh
	lock    chanLock
	known   []netip.Addr
	at      time.Time
	failure error     // of the last look-up
	failed  time.Time // when; further callers share it for a second
}

// lookUp returns the addresses of host. The error is that of the resolver, or
// of ctx when it ended first.
func (n *names) lookUp(ctx context.Context, host string, resolve func(context.Context, string) ([]netip.Addr, error)) ([]netip.Addr, error) {
	if err := n.lock.lock(ctx); err != nil {
		return nil, err
	}
	defer n.lock.unlock()
	now := time.Now()
	fresh := n.fresh
	if fresh == 0 {
		fresh = namesFresh
	}
	if len(n.known) > 0 && now.Sub(n.at) < fresh {
		return n.known, nil
	}
	if n.failure != nil && now.Sub(n.failed) < time.Second {
		return n.stale(now)
	}
	limited, cancel := context.WithTimeout(ctx, namesWait)
	found, err := resolve(limited, host)
	cancel()
	now = time.Now()
	if err != nil {
		n.failure, n.failed = err, now
		return n.stale(now)
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	n.known, n.at, n.failure = found, now, nil
	return found, nil
}

// stale returns the last good answer while it counts, else the failure.
func (n *names) stale(now time.Time) ([]netip.Addr, error) {
	if len(n.known) > 0 && now.Sub(n.at) < namesStale {
		return n.known, nil
	}
	return nil, n.failure
}

package upstream

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"
)

// How long looked-up addresses count.
const (
	namesFresh = 10 * time.Second // asked again after this, by default
	namesStale = 5 * time.Minute  // used this long when asking fails
	namesWait  = 5 * time.Second  // for one answer of the resolver
)

// names remembers the addresses of one host name. One look-up runs at a time.
// While the last good answer counts, only the caller that asks waits for the
// resolver, and not for all of its time; before, all wait for that look-up.
// The zero value is ready to use. Safe for concurrent use.
type names struct {
	fresh time.Duration // asked again after this; 0: namesFresh
	good  atomic.Pointer[known]

	lock    chanLock  // guards what follows
	failure error     // of the last look-up
	failed  time.Time // when; further callers share it for a second
}

// known is an answer of the resolver.
type known struct {
	addresses []netip.Addr
	at        time.Time
}

// within reports whether there is an answer that isn't older than limit.
func (k *known) within(now time.Time, limit time.Duration) bool {
	return k != nil && now.Sub(k.at) < limit
}

// lookUp returns the addresses of host. The error is that of the resolver, or
// of ctx when it ended first.
func (n *names) lookUp(ctx context.Context, host string, resolve func(context.Context, string) ([]netip.Addr, error)) ([]netip.Addr, error) {
	now, good, fresh := time.Now(), n.good.Load(), n.fresh
	if fresh == 0 {
		fresh = namesFresh
	}
	if good.within(now, fresh) {
		return good.addresses, nil
	}
	if !n.lock.try() {
		if good.within(now, namesStale) {
			return good.addresses, nil
		}
		if err := n.lock.lock(ctx); err != nil {
			return nil, err
		}
	}
	defer n.lock.unlock()
	now, good = time.Now(), n.good.Load()
	if good.within(now, fresh) {
		return good.addresses, nil
	}
	if n.failure == nil || now.Sub(n.failed) >= time.Second {
		found, err := ask(ctx, host, resolve, good.within(now, namesStale))
		if err == nil {
			n.failure = nil
			n.good.Store(&known{found, time.Now()})
			return found, nil
		}
		n.failure, n.failed = err, time.Now()
	}
	if good.within(time.Now(), namesStale) {
		return good.addresses, nil
	}
	return nil, n.failure
}

// ask asks the resolver. spare leaves half of the time that ctx has for what
// follows, which can do without.
func ask(ctx context.Context, host string, resolve func(context.Context, string) ([]netip.Addr, error), spare bool) ([]netip.Addr, error) {
	limited, cancel := context.WithTimeout(ctx, namesWait)
	defer cancel()
	if spare {
		half, done := share(limited, 2)
		defer done()
		limited = half
	}
	found, err := resolve(limited, host)
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, err
}

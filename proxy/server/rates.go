package server

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// clientKey is what tells clients apart: an IPv4 address, or the /64 of an IPv6
// address, since one customer has at least that many.
type clientKey uint64

// keyOf returns addr's key; ok is false when there is no address.
func keyOf(addr netip.Addr) (key clientKey, ok bool) {
	switch addr = addr.Unmap(); {
	case addr.Is4():
		b := addr.As4()
		// Above 2^32 and below every IPv6 address that anybody has: RFC 4291, 2.4.
		return 1<<32 | clientKey(b[0])<<24 | clientKey(b[1])<<16 | clientKey(b[2])<<8 | clientKey(b[3]), true
	case addr.Is6():
		b := addr.As16()
		for _, octet := range b[:8] {
			key = key<<8 | clientKey(octet)
		}
		return key, true
	}
	return 0, false
}

// rate is how often something may happen: n a second, burst at once.
type rate struct {
	interval time.Duration // between two; 0 for no bound
	slack    time.Duration // how far ahead of its time one may be
}

// newRate returns the rate; a burst of 0 is as many as n, and n of 0 is no bound.
func newRate(n, burst int) rate {
	if n == 0 {
		return rate{}
	}
	if burst == 0 {
		burst = n
	}
	interval := time.Second / time.Duration(n)
	return rate{interval: interval, slack: interval * time.Duration(burst-1)}
}

const (
	// rateClients is how many clients rates remembers: 1 MiB. Beyond, the one of a
	// bucket that has been quiet for longest is forgotten.
	rateClients = 64 << 10
	rateShards  = 64                                  // locks
	rateWays    = 16                                  // clients of a bucket
	rateBuckets = rateClients / rateShards / rateWays // of each shard
)

// rates remembers, for a bounded number of clients, when each may come next: the
// generic cell rate algorithm (ITU-T I.371). It allocates nothing after its
// construction. Safe for concurrent use.
type rates struct {
	seed   maphash.Seed // so that nobody can choose whom to drive out
	epoch  time.Time
	shards [rateShards]rateShard
}

type rateShard struct {
	mu   sync.Mutex // guards what follows
	rows [rateBuckets][rateWays]arrival
}

// arrival is when a client's next one is due, in nanoseconds since the epoch; 0
// for a place that is free.
type arrival struct {
	key clientKey
	due int64
}

func newRates(now time.Time) *rates {
	return &rates{seed: maphash.MakeSeed(), epoch: now.Add(-time.Second)}
}

// take counts one of client at now and returns 0, or how long the client has to
// wait for it.
func (r *rates) take(key clientKey, limit rate, now time.Time) (wait time.Duration) {
	if limit.interval == 0 {
		return 0
	}
	hash := maphash.Comparable(r.seed, key)
	shard := &r.shards[hash%rateShards]
	row := &shard.rows[hash/rateShards%rateBuckets]
	at := max(int64(now.Sub(r.epoch)), 1)

	shard.mu.Lock()
	defer shard.mu.Unlock()
	slot := &row[0]
	for i := range row {
		if row[i].key == key && row[i].due != 0 {
			slot = &row[i]
			break
		}
		if row[i].due < slot.due {
			slot = &row[i]
		}
	}
	if slot.key != key {
		*slot = arrival{key: key}
	}
	due := max(slot.due, at)
	if early := time.Duration(due - at); early > limit.slack {
		return early - limit.slack
	}
	slot.due = due + int64(limit.interval)
	return 0
}

// census counts the open connections of each client. Its size is bounded by the
// number of connections that the listener may have. The zero value is ready to
// use; safe for concurrent use.
type census struct {
	mu   sync.Mutex // guards what follows
	open map[clientKey]int
}

// enter counts one more, unless that would be more than limit.
func (c *census) enter(key clientKey, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = make(map[clientKey]int)
	}
	n := c.open[key]
	if n >= limit {
		return false
	}
	c.open[key] = n + 1
	return true
}

// leave counts one less; the key 0, which nobody has, counts nobody.
func (c *census) leave(key clientKey) {
	if key == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.open[key]; n > 1 {
		c.open[key] = n - 1
	} else {
		delete(c.open, key)
	}
}

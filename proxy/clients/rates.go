package clients

import (
	"hash/maphash"
	"sync"
	"time"
)

// Rate is how often something may happen. The zero value is no bound.
type Rate struct {
	interval time.Duration // between two; 0 for no bound
	slack    time.Duration // how far ahead of its time one may be
}

// NewRate returns n a second, burst at once, which is as many as n if it is 0, and
// at least one; n of 0 is no bound.
func NewRate(n float64, burst int) Rate {
	if n == 0 {
		return Rate{}
	}
	if burst == 0 {
		burst = max(1, int(n))
	}
	interval := max(1, time.Duration(float64(time.Second)/n))
	return Rate{interval: interval, slack: interval * time.Duration(burst-1)}
}

// Bounds reports whether r is a bound at all.
func (r Rate) Bounds() bool { return r.interval > 0 }

const (
	rateShards = 64 // locks
	rateWays   = 16 // clients of a bucket
	fewBuckets = 4  // of each shard, to begin with
)

// Rates remembers, for a bounded number of clients, when each may come next: the
// generic cell rate algorithm (ITU-T I.371). It takes 16 bytes for each, in steps
// that double, and allocates nothing once it has grown. Safe for concurrent use.
type Rates struct {
	seed   maphash.Seed // so that nobody can choose whom to drive out
	epoch  time.Time
	most   int // buckets of each shard
	shards [rateShards]rateShard
}

type rateShard struct {
	mu      sync.Mutex // guards what follows
	buckets [][rateWays]arrival
}

// arrival is when a client's next one is due, in nanoseconds since the epoch; 0
// for a place that is free.
type arrival struct {
	key Key
	due int64
}

// NewRates returns memory for that many clients, give or take. Beyond, the one of a
// bucket that has been quiet for longest is forgotten.
func NewRates(now time.Time, clients int) *Rates {
	r := &Rates{seed: maphash.MakeSeed(), epoch: now.Add(-time.Second), most: fewBuckets}
	for r.most*rateWays*rateShards < clients {
		r.most *= 2
	}
	for i := range r.shards {
		r.shards[i].buckets = make([][rateWays]arrival, fewBuckets)
	}
	return r
}

// Take counts one of client at now and returns 0, or how long the client has to
// wait for it.
func (r *Rates) Take(client Key, limit Rate, now time.Time) (wait time.Duration) {
	if limit.interval == 0 {
		return 0
	}
	at := max(int64(now.Sub(r.epoch)), 1)
	hash := maphash.Comparable(r.seed, client)
	shard := &r.shards[hash%rateShards]
	hash /= rateShards

	shard.mu.Lock()
	defer shard.mu.Unlock()
	slot := shard.slot(client, hash)
	if slot.key != client {
		// Who isn't at work on his next one may come like somebody new.
		for slot.due > at && len(shard.buckets) < r.most {
			shard.grow(r.seed, at)
			slot = shard.slot(client, hash)
		}
		*slot = arrival{key: client}
	}
	due := max(slot.due, at)
	if early := time.Duration(due - at); early > limit.slack {
		return early - limit.slack
	}
	slot.due = due + int64(limit.interval)
	return 0
}

// slot returns the place of client, else the one of its bucket that is free or has
// been quiet for longest.
func (s *rateShard) slot(client Key, hash uint64) *arrival {
	bucket := &s.buckets[hash&uint64(len(s.buckets)-1)]
	slot := &bucket[0]
	for i := range bucket {
		if bucket[i].key == client && bucket[i].due != 0 {
			return &bucket[i]
		}
		if bucket[i].due < slot.due {
			slot = &bucket[i]
		}
	}
	return slot
}

// grow doubles s, without those whose next one is due at at.
func (s *rateShard) grow(seed maphash.Seed, at int64) {
	before := s.buckets
	s.buckets = make([][rateWays]arrival, 2*len(before))
	for i := range before {
		for _, a := range before[i] {
			if a.due > at {
				*s.slot(a.key, maphash.Comparable(seed, a.key)/rateShards) = a
			}
		}
	}
}

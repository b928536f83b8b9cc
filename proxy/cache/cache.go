// Package cache keeps values by key for a time, in a bounded amount of memory.
package cache

import (
	"hash/maphash"
	"time"
	"unsafe"

	"github.com/dgraph-io/ristretto/v2"
)

// Figures of ristretto, which keeps the values.
const (
	// leastCost is what an entry costs at least, in bytes, so that a bound in bytes
	// is also one in entries.
	leastCost = 512
	// overhead is what an entry costs besides its key and value, in bytes: measured
	// at 20,000 entries.
	overhead = 270
	// countersPerEntry is how many counters it wants for each entry of a full cache,
	// at three bytes each.
	countersPerEntry = 10
	// readsInBatch is how many reads are counted at a time.
	readsInBatch = 64
)

// Cache holds values by key. Its methods are safe for concurrent use.
type Cache[V any] struct {
	store *ristretto.Cache[uint64, *entry[V]]
	seed  maphash.Seed
}

// entry is one value with its whole key, because ristretto goes by hashes.
type entry[V any] struct {
	key     string
	value   V
	expires time.Time
}

// New returns a cache for at most size bytes, which the caller closes. size is at
// least a few thousand.
func New[V any](size int64) *Cache[V] {
	store, err := ristretto.NewCache(&ristretto.Config[uint64, *entry[V]]{
		NumCounters: countersPerEntry * (size / leastCost),
		MaxCost:     size,
		BufferItems: readsInBatch,
		// Cost counts it, in bytes that were measured.
		IgnoreInternalCost: true,
		KeyToHash:          func(hash uint64) (uint64, uint64) { return hash, 0 },
	})
	if err != nil {
		panic(err) // it only judges the figures above
	}
	return &Cache[V]{store: store, seed: maphash.MakeSeed()}
}

// Get returns the value of key, unless it has expired by now.
func (c *Cache[V]) Get(key string, now time.Time) (value V, found bool) {
	// The hash is seeded, so that nobody can choose keys that displace each other.
	e, found := c.store.Get(maphash.String(c.seed, key))
	if !found || e.key != key || !now.Before(e.expires) {
		return value, false
	}
	return e.value, true
}

// Put keeps value until expires, which has a monotonic clock reading. size is
// what the value takes in bytes, without its own memory. It returns when Get can
// see the value; a full cache may decide to keep others instead. The key is kept.
func (c *Cache[V]) Put(key string, value V, size int, expires time.Time) {
	left := time.Until(expires)
	if left <= 0 {
		return
	}
	e := &entry[V]{key: key, value: value, expires: expires}
	cost := max(leastCost, int64(overhead+len(key)+size)+int64(unsafe.Sizeof(*e)))
	// A value that replaces another is seen at once, even if the queue is full, but
	// a new one isn't kept then.
	if c.store.SetWithTTL(maphash.String(c.seed, key), e, cost, left) {
		c.store.Wait()
	}
}

// Cost returns how many bytes are in use.
func (c *Cache[V]) Cost() int64 { return c.store.MaxCost() - c.store.RemainingCost() }

// Close gives the memory back. Nothing may use c any more.
func (c *Cache[V]) Close() { c.store.Close() }

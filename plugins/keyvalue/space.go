// Package keyvalue is memory that plugins share: values and counters with an
// end, in a bounded number of bytes. What was used longest ago makes room.
package keyvalue

import (
	"bytes"
	"container/list"
	"errors"
	"hash/maphash"
	"math"
	"strings"
	"sync"
	"time"
)

// Limits of one entry.
const (
	MaxKey = 512 // bytes
	// entryCost is what an entry costs besides its key and its value, in bytes:
	// an approximation from above.
	entryCost = 256

	shards = 16
)

// The errors of a Space.
var (
	ErrKey     = errors.New("a key has 1 to 512 bytes")
	ErrSize    = errors.New("the entry is larger than the space allows")
	ErrCounter = errors.New("the key is a value's, not a counter's, or the other way round")
	ErrRange   = errors.New("the counter would be too large")
)

// Space is one namespace. Safe for concurrent use; what is done to one key is
// seen by all at once.
type Space struct {
	clock  func() time.Time
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu      sync.Mutex
	entries map[string]*list.Element // of *entry
	recent  list.List                // the most recently used in front
	used    int
	most    int    // bytes
	evicted uint64 // entries that made room
}

type entry struct {
	key     string
	value   []byte
	count   int64
	counter bool
	until   time.Time // zero for ever
}

// NewSpace returns a space for size bytes, of which an entry takes its key, its
// value and 256 bytes; one entry may have a 16th of it. Clock tells the time; it
// may be wound back.
func NewSpace(size int64, clock func() time.Time) *Space {
	s := &Space{clock: clock, seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].entries = map[string]*list.Element{}
	}
	s.Resize(size)
	return s
}

// Resize makes the space one of size bytes. What no longer fits goes.
func (s *Space) Resize(size int64) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.most = int(min(size/shards, math.MaxInt32))
		sh.makeRoom(0)
		sh.mu.Unlock()
	}
}

func (s *Space) lock(key string) *shard {
	sh := &s.shards[maphash.String(s.seed, key)%shards]
	sh.mu.Lock()
	return sh
}

// Figures are what a space holds, those entries included that are over and not
// yet cleared away.
type Figures struct {
	Entries int64
	Bytes   int64
	Size    int64  // bytes that there may be
	Evicted uint64 // entries that had to make room so far
}

// Figures returns what the space holds.
func (s *Space) Figures() Figures {
	var f Figures
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		f.Entries += int64(len(sh.entries))
		f.Bytes += int64(sh.used)
		f.Size += int64(sh.most)
		f.Evicted += sh.evicted
		sh.mu.Unlock()
	}
	return f
}

// Read copies the value of key to buffer, if it fits, and returns its length.
// Counters are only for Add to see.
func (s *Space) Read(key string, buffer []byte) (length int, found bool) {
	sh := s.lock(key)
	defer sh.mu.Unlock()
	e := sh.find(key, s.clock())
	if e == nil || e.counter {
		return 0, false
	}
	if len(e.value) <= len(buffer) {
		copy(buffer, e.value)
	}
	return len(e.value), true
}

// Set sets key to a copy of value, for ttl; 0 is without an end. The error is
// ErrKey or ErrSize.
func (s *Space) Set(key string, value []byte, ttl time.Duration) error {
	if key == "" || len(key) > MaxKey {
		return ErrKey
	}
	sh := s.lock(key)
	defer sh.mu.Unlock()
	return sh.put(key, value, end(s.clock(), ttl))
}

// CompareAndSet is Set if the value still is old; an empty old means that there
// is none. It reports whether it set.
func (s *Space) CompareAndSet(key string, old, value []byte, ttl time.Duration) (set bool, err error) {
	if key == "" || len(key) > MaxKey {
		return false, ErrKey
	}
	sh := s.lock(key)
	defer sh.mu.Unlock()
	now := s.clock()
	e := sh.find(key, now)
	switch {
	case e != nil && e.counter:
		return false, ErrCounter
	case e == nil && len(old) > 0, e != nil && (len(old) == 0 || !bytes.Equal(e.value, old)):
		return false, nil
	}
	if err := sh.put(key, value, end(now, ttl)); err != nil {
		return false, err
	}
	return true, nil
}

// Add adds delta to the counter at key and returns its new value. It begins at
// 0, when ttl begins too, and never goes below. The error is ErrKey, ErrCounter,
// ErrRange or ErrSize.
func (s *Space) Add(key string, delta int64, ttl time.Duration) (int64, error) {
	if key == "" || len(key) > MaxKey {
		return 0, ErrKey
	}
	sh := s.lock(key)
	defer sh.mu.Unlock()
	now := s.clock()
	e := sh.find(key, now)
	if e == nil {
		e = &entry{key: key, counter: true, until: end(now, ttl)}
		if err := sh.add(e); err != nil {
			return 0, err
		}
	}
	switch {
	case !e.counter:
		return 0, ErrCounter
	case delta > 0 && e.count > math.MaxInt64-delta:
		return 0, ErrRange
	}
	e.count = max(0, e.count+delta)
	return e.count, nil
}

// Delete removes key and reports whether it was there.
func (s *Space) Delete(key string) bool {
	sh := s.lock(key)
	defer sh.mu.Unlock()
	if sh.find(key, s.clock()) == nil {
		return false
	}
	sh.remove(sh.entries[key])
	return true
}

func end(now time.Time, ttl time.Duration) time.Time {
	if ttl <= 0 {
		return time.Time{}
	}
	return now.Add(ttl)
}

// find returns the entry of key, which counts as used now.
func (sh *shard) find(key string, now time.Time) *entry {
	at := sh.entries[key]
	if at == nil {
		return nil
	}
	e := at.Value.(*entry)
	if !e.until.IsZero() && !now.Before(e.until) {
		sh.remove(at)
		return nil
	}
	sh.recent.MoveToFront(at)
	return e
}

// put sets a value; a counter of the same key goes.
func (sh *shard) put(key string, value []byte, until time.Time) error {
	if len(key)+len(value)+entryCost > sh.most {
		return ErrSize
	}
	if at := sh.entries[key]; at != nil {
		sh.remove(at)
	}
	return sh.add(&entry{key: key, value: bytes.Clone(value), until: until})
}

// add adds e, for which those that were used longest ago make room.
func (sh *shard) add(e *entry) error {
	if e.cost() > sh.most {
		return ErrSize
	}
	sh.makeRoom(e.cost())
	e.key = strings.Clone(e.key) // it may be a guest's memory
	sh.entries[e.key] = sh.recent.PushFront(e)
	sh.used += e.cost()
	return nil
}

// makeRoom removes entries until there are n bytes.
func (sh *shard) makeRoom(n int) {
	for sh.used > 0 && sh.used+n > sh.most {
		sh.remove(sh.recent.Back())
		sh.evicted++
	}
}

func (sh *shard) remove(at *list.Element) {
	e := sh.recent.Remove(at).(*entry)
	delete(sh.entries, e.key)
	sh.used -= e.cost()
}

func (e *entry) cost() int { return len(e.key) + len(e.value) + entryCost }

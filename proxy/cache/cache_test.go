package cache

import (
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newCache(t testing.TB, size int64) *Cache[string] {
	c := New[string](size)
	t.Cleanup(c.Close)
	return c
}

// What was put is there at once, until it expires.
func TestGet(t *testing.T) {
	c := newCache(t, 1<<20)
	now := time.Now()
	for i := range 1000 {
		key := fmt.Sprint("key ", i)
		c.Put(key, fmt.Sprint("value ", i), 10, now.Add(time.Minute))
		if got, found := c.Get(key, now); !found || got != fmt.Sprint("value ", i) {
			t.Fatalf("%s is %q, %v", key, got, found)
		}
	}
	if _, found := c.Get("key", now); found {
		t.Error("found what was never put")
	}
	if _, found := c.Get("key 1", now.Add(time.Minute-1)); !found {
		t.Error("gone before its time")
	}
	if _, found := c.Get("key 1", now.Add(time.Minute)); found {
		t.Error("found what has expired")
	}
	c.Put("late", "x", 1, now.Add(-time.Second))
	if _, found := c.Get("late", now.Add(-time.Hour)); found {
		t.Error("kept what had expired")
	}
	c.Put("key 1", "other", 5, now.Add(time.Minute))
	if got, _ := c.Get("key 1", now); got != "other" {
		t.Errorf("replaced value is %q", got)
	}
}

// Two keys with one hash never share a value.
func TestSameHash(t *testing.T) {
	c := newCache(t, 1<<20)
	now := time.Now()
	c.Put("one", "1", 1, now.Add(time.Minute))
	e, _ := c.store.Get(maphash.String(c.seed, "one"))
	e.key = "two" // as if its hash were that of "one"
	if got, found := c.Get("one", now); found {
		t.Errorf("got the value %q of another key", got)
	}
}

// However much is put, memory has its bound; and what doesn't fit at all isn't kept.
func TestBound(t *testing.T) {
	const size = 1 << 20
	c := newCache(t, size)
	now := time.Now()
	const n = 4 * size / leastCost
	for i := range n {
		c.Put(fmt.Sprint(i), "", 0, now.Add(time.Minute))
	}
	kept := 0
	for i := range n {
		if _, found := c.Get(fmt.Sprint(i), now); found {
			kept++
		}
	}
	if kept == 0 || kept > size/leastCost {
		t.Errorf("kept %d entries of at least %d bytes in %d bytes", kept, leastCost, size)
	}
	c.Put("huge", strings.Repeat("x", 2*size), 2*size, now.Add(time.Minute))
	if _, found := c.Get("huge", now); found {
		t.Error("kept more than fits")
	}
}

func TestConcurrent(t *testing.T) {
	c := newCache(t, 64<<10)
	now := time.Now()
	var work sync.WaitGroup
	for g := range 8 {
		work.Go(func() {
			for i := range 500 {
				key := fmt.Sprint((g*31 + i) % 97)
				if got, found := c.Get(key, now); found && got != key {
					t.Errorf("%s is %s", key, got)
				}
				c.Put(key, key, len(key), now.Add(time.Minute))
			}
		})
	}
	work.Wait()
}

func BenchmarkGet(b *testing.B) {
	c := newCache(b, 1<<20)
	now := time.Now()
	key := strings.Repeat("k", 1000) // a token, say
	c.Put(key, "x", 1, now.Add(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		if _, found := c.Get(key, now); !found {
			b.Fatal("gone")
		}
	}
}

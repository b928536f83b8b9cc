package clients

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"
)

const few = 64 << 10 // clients

func TestKeyOf(t *testing.T) {
	f := func(a, b string, same bool) {
		t.Helper()
		ka, _ := KeyOf(netip.MustParseAddr(a))
		kb, _ := KeyOf(netip.MustParseAddr(b))
		if (ka == kb) != same {
			t.Errorf("%s and %s: %x, %x, want same = %t", a, b, ka, kb, same)
		}
	}
	f("192.0.2.1", "::ffff:192.0.2.1", true)
	f("192.0.2.1", "192.0.2.2", false)
	f("2001:db8::1", "2001:db8::ffff:1", true)
	f("2001:db8::1", "2001:db8:0:1::1", false)
	f("0.0.0.1", "::1", false)
	if _, ok := KeyOf(netip.Addr{}); ok {
		t.Error("no address has a key")
	}
}

// Against the definition: of any n+burst in n seconds at most rate*n + burst pass.
func TestRates(t *testing.T) {
	now := time.Now()
	r := NewRates(now, few)
	limit := NewRate(10, 3)
	passed := 0
	for range 1000 { // 10 s in steps of 10 ms
		if r.Take(1, limit, now) == 0 {
			passed++
		}
		now = now.Add(10 * time.Millisecond)
	}
	if passed < 100 || passed > 103 {
		t.Errorf("%d passed in 10 s at 10/s with 3 at once", passed)
	}
	for r.Take(1, limit, now) == 0 {
	}
	if wait := r.Take(1, limit, now); wait <= 0 || wait > 100*time.Millisecond {
		t.Errorf("wait of %s, want up to 100ms", wait)
	}
	if wait := r.Take(2, limit, now); wait != 0 {
		t.Errorf("another client waits %s", wait)
	}
	// Waiting for as long as told is enough.
	if wait := r.Take(1, limit, now.Add(r.Take(1, limit, now))); wait != 0 {
		t.Errorf("still waits %s", wait)
	}
	if wait := r.Take(1, Rate{}, now); wait != 0 {
		t.Errorf("no bound: waits %s", wait)
	}
}

// However many clients come, memory stays as it is, and one that is at its limit
// stays there.
func TestRatesBounded(t *testing.T) {
	now := time.Now()
	r := NewRates(now, few)
	limit := NewRate(1, 1)
	if r.Take(1<<33, NewRate(1, 1000), now) != 0 {
		t.Fatal("first")
	}
	for range 100 {
		r.Take(1<<33, NewRate(1, 1000), now) // due 100 s from now
	}
	for key := range Key(2 * few) {
		r.Take(key, limit, now)
	}
	if r.Take(1<<33, NewRate(1, 50), now) == 0 {
		t.Error("a client beyond its limit was forgotten for ones that weren't")
	}
	if n := testing.AllocsPerRun(100, func() { r.Take(Key(rand.Uint64()), limit, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRatesHammer(t *testing.T) {
	now := time.Now()
	r := NewRates(now, few)
	var work sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for range 8 {
		work.Go(func() {
			for range 1000 {
				if r.Take(7, NewRate(1, 500), now) == 0 {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	work.Wait()
	if passed != 500 {
		t.Errorf("%d passed, want 500", passed)
	}
}

func BenchmarkRates(b *testing.B) {
	r, now, limit := NewRates(time.Now(), 1<<20), time.Now(), NewRate(10, 10)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Take(Key(i), limit, now)
	}
}

package usage

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// after is the instant d after a ledger was made.
func after(d time.Duration) Instant { return Instant(d) * grain }

// For ten seconds at twice and ten times the rate, what is admitted is the rate times
// the time and the burst, for one bucket and for ten thousand.
func TestBucketIsExact(t *testing.T) {
	f := func(buckets int, rate float64, burst, times int) {
		t.Helper()
		const span = 10 * time.Second
		r := NewRate(rate, burst)
		all := make([]Bucket, buckets)
		step := float64(span) / (rate * float64(times) * span.Seconds())
		admitted := make([]int, buckets)
		for i := 0; float64(i)*step < float64(span); i++ {
			now := after(time.Duration(float64(i) * step))
			for b := range all {
				if _, ok := all[b].Take(r, now); ok {
					admitted[b]++
				}
			}
		}
		want := rate*span.Seconds() + float64(burst)
		for b, n := range admitted {
			if math.Abs(float64(n)-want) > want/100 {
				t.Fatalf("bucket %d of %d, %v/s, burst %d, %d times the rate: %d admitted, want %v", b, buckets, rate, burst, times, n, want)
			}
		}
	}
	for _, times := range []int{2, 10} {
		f(1, 10000, 5000, times)
		f(1, 1000000, 100, times)
		f(1, 700001, 10, times)
		f(1, 33.3, 10, times)
		f(100, 100, 50, times)
		f(10000, 20, 40, times)
	}
}

func TestBucketEdges(t *testing.T) {
	f := func(rate float64, burst int, admitted int, wait time.Duration) {
		t.Helper()
		var b Bucket
		r := NewRate(rate, burst)
		for i := range admitted {
			if _, ok := b.Take(r, 0); !ok {
				t.Fatalf("%v/s, %d: number %d was refused", rate, burst, i)
			}
		}
		got, ok := b.Take(r, 0)
		if ok || got != wait {
			t.Errorf("%v/s, %d: %v, wait %v instead of %v", rate, burst, ok, got, wait)
		}
		if wait < math.MaxInt64 {
			if _, ok := b.Take(r, after(wait)); !ok {
				t.Errorf("%v/s, %d: refused after %v", rate, burst, wait)
			}
			if _, ok := b.Take(r, after(wait)); ok {
				t.Errorf("%v/s, %d: one too many after %v", rate, burst, wait)
			}
		}
	}
	f(10, 3, 3, 100*time.Millisecond)
	f(0.5, 1, 1, 2*time.Second)
	f(1000000, 5, 5, time.Microsecond)
	f(0, 10, 0, math.MaxInt64)
	f(10, 0, 0, math.MaxInt64)
	f(-1, 10, 0, math.MaxInt64)
	f(math.NaN(), 10, 0, math.MaxInt64)
	f(1.0/3600/24/30, 2, 2, 30*24*time.Hour)
	// The most of both: nothing overflows.
	var b Bucket
	for _, r := range []Rate{NewRate(1e-300, 1000000), NewRate(1e-5, 10000000), NewRate(1e300, 10000000)} {
		for _, at := range []Instant{0, after(10 * 365 * 24 * time.Hour)} {
			b = Bucket{}
			if _, ok := b.Take(r, at); !ok {
				t.Errorf("%+v at %d: refused", r, at)
			}
		}
	}
}

// What is given back is there again, and no more.
func TestBucketReturn(t *testing.T) {
	var b Bucket
	r := NewRate(1, 3)
	for range 10 {
		for range 3 {
			if _, ok := b.Take(r, after(time.Hour)); !ok {
				t.Fatal("refused")
			}
		}
		if _, ok := b.Take(r, after(time.Hour)); ok {
			t.Fatal("one too many")
		}
		for range 3 {
			b.Return(r)
		}
	}
}

// Many at once take as many as one would, and nobody is left out for long.
func TestBucketIsFair(t *testing.T) {
	const takers, tries = 16, 20000
	var b Bucket
	r := NewRate(1000, 500)
	var clock atomic.Int64 // each try is a hundredth of a millisecond: 100 times the rate
	var admitted [takers]int
	var work sync.WaitGroup
	for i := range takers {
		work.Go(func() {
			for range tries {
				at := after(time.Duration(clock.Add(1)) * 10 * time.Microsecond)
				if _, ok := b.Take(r, at); ok {
					admitted[i]++
				}
			}
		})
	}
	work.Wait()
	total := 0
	for _, n := range admitted {
		total += n
	}
	want := 1000*float64(takers*tries)/100000 + 500
	if math.Abs(float64(total)-want) > want/100 {
		t.Errorf("%d admitted, want %v", total, want)
	}
	t.Log(fmt.Sprint(admitted))
}

// The same on the machine's clock.
func TestBucketInRealTime(t *testing.T) {
	var b Bucket
	r := NewRate(2000, 1000) // what a busy machine may be late by

	l := New(Options{})
	began, admitted, stalled := time.Now(), 0, false
	last := began
	for last.Sub(began) < time.Second {
		now := time.Now()
		stalled, last = stalled || now.Sub(last) > 200*time.Millisecond, now
		if _, ok := b.Take(r, l.Instant(now)); ok {
			admitted++
		}
	}
	for { // what came while the test itself was away
		if _, ok := b.Take(r, l.Instant(last)); !ok {
			break
		}
		admitted++
	}
	want := 2000*last.Sub(began).Seconds() + 1000
	switch more := float64(admitted) - want; {
	case more > want/100:
		t.Errorf("%d admitted, want %v at most", admitted, want)
	case more < -want/100 && !stalled: // else the bucket was full while nobody asked
		t.Errorf("%d admitted, want %v", admitted, want)
	}
}

func BenchmarkBucket(b *testing.B) {
	l := New(Options{})
	r := NewRate(1e6, 1000000)
	var bucket Bucket
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			bucket.Take(r, l.Instant(time.Now()))
		}
	})
}

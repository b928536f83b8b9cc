package overload

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestJudge(t *testing.T) {
	f := func(was Level, share uint64, want Level) {
		t.Helper()
		if got := judge(was, Usage{Used: share, Limit: 1000}); got != want {
			t.Errorf("%v at %d: got %v, want %v", was, share, got, want)
		}
	}
	f(Calm, 919, Calm)
	f(Calm, 920, Strained)
	f(Calm, 950, Shedding)
	f(Strained, 900, Strained)
	f(Strained, 899, Calm)
	f(Strained, 949, Strained)
	f(Shedding, 930, Shedding)
	f(Shedding, 929, Strained)
	f(Shedding, 10, Calm)
	if got := judge(Calm, Usage{Used: math.MaxUint64, Limit: 1}); got != Shedding {
		t.Errorf("more than all: %v", got)
	}
	if got := judge(Shedding, Usage{Used: 1}); got != Calm {
		t.Errorf("no limit: %v", got)
	}
}

func TestMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		used, garbage, collections := uint64(0), uint64(0), 0
		var levels []Level
		m := New(Options{
			Memory: func() []Usage {
				mu.Lock()
				defer mu.Unlock()
				return []Usage{{}, {Used: 1, Limit: 10}, {Used: used + garbage, Limit: 100}}
			},
			Files: func() uint64 { return 1000 },
			Collect: func() {
				mu.Lock()
				defer mu.Unlock()
				garbage = 0
				collections++
			},
			Changed: func(level Level, _ Usage) {
				mu.Lock()
				defer mu.Unlock()
				levels = append(levels, level)
			},
		})
		defer m.Close()
		set := func(u, g uint64) Level {
			mu.Lock()
			used, garbage = u, g
			mu.Unlock()
			time.Sleep(2 * sampleEvery)
			synctest.Wait()
			return m.Level()
		}
		collected := func() int {
			mu.Lock()
			defer mu.Unlock()
			return collections
		}
		changes := func() []Level {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(levels)
		}
		if got := set(50, 0); got != Calm || collected() != 0 {
			t.Errorf("at 50: %v, %d collections", got, collected())
		}
		// Garbage is collected before anybody suffers.
		if got := set(50, 49); got != Calm || collected() != 1 || len(changes()) != 0 {
			t.Errorf("with garbage: %v, %d collections, changes %v", got, collected(), changes())
		}
		// But not all the time.
		if got := set(93, 0); got != Strained || collected() != 1 {
			t.Errorf("at 93: %v, %d collections", got, collected())
		}
		time.Sleep(3 * collectEvery)
		if got, n := set(96, 0), collected(); got != Shedding || n < 3 || n > 5 {
			t.Errorf("at 96: %v, %d collections", got, n)
		}
		if w := m.Worst(); w.Used != 96 || w.Limit != 100 {
			t.Errorf("worst: %+v", w)
		}
		if got := set(10, 0); got != Calm {
			t.Errorf("at 10: %v", got)
		}
		if !slices.Equal(changes(), []Level{Strained, Shedding, Calm}) {
			t.Errorf("changes %v", changes())
		}
		if m.FileMark() != 900 {
			t.Errorf("file mark %d", m.FileMark())
		}
	})
	var none *Monitor
	if none.Level() != Calm || none.FileMark() != math.MaxInt || none.Worst().Limit != 0 {
		t.Error("no monitor isn't calm")
	}
}

func TestFileMark(t *testing.T) {
	f := func(limit uint64, want int64) {
		t.Helper()
		if got := fileMark(limit); got != want {
			t.Errorf("%d: got %d, want %d", limit, got, want)
		}
	}
	f(0, math.MaxInt64)
	f(math.MaxUint64, math.MaxInt64)
	f(100, 90)
	f(1024, 922)
	f(1_000_000, 1_000_000-maxFileReserve)
	if limit := fileLimit(); limit == 0 && runtime.GOOS == "linux" {
		t.Error("no RLIMIT_NOFILE")
	}
}

// What is in use counts against GOMEMLIMIT, garbage doesn't.
func TestRuntime(t *testing.T) {
	r := newReader(0)
	old := debug.SetMemoryLimit(math.MaxInt64)
	gc := debug.SetGCPercent(-1)
	defer debug.SetMemoryLimit(old)
	defer debug.SetGCPercent(gc)
	if u := r.memory(); len(u) != 1 || u[0].Limit != 0 {
		t.Errorf("no limit: %+v", u)
	}
	runtime.GC()
	debug.SetMemoryLimit(1 << 40)
	before := r.runtime().Used
	garbage := make([]byte, 64<<20)
	touch(garbage)
	garbage = nil
	if after := r.runtime().Used; after > before+16<<20 {
		t.Errorf("64 MiB of garbage count for %d MiB", (after-before)>>20)
	}
	ballast := make([]byte, 64<<20)
	touch(ballast)
	runtime.GC()
	if after := r.runtime().Used; after < before+60<<20 || after > before+80<<20 {
		t.Errorf("64 MiB in use count for %d MiB", int64(after-before)>>20)
	}
	if r.runtime().Limit != 1<<40 {
		t.Errorf("limit %d", r.runtime().Limit)
	}
	if n := testing.AllocsPerRun(10, func() { r.runtime() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if own := ownPages(); own < 60<<20 {
		t.Errorf("own pages: %d MiB", own>>20)
	}
	runtime.KeepAlive(ballast)
}

func touch(b []byte) {
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
}

func BenchmarkSample(b *testing.B) {
	r := newReader(1 << 40)
	b.ReportAllocs()
	for b.Loop() {
		r.memory()
	}
}

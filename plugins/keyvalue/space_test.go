package keyvalue

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
)

type watch struct{ now time.Time }

func (w *watch) read() time.Time { return w.now }

func newSpace(size int64) (*Space, *watch) {
	w := &watch{time.Unix(1_700_000_000, 0)}
	return NewSpace(size, w.read), w
}

func (s *Space) get(key string) string {
	v, found := s.Get(nil, key)
	if !found {
		return "none"
	}
	return string(v)
}

func TestValues(t *testing.T) {
	s, w := newSpace(1 << 20)
	value := []byte("one")
	if err := s.Set("a", value, time.Second); err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	if got := s.get("a"); got != "one" {
		t.Errorf("a = %s", got)
	}
	w.now = w.now.Add(time.Second - 1)
	if got := s.get("a"); got != "one" {
		t.Errorf("just before its end: %s", got)
	}
	w.now = w.now.Add(1)
	if got := s.get("a"); got != "none" {
		t.Errorf("at its end: %s", got)
	}
	if s.Used() != 0 {
		t.Errorf("%d bytes are left", s.Used())
	}
	if err := s.Set("b", nil, 0); err != nil || s.get("b") != "" || !s.Delete("b") || s.Delete("b") {
		t.Error("an empty value isn't kept or not deleted once")
	}
	for _, key := range []string{"", strings.Repeat("k", MaxKey+1)} {
		if err := s.Set(key, nil, 0); !errors.Is(err, ErrKey) {
			t.Errorf("key of %d bytes: %v", len(key), err)
		}
	}
	if err := s.Set("c", make([]byte, 1<<17), 0); !errors.Is(err, ErrSize) {
		t.Errorf("too large: %v", err)
	}
}

func TestCompareAndSet(t *testing.T) {
	s, _ := newSpace(1 << 20)
	for _, c := range []struct {
		old, value string
		set        bool
		now        string
	}{
		{"x", "1", false, "none"}, {"", "1", true, "1"}, {"", "2", false, "1"}, {"0", "2", false, "1"}, {"1", "2", true, "2"},
	} {
		set, err := s.CompareAndSet("k", []byte(c.old), []byte(c.value), 0)
		if err != nil || set != c.set || s.get("k") != c.now {
			t.Errorf("cas %q to %q: %v, %v, now %s", c.old, c.value, set, err, s.get("k"))
		}
	}
}

func TestCounters(t *testing.T) {
	s, w := newSpace(1 << 20)
	for i, c := range []struct{ delta, want int64 }{{5, 5}, {-2, 3}, {-9, 0}, {math.MaxInt64, math.MaxInt64}} {
		if got, err := s.Add("n", c.delta, time.Minute); err != nil || got != c.want {
			t.Errorf("step %d: %d, %v; want %d", i, got, err, c.want)
		}
		w.now = w.now.Add(10 * time.Second)
	}
	if _, err := s.Add("n", 1, time.Minute); !errors.Is(err, ErrRange) {
		t.Errorf("overflow: %v", err)
	}
	w.now = w.now.Add(20 * time.Second) // a minute after it began
	if got, err := s.Add("n", 1, time.Minute); err != nil || got != 1 {
		t.Errorf("after its end: %d, %v", got, err)
	}
	if s.get("n") != "none" {
		t.Error("a counter is seen as a value")
	}
	if _, err := s.CompareAndSet("n", nil, nil, 0); !errors.Is(err, ErrCounter) {
		t.Errorf("cas of a counter: %v", err)
	}
	_ = s.Set("n", []byte("v"), 0)
	if _, err := s.Add("n", 1, 0); !errors.Is(err, ErrCounter) {
		t.Errorf("adding to a value: %v", err)
	}
}

func TestRoom(t *testing.T) {
	const size = 64 << 10
	s, _ := newSpace(size)
	_ = s.Set("kept", []byte("here"), 0)
	for i := range 10_000 {
		if err := s.Set(fmt.Sprint("k", i), make([]byte, 100), 0); err != nil {
			t.Fatal(err)
		}
		if s.get("kept") != "here" {
			t.Fatalf("what is used all the time had to go after %d", i)
		}
	}
	if used := s.Used(); used > size || used < size/2 {
		t.Errorf("%d bytes of %d are used", used, size)
	}
	if s.get("k1") != "none" || s.get("k9999") == "none" {
		t.Error("not the oldest went")
	}
}

func TestManyAtOnce(t *testing.T) {
	s, _ := newSpace(1 << 20)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 1000 {
				if _, err := s.Add("n", 1, 0); err != nil {
					t.Error(err)
				}
				for done := false; !done; {
					v, _ := s.Get(nil, "v")
					done, _ = s.CompareAndSet("v", v, append(v[:len(v):len(v)], 'x'), 0)
				}
			}
		})
	}
	wait.Wait()
	if n, _ := s.Add("n", 0, 0); n != 8000 {
		t.Errorf("counted %d", n)
	}
	if v := s.get("v"); len(v) != 8000 {
		t.Errorf("%d values were set", len(v))
	}
}

func BenchmarkAdd(b *testing.B) {
	s := NewSpace(1<<20, time.Now)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Add("10.1.2.3", 1, time.Minute); err != nil {
				b.Fatal(err)
			}
		}
	})
}

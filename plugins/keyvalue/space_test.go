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
	buffer := make([]byte, 64<<10)
	n, found := s.Read(key, buffer)
	if !found {
		return "none"
	}
	return string(buffer[:n])
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
	if f := s.Figures(); f.Bytes != 0 || f.Entries != 0 {
		t.Errorf("there is left %+v", f)
	}
	small := []byte("xx")
	_ = s.Set("a", []byte("long"), 0)
	if n, found := s.Read("a", small); n != 4 || !found || string(small) != "xx" {
		t.Errorf("a buffer that is too small: %d, %v, it has %q", n, found, small)
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
	f := s.Figures()
	if f.Bytes > size || f.Bytes < size/2 || f.Size != size || f.Entries+int64(f.Evicted) != 10_001 {
		t.Errorf("figures %+v", f)
	}
	if s.get("k1") != "none" || s.get("k9999") == "none" {
		t.Error("not the oldest went")
	}
	s.Resize(size / 4)
	if small := s.Figures(); small.Bytes > size/4 || small.Entries == 0 || small.Entries >= f.Entries || s.get("kept") != "here" {
		t.Errorf("a quarter of the size: %+v", small)
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
					v := []byte(s.get("v"))
					if string(v) == "none" {
						v = nil
					}
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

// Package storetest says in tests what a certificate.Store does, and has one in
// memory.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/pausetest"
)

// lease is the time of claims in tests: long for a machine, short for people.
const lease = 300 * time.Millisecond

// Run tests stores. open returns what another process has in its hands that shares
// the store of this test: each call another one, all with the same content.
func Run(t *testing.T, open func(t *testing.T) func() certificate.Store) {
	t.Run("documents", func(t *testing.T) { documents(t, open(t)) })
	t.Run("missing", func(t *testing.T) { missing(t, open(t)()) })
	t.Run("list", func(t *testing.T) { list(t, open(t)()) })
	t.Run("delete", func(t *testing.T) { remove(t, open(t)()) })
	t.Run("ended", func(t *testing.T) { ended(t, open(t)()) })
	t.Run("whole", func(t *testing.T) { whole(t, open(t)) })
	t.Run("claim", func(t *testing.T) { timed(t, open, claim) })
	t.Run("theft", func(t *testing.T) { timed(t, open, theft) })
	t.Run("kept", func(t *testing.T) { timed(t, open, kept) })
	t.Run("race", func(t *testing.T) { timed(t, open, race) })
}

// timed runs a test in which claims end, again if the machine paused meanwhile.
func timed(t *testing.T, open func(t *testing.T) func() certificate.Store, f func(t testing.TB, other func() certificate.Store)) {
	pausetest.Run(t, lease/6, func(try testing.TB) { f(try, open(t)) })
}

// documents come back as they were put, to everybody.
func documents(t *testing.T, other func() certificate.Store) {
	a, b := other(), other()
	for _, value := range [][]byte{[]byte("one"), {}, {0, 255, '\n'}, bytes.Repeat([]byte("x"), 200_000)} {
		if err := a.Put(t.Context(), "x/y.json", value); err != nil {
			t.Fatal(err)
		}
		got, put, err := b.Get(t.Context(), "x/y.json")
		if err != nil || !bytes.Equal(got, value) {
			t.Errorf("%d bytes came back as %d, %v", len(value), len(got), err)
		}
		if age := time.Since(put); age > time.Minute || age < -time.Minute {
			t.Errorf("put %v ago", age)
		}
	}
}

// What isn't there is fs.ErrNotExist; a folder isn't a document, and none is below
// a document.
func missing(t *testing.T, s certificate.Store) {
	if err := s.Put(t.Context(), "a/b", []byte("1")); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"b", "a", "a/c", "a/b/c"} {
		if _, _, err := s.Get(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func list(t *testing.T, s certificate.Store) {
	for _, key := range []string{"a/b/1", "a/b.c", "a/b/2", "ab/3", "a/c/d/4"} {
		if err := s.Put(t.Context(), key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	f := func(below string, want ...string) {
		t.Helper()
		if got, err := s.List(t.Context(), below); err != nil || !slices.Equal(got, want) {
			t.Errorf("below %q: %q, %v; want %q", below, got, err, want)
		}
	}
	// In the order of their bytes, whatever folders there are.
	f("", "a/b.c", "a/b/1", "a/b/2", "a/c/d/4", "ab/3")
	// Whole parts count: "ab" isn't below "a".
	f("a", "a/b.c", "a/b/1", "a/b/2", "a/c/d/4")
	f("a/b", "a/b/1", "a/b/2")
	// Nothing is below a document, and nothing below what isn't there.
	f("a/b/1")
	f("none")
}

func remove(t *testing.T, s certificate.Store) {
	for _, key := range []string{"a/1", "a/b/2", "ab"} {
		if err := s.Put(t.Context(), key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"a", "a", "none/at/all", "ab/x"} { // the second time, too
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if got, err := s.List(t.Context(), ""); err != nil || !slices.Equal(got, []string{"ab"}) {
		t.Errorf("left: %q, %v", got, err)
	}
}

// Nothing is done for who gave up.
func ended(t *testing.T, s certificate.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, "a", []byte("1")); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if _, _, err := s.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if mine, err := s.Claim(ctx, "a", "me", lease); mine || !errors.Is(err, context.Canceled) {
		t.Errorf("claim: %v, %v", mine, err)
	}
}

// Who reads while others write gets one of the values whole.
func whole(t *testing.T, other func() certificate.Store) {
	values := make([][]byte, 4)
	for i := range values {
		values[i] = bytes.Repeat([]byte{byte('a' + i)}, 1000*(i+1))
	}
	var stop atomic.Bool
	var work sync.WaitGroup
	for _, value := range values {
		s := other()
		if err := s.Put(t.Context(), "k", value); err != nil {
			t.Fatal(err)
		}
		work.Go(func() {
			for !stop.Load() {
				if err := s.Put(t.Context(), "k", value); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	s := other()
	for range 300 {
		got, _, err := s.Get(t.Context(), "k")
		if err != nil || !slices.ContainsFunc(values, func(v []byte) bool { return bytes.Equal(v, got) }) {
			t.Errorf("%d bytes, %v", len(got), err)
			break
		}
	}
	stop.Store(true)
	work.Wait()
}

func mustClaim(t testing.TB, s certificate.Store, name, owner string, want bool) {
	t.Helper()
	if mine, err := s.Claim(t.Context(), name, owner, lease); err != nil || mine != want {
		t.Errorf("%s claims %s: %v, %v; want %v", owner, name, mine, err, want)
	}
}

// A claim is one owner's until it is released, and by nobody else.
func claim(t testing.TB, other func() certificate.Store) {
	a, b := other(), other()
	mustClaim(t, a, "n", "me", true)
	mustClaim(t, b, "n", "you", false)
	mustClaim(t, a, "n", "me", true)
	mustClaim(t, b, "m", "you", true)
	if err := b.Release(t.Context(), "n", "you"); err != nil {
		t.Error(err)
	}
	mustClaim(t, b, "n", "you", false)
	if err := a.Release(t.Context(), "n", "me"); err != nil {
		t.Error(err)
	}
	mustClaim(t, b, "n", "you", true)
	mustClaim(t, a, "n", "me", false)
	if err := a.Release(t.Context(), "none", "me"); err != nil {
		t.Error(err)
	}
	// Claims are no documents.
	if keys, err := a.List(t.Context(), ""); err != nil || len(keys) > 0 {
		t.Errorf("documents %q, %v", keys, err)
	}
}

// A claim whose owner is no more ends after its time, and not before.
func theft(t testing.TB, other func() certificate.Store) {
	a, b := other(), other()
	began := time.Now()
	mustClaim(t, a, "n", "dead", true)
	for {
		mine, err := b.Claim(t.Context(), "n", "heir", lease)
		if err != nil {
			t.Fatal(err)
		}
		if mine {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("the claim never ends")
		}
		time.Sleep(lease / 20)
	}
	if took := time.Since(began); took < lease*8/10 {
		t.Errorf("the claim ended after %v, it was for %v", took, lease)
	}
	mustClaim(t, a, "n", "dead", false)
}

// A claim that is renewed in time doesn't end.
func kept(t testing.TB, other func() certificate.Store) {
	a, b := other(), other()
	for range 12 {
		mustClaim(t, a, "n", "me", true)
		mustClaim(t, b, "n", "you", false)
		time.Sleep(lease / 6)
	}
}

// Of many who want it at once, one gets it; also when its last owner is no more.
func race(t testing.TB, other func() certificate.Store) {
	dead := other()
	mustClaim(t, dead, "n", "dead", true)
	var got atomic.Int32
	var work sync.WaitGroup
	end := time.Now().Add(4 * lease)
	for i := range 8 {
		s := other()
		work.Go(func() {
			for time.Now().Before(end) {
				mine, err := s.Claim(t.Context(), "n", fmt.Sprintf("heir-%d", i), time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				if mine {
					got.Add(1)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	work.Wait()
	if n := got.Load(); n != 1 {
		t.Errorf("%d have it", n)
	}
}

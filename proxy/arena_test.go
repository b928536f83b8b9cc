package proxy

import (
	"strings"
	"testing"
)

// Strings stay what they were while further ones are made, whether or not the
// memory had to grow in between.
func TestArenaStringsStay(t *testing.T) {
	var a Arena
	var got, want []string
	for n := range 200 {
		s := strings.Repeat(string(rune('a'+n%26)), n*7%400)
		got = append(got, a.Concat(s[:len(s)/2], s[len(s)/2:]))
		want = append(want, s)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("string %d: got %q, want %q", i, got[i], want[i])
		}
	}
}

// An exchange like the one before needs no memory.
func TestArenaSettles(t *testing.T) {
	var a Arena
	text := strings.Repeat("x", 90)
	round := func() {
		a.reset()
		for range 30 {
			a.Concat(text)
		}
	}
	for range 5 {
		round()
	}
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations an exchange, want 0", n)
	}
}

package http1

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// plainKnownName is what KnownName does, said plainly.
func plainKnownName(name string) Known {
	for k := Other + 1; k < KnownCount; k++ {
		s := k.String()
		if len(s) == len(name) && strings.EqualFold(s, name) {
			return k
		}
	}
	return Other
}

func TestKnownName(t *testing.T) {
	f := func(name string) {
		t.Helper()
		if got, want := KnownName(name), plainKnownName(name); got != want {
			t.Errorf("KnownName(%q) = %d (%s), want %d (%s)", name, got, got, want, want)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for k := Other + 1; k < KnownCount; k++ {
		name := k.String()
		if name == "" {
			t.Fatalf("number %d has no name", k)
		}
		if got := KnownName(name); got != k {
			t.Errorf("KnownName(%q) = %d, want %d", name, got, k)
		}
		f(strings.ToLower(name))
		f(strings.ToUpper(name))
		// Every byte of every name replaced by every byte: exactly the two cases of
		// a letter are the same.
		for i := range len(name) {
			for c := range 256 {
				f(name[:i] + string([]byte{byte(c)}) + name[i+1:])
			}
		}
		f(name[1:])
		f(name + "x")
		for range 200 {
			b := []byte(name)
			for i := range b {
				if rng.IntN(2) == 0 {
					b[i] ^= 0x20
				}
			}
			f(string(b))
		}
	}
	// A name that no table knows.
	f("")
	f("\u212Aeep-alive")
	for n := range 40 {
		f(strings.Repeat("x", n))
	}
	if Known(200).String() != "" || Other.String() != "" {
		t.Error("a number without name has one")
	}
}

func BenchmarkKnownName(b *testing.B) {
	names := []string{"Host", "User-Agent", "Accept", "Accept-Encoding", "Content-Length", "X-Forwarded-Proto", "Cookie", "sec-ch-ua-platform"}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if KnownName(names[i&7]) == unset {
			b.Fatal("unset")
		}
		i++
	}
}

func BenchmarkSameName(b *testing.B) {
	for name, f := range map[string]func(string, string) bool{"words": sameName, "plain": equalFold} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !f("x-forwarded-proto", "X-Forwarded-Proto") {
					b.Fatal("differ")
				}
			}
		})
	}
}

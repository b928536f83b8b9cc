package proxy

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// plainHex is AppendHex one digit after the other.
func plainHex(dst []byte, v uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[v>>shift&15])
	}
	return dst
}

func TestAppendHex(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 10_000 {
		v := random.Uint64()
		if i == 0 {
			v = 0x0123456789abcdef
		}
		if got, want := string(AppendHex([]byte("x"), v)), fmt.Sprintf("x%016x", v); got != want || string(plainHex([]byte("x"), v)) != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func BenchmarkAppendHex(b *testing.B) {
	buf := make([]byte, 0, 64)
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			buf = plainHex(buf[:0], 0x0123456789abcdef)
		}
	})
	b.Run("own", func(b *testing.B) {
		for b.Loop() {
			buf = AppendHex(buf[:0], 0x0123456789abcdef)
		}
	})
}

package server

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// plainUUID and plainExtendedID are appendUUID and appendExtendedID, digit by digit.
func plainUUID(b []byte, hi, lo uint64) []byte {
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	return fmt.Appendf(b, "%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1))
}

func plainExtendedID(b []byte, hi, lo uint64) []byte {
	for range 10 {
		b = append(b, base64Digits[hi&63])
		hi >>= 6
	}
	for range 4 {
		b = append(b, base64Digits[lo&63])
		lo >>= 6
	}
	return append(b, base64Digits[lo&0x3c], '=')
}

func TestIDs(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 7))
		hi, lo := r.Uint64(), r.Uint64()
		got, want := string(appendUUID([]byte("x"), hi, lo)), string(plainUUID([]byte("x"), hi, lo))
		if got != want || !isUUID(got[1:]) {
			t.Errorf("%x %x: got %s, want %s", hi, lo, got, want)
		}
		if got, want := string(appendExtendedID([]byte("x"), hi, lo)), string(plainExtendedID([]byte("x"), hi, lo)); got != want {
			t.Errorf("%x %x: got %s, want %s", hi, lo, got, want)
		}
	}
	for _, text := range []string{"", strings.Repeat("0", 36), "00000000-0000-0000-0000-00000000000g", "00000000-0000-0000-0000-0000000000000"} {
		if isUUID(text) {
			t.Errorf("%q is a UUID", text)
		}
	}
}

func BenchmarkIDs(b *testing.B) {
	f := func(name string, uuid, extended func([]byte, uint64, uint64) []byte) {
		b.Run(name, func(b *testing.B) {
			buf, random := make([]byte, 0, 64), rand.New(rand.NewPCG(1, 7))
			b.ReportAllocs()
			for b.Loop() {
				buf = extended(uuid(buf[:0], random.Uint64(), random.Uint64()), random.Uint64(), random.Uint64())
			}
		})
	}
	f("plain", plainUUID, plainExtendedID)
	f("own", appendUUID, appendExtendedID)
}

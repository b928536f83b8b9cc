package http2

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// What is encoded is decoded by another's decoder to the same.
func TestEncode(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	names := []string{"Content-Type", "Date", "X-Amzn-RequestId", "set-cookie", strings.Repeat("Long-", 40), "age", "www-authenticate", "vary", "location"}
	for i := range 2000 {
		status := 100 + random.IntN(500)
		want := []hpack.HeaderField{{Name: ":status", Value: strconv.Itoa(status)}}
		b := AppendStatus(nil, status)
		for range random.IntN(6) {
			value := make([]byte, random.IntN(1<<random.IntN(11)))
			for j := range value {
				value[j] = byte(random.IntN(256))
			}
			name := names[random.IntN(len(names))]
			b = AppendField(b, name, string(value))
			want = append(want, hpack.HeaderField{Name: strings.ToLower(name), Value: string(value)})
		}
		length := random.Int64() >> random.IntN(63)
		b = AppendLength(b, length)
		want = append(want, hpack.HeaderField{Name: "content-length", Value: strconv.FormatInt(length, 10)})
		got, err := hpack.NewDecoder(0, nil).DecodeFull(b)
		if err != nil || len(got) != len(want) {
			t.Fatalf("round %d: %v, %v, want %v", i, got, err, want)
		}
		for j := range got {
			if got[j] != want[j] {
				t.Fatalf("round %d: got %v, want %v", i, got[j], want[j])
			}
		}
	}
}

// Every name of the static table that replies have is found at its place.
func TestStaticIndex(t *testing.T) {
	seen := 0
	for i := 15; i <= 61; i++ {
		fields, err := hpack.NewDecoder(0, nil).DecodeFull([]byte{0x80 | byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		if at := staticIndex([]byte(fields[0].Name)); at != 0 {
			seen++
			if at != i {
				t.Errorf("%s: %d, want %d", fields[0].Name, at, i)
			}
		}
	}
	if seen != 25 {
		t.Errorf("%d names found", seen)
	}
}

func BenchmarkAppendField(b *testing.B) {
	var block []byte
	b.ReportAllocs()
	for b.Loop() {
		block = AppendStatus(block[:0], 200)
		block = AppendField(block, "Date", "Sun, 22 Nov 2026 03:00:00 GMT")
		block = AppendField(block, "Content-Type", "application/json")
		block = AppendField(block, "x-amzn-RequestId", "5b1e9a34-3c1c-4c0c-9f0e-7f6d2f6c9f0e")
		block = AppendLength(block, 1024)
	}
}

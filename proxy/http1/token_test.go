package http1

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// plainText is what text does, said plainly.
func plainText(b []byte, at int) int {
	for at < len(b) && b[at] >= 0x20 && b[at] != 0x7f {
		at++
	}
	return at
}

func TestText(t *testing.T) {
	f := func(b []byte) {
		t.Helper()
		for at := range len(b) + 1 {
			if got, want := text(b, at), plainText(b, at); got != want {
				t.Fatalf("text(%q, %d) = %d, want %d", b, at, got, want)
			}
		}
	}
	// Every pair of bytes in every place of a word.
	b := make([]byte, 17)
	for i := range 16 {
		for c := range 256 {
			for d := range 256 {
				for j := range b {
					b[j] = 'x'
				}
				b[i], b[i+1] = byte(c), byte(d)
				if got, want := text(b, 0), plainText(b, 0); got != want {
					t.Fatalf("text(%q) = %d, want %d", b, got, want)
				}
			}
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		b := make([]byte, rng.IntN(40))
		for i := range b {
			b[i] = "\x00\x1f\x20\x21\x7e\x7f\x80\xffx"[rng.IntN(9)]
		}
		f(b)
	}
}

func BenchmarkText(b *testing.B) {
	value := []byte("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n")
	for name, f := range map[string]func([]byte, int) int{"words": text, "plain": plainText} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(value)))
			for b.Loop() {
				if f(value, 0) != len(value)-2 {
					b.Fatal("missed the end")
				}
			}
		})
	}
}

func TestClasses(t *testing.T) {
	// RFC 9110, 5.6.2; RFC 9112, 3.2; RFC 952 and the underscore.
	const alnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for c := range 256 {
		in := func(set string) bool { return strings.IndexByte(set, byte(c)) >= 0 }
		f := func(name string, class uint8, want bool) {
			t.Helper()
			if got := classOf[c]&class != 0; got != want {
				t.Errorf("byte %#x is %s: %t, want %t", c, name, got, want)
			}
		}
		f("token", tokenByte, in(alnum+"!#$%&'*+-.^_`|~"))
		f("target", targetByte, c > 0x20 && c < 0x7f && c != '#')
		f("host", hostByte, in(alnum+"-._"))
	}
}

func TestValidField(t *testing.T) {
	for name, want := range map[string]bool{"A": true, "x-y_1": true, "": false, "a b": false, "a:": false, "ä": false, "a\n": false} {
		if got := ValidFieldName(name); got != want {
			t.Errorf("ValidFieldName(%q) = %t", name, got)
		}
	}
	for value, want := range map[string]bool{"": true, "a": true, "a\t b": true, "ä\xff": true, " a": false, "a ": false, "\ta": false,
		"a\t": false, "a\r\nB: c": false, "a\nb": false, "a\rb": false, "a\x00": false, "12345678\x7f": false, "\t": false} {
		if got := ValidFieldValue(value); got != want {
			t.Errorf("ValidFieldValue(%q) = %t", value, got)
		}
	}
}

func TestNextMember(t *testing.T) {
	f := func(list string, want ...string) {
		t.Helper()
		var got []string
		for member, rest := nextMember(list); member != ""; member, rest = nextMember(rest) {
			got = append(got, member)
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q: got %q, want %q", list, got, want)
		}
	}
	f("")
	f(" ,\t, ")
	f("a", "a")
	f(" a ,, b c\t,d", "a", "b c", "d")
}

func TestToken(t *testing.T) {
	// Every pair of bytes in every place of a word.
	b := make([]byte, 17)
	for i := range 16 {
		for c := range 256 {
			for d := range 256 {
				for j := range b {
					b[j] = 'x'
				}
				b[i], b[i+1] = byte(c), byte(d)
				if got, want := token(b, 0), run(b, 0, tokenByte); got != want {
					t.Fatalf("token(%q) = %d, want %d", b, got, want)
				}
			}
		}
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		b := make([]byte, rng.IntN(40))
		for i := range b {
			b[i] = "azAZ-09_:{@[`\x80\xff\x00"[rng.IntN(16)]
		}
		for at := range len(b) + 1 {
			if got, want := token(b, at), run(b, at, tokenByte); got != want {
				t.Fatalf("token(%q, %d) = %d, want %d", b, at, got, want)
			}
		}
	}
}

func BenchmarkToken(b *testing.B) {
	name := []byte("Strict-Transport-Security: max-age=1")
	for what, f := range map[string]func([]byte, int) int{
		"words": token, "plain": func(b []byte, at int) int { return run(b, at, tokenByte) },
	} {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				if f(name, 0) != 25 {
					b.Fatal("missed the end")
				}
			}
		})
	}
}

package expr

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// isASCII reports whether bytes of s are its UTF-16 code units.
func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// units decodes the first character of s, which begins with a byte of 0x80 or
// more: one code unit, or two of which the second isn't 0, and how many bytes
// they took. Half of a pair is three bytes like any other unit.
func units(s string) (a, b uint16, n int) {
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n <= 1 {
		if u, ok := half(s); ok {
			return u, 0, 3
		}
		return utf8.RuneError, 0, 1
	}
	if r >= 0x10000 {
		high, low := utf16.EncodeRune(r)
		return uint16(high), uint16(low), n
	}
	return uint16(r), 0, n
}

// half returns the half of a surrogate pair that s begins with.
func half(s string) (uint16, bool) {
	if len(s) < 3 || s[0] != 0xED || s[1] < 0xA0 || s[1] > 0xBF || s[2]&0xC0 != 0x80 {
		return 0, false
	}
	return 0xD000 | uint16(s[1]&0x3F)<<6 | uint16(s[2]&0x3F), true
}

// UTF16 returns the code units of s.
func UTF16(s string) []uint16 {
	all := make([]uint16, 0, len(s))
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			all = append(all, uint16(s[i]))
			i++
			continue
		}
		a, b, n := units(s[i:])
		all = append(all, a)
		if b != 0 {
			all = append(all, b)
		}
		i += n
	}
	return all
}

// FromUTF16 returns the string of these code units.
func FromUTF16(all []uint16) string {
	dst := make([]byte, 0, len(all))
	for i := 0; i < len(all); i++ {
		if utf16.IsSurrogate(rune(all[i])) && i+1 < len(all) {
			if r := utf16.DecodeRune(rune(all[i]), rune(all[i+1])); r != utf8.RuneError {
				dst = utf8.AppendRune(dst, r)
				i++
				continue
			}
		}
		dst = AppendUnit(dst, all[i])
	}
	return view(dst)
}

// AppendUnit appends one UTF-16 code unit, half of a pair as three bytes.
func AppendUnit(dst []byte, u uint16) []byte {
	if utf16.IsSurrogate(rune(u)) {
		return append(dst, 0xE0|byte(u>>12), 0x80|byte(u>>6&0x3F), 0x80|byte(u&0x3F))
	}
	return utf8.AppendRune(dst, rune(u))
}

// UnitCount returns the number of UTF-16 code units of s: Java's length.
func UnitCount(s string) int {
	n := 0
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			n++
			i++
			continue
		}
		_, b, size := units(s[i:])
		n++
		if b != 0 {
			n++
		}
		i += size
	}
	return n
}

// halves returns where the first half of a surrogate pair stands in s, -1 if
// there is none.
func halves(s string) int {
	for at := 0; ; at += 3 {
		i := strings.IndexByte(s[at:], 0xED)
		if i < 0 {
			return -1
		}
		at += i
		if _, ok := half(s[at:]); ok {
			return at
		}
		if at+3 > len(s) {
			return -1
		}
	}
}

// Join puts halves of surrogate pairs that came to stand side by side together.
func Join(s string) string {
	if halves(s) < 0 {
		return s
	}
	return FromUTF16(UTF16(s))
}

// AppendClean returns dst with what stands from start made valid UTF-8 in the
// way Java's encoder does: the two halves of a pair become their character, a
// half alone becomes "?".
func AppendClean(dst []byte, start int) []byte {
	tail := view(dst[start:])
	if halves(tail) < 0 {
		return dst
	}
	all := UTF16(strings.Clone(tail))
	dst = dst[:start]
	for i := 0; i < len(all); i++ {
		switch r := rune(all[i]); {
		case !utf16.IsSurrogate(r):
			dst = utf8.AppendRune(dst, r)
		case i+1 < len(all) && utf16.DecodeRune(r, rune(all[i+1])) != utf8.RuneError:
			dst = utf8.AppendRune(dst, utf16.DecodeRune(r, rune(all[i+1])))
			i++
		default:
			dst = append(dst, '?')
		}
	}
	return dst
}

// Decode returns text as a string. What isn't UTF-8 becomes U+FFFD, one for each
// longest piece that a character could begin with, as Java's decoder does it.
// The string is a view: text must not change any more.
func Decode(text []byte) string {
	s := view(text)
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n <= 1 {
			n = wrongPrefix(s[i:])
		}
		b.WriteRune(r)
		i += n
	}
	return b.String()
}

// wrongPrefix returns how many bytes of s, which begins wrongly, could be the
// beginning of a character: at least 1. Unicode, 3.9, table 3-7.
func wrongPrefix(s string) int {
	low, high, size := byte(0x80), byte(0xBF), 0
	switch c := s[0]; {
	case c >= 0xC2 && c <= 0xDF:
		size = 2
	case c >= 0xE0 && c <= 0xEF:
		size = 3
		if c == 0xE0 {
			low = 0xA0
		}
		if c == 0xED {
			high = 0x9F
		}
	case c >= 0xF0 && c <= 0xF4:
		size = 4
		if c == 0xF0 {
			low = 0x90
		}
		if c == 0xF4 {
			high = 0x8F
		}
	}
	n := 1
	for n < size && n < len(s) && s[n] >= low && s[n] <= high {
		n++
		low, high = 0x80, 0xBF
	}
	return n
}

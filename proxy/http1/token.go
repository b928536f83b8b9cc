package http1

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// Classes of bytes, bits of the entries of classOf.
const (
	tokenByte  = 1 << iota // RFC 9110, 5.6.2: tchar
	targetByte             // visible ASCII but "#": no part of a request target is a fragment
	hostByte               // what names in the DNS are made of
)

// The usual combinations.
const (
	inTarget = targetByte
	inToken  = targetByte | tokenByte
	inHost   = targetByte | tokenByte | hostByte
)

// classOf has the classes of every byte; it is only read.
var classOf = [256]uint8{
	'!': inToken, '"': inTarget, '#': tokenByte, '$': inToken, '%': inToken, '&': inToken, '\'': inToken, '(': inTarget, ')': inTarget,
	'*': inToken, '+': inToken, ',': inTarget, '-': inHost, '.': inHost, '/': inTarget,
	'0': inHost, '1': inHost, '2': inHost, '3': inHost, '4': inHost, '5': inHost, '6': inHost, '7': inHost, '8': inHost, '9': inHost,
	':': inTarget, ';': inTarget, '<': inTarget, '=': inTarget, '>': inTarget, '?': inTarget, '@': inTarget,
	'A': inHost, 'B': inHost, 'C': inHost, 'D': inHost, 'E': inHost, 'F': inHost, 'G': inHost, 'H': inHost, 'I': inHost,
	'J': inHost, 'K': inHost, 'L': inHost, 'M': inHost, 'N': inHost, 'O': inHost, 'P': inHost, 'Q': inHost, 'R': inHost,
	'S': inHost, 'T': inHost, 'U': inHost, 'V': inHost, 'W': inHost, 'X': inHost, 'Y': inHost, 'Z': inHost,
	'[': inTarget, '\\': inTarget, ']': inTarget, '^': inToken, '_': inHost, '`': inToken,
	'a': inHost, 'b': inHost, 'c': inHost, 'd': inHost, 'e': inHost, 'f': inHost, 'g': inHost, 'h': inHost, 'i': inHost,
	'j': inHost, 'k': inHost, 'l': inHost, 'm': inHost, 'n': inHost, 'o': inHost, 'p': inHost, 'q': inHost, 'r': inHost,
	's': inHost, 't': inHost, 'u': inHost, 'v': inHost, 'w': inHost, 'x': inHost, 'y': inHost, 'z': inHost,
	'{': inTarget, '|': inToken, '}': inTarget, '~': inToken,
}

// view returns b as a string without copying it. It is the one place where the
// package's strings come to share memory with the parsed bytes; they hold until
// the owner of b writes to it again.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// run returns the index of the first byte of b from at on that isn't in class,
// or len(b).
func run(b []byte, at int, class uint8) int {
	for at < len(b) && classOf[b[at]]&class != 0 {
		at++
	}
	return at
}

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// token is run for tokenByte, quick where field names are letters and "-". It
// looks at eight bytes at a time while they are nothing else.
func token(b []byte, at int) int {
	for at <= len(b)-8 {
		x := binary.LittleEndian.Uint64(b[at:])
		// No sum below carries from one byte into the next.
		seven := x & (0x7f * ones)
		low := seven | 0x20*ones
		letter := (low + (0x80-'a')*ones) &^ (low + (0x7f-'z')*ones)
		notDash := seven ^ '-'*ones + 0x7f*ones
		if stop := (notDash&^letter | x) & highs; stop != 0 {
			at += bits.TrailingZeros64(stop) >> 3
			break
		}
		at += 8
	}
	return run(b, at, tokenByte)
}

// text returns the index of the first control character of b from at on, or
// len(b). HTAB counts as one; bytes above 0x7f do not.
//
// It looks at eight bytes at a time. A subtraction sets the high bit of a byte
// below the subtrahend; its borrow can only spoil bytes above the first hit,
// and the first hit is the one that is used.
func text(b []byte, at int) int {
	for at <= len(b)-8 {
		x := binary.LittleEndian.Uint64(b[at:])
		del := x ^ 0x7f*ones
		if hit := ((x-0x20*ones)&^x | (del-ones)&^del) & highs; hit != 0 {
			return at + bits.TrailingZeros64(hit)>>3
		}
		at += 8
	}
	for at < len(b) && b[at] >= 0x20 && b[at] != 0x7f {
		at++
	}
	return at
}

// ValidFieldName reports whether s is a field name: a token of at least one
// character. RFC 9110, 5.1.
func ValidFieldName(s string) bool {
	return isToken(s)
}

// ValidFieldValue reports whether s can be sent as a field value: no control
// character but HTAB, no white space at either end. RFC 9110, 5.5.
func ValidFieldValue(s string) bool {
	if s == "" {
		return true
	}
	if isBlank(s[0]) || isBlank(s[len(s)-1]) {
		return false
	}
	b := unsafe.Slice(unsafe.StringData(s), len(s)) // only read
	for i := text(b, 0); i < len(b); i = text(b, i+1) {
		if b[i] != '\t' {
			return false
		}
	}
	return true
}

func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if classOf[s[i]]&tokenByte == 0 {
			return false
		}
	}
	return s != ""
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// equalFold is equality that ignores the case of ASCII letters. Other than with
// strings.EqualFold no letter outside ASCII (the Kelvin sign) equals one in it.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c-'A' < 26 {
		c |= 0x20
	}
	return c
}

// trim removes white space (SP, HTAB) from both ends.
func trim(s string) string {
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	for s != "" && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// nextMember splits the first member that is not empty off a comma-separated
// list; member is "" at the end. RFC 9110, 5.6.1.2.
func nextMember(list string) (member, rest string) {
	for list != "" {
		i := 0
		for i < len(list) && list[i] != ',' {
			i++
		}
		member = trim(list[:i])
		list = list[min(i+1, len(list)):]
		if member != "" {
			return member, list
		}
	}
	return "", ""
}

// Package uri has what every reader of a raw path or query must do alike:
// percent-decoding and the look for segments that climb.
package uri

// Text is a raw part of a URI.
type Text interface{ string | []byte }

// Unescape returns the byte that the escape at s[i], "%" and two hexadecimal
// digits, stands for. It is false for anything else. RFC 3986, 2.1.
func Unescape[T Text](s T, i int) (c byte, ok bool) {
	if i+2 >= len(s) || s[i] != '%' {
		return 0, false
	}
	high, ok1 := HexDigit(s[i+1])
	low, ok2 := HexDigit(s[i+2])
	return high<<4 | low, ok1 && ok2
}

// AppendPath appends s, a part of a path, without its encoding to dst: "+" is a plus
// there, and what isn't a whole escape stays as it is. RFC 3986, 2.1.
func AppendPath(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if d, ok := Unescape(s, i); ok {
			c = d
			i += 2
		}
		dst = append(dst, c)
	}
	return dst
}

// HexDigit returns the value of a hexadecimal digit.
func HexDigit(c byte) (value byte, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// HasDotSegment reports whether a reader of path could see a segment "." or
// "..": also one who decodes it first, takes "\" for "/", or cuts ";params" off.
// What only looks like an escape stands for itself.
func HasDotSegment[T Text](path T) bool {
	dots, only := 0, false // dots so far; nothing but dots since the last separator
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if d, ok := Unescape(path, i); ok {
				c = d
				i += 2
			}
		}
		switch c {
		case '/', '\\', ';':
			if only && (dots == 1 || dots == 2) {
				return true
			}
			dots, only = 0, c != ';'
		case '.':
			dots++
		default:
			only = false
		}
	}
	return only && (dots == 1 || dots == 2)
}

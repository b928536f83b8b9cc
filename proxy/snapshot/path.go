package snapshot

import (
	"strings"
	"unsafe"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/uri"
)

// What a path is checked for, once, before anything looks at it. Routing,
// policies, logs and the backend then see the same bytes: the raw path stays as
// it is, and what two parsers could read differently is refused.
//
//   - Refused: control characters, space, "\", "?" and "#" as they stand; an
//     escape that isn't "%" and two hex digits; %00; segments "." and ".."
//     however they are encoded, also in front of ";" ("/..;/" climbs in Java
//     servers). Clients resolve dot segments before they send (RFC 3986, 5.2.4),
//     so whoever sends one wants two readers to disagree.
//   - Refused unless the API allows it: %2F, %5C and %3B. An allowed one never
//     separates segments, but a dot segment beside it is still refused.
//   - Judged: ";params" and doubled slashes inside. Some backends drop them, so
//     a path with either has two readings (see plainPath), and the API says what
//     becomes of it (ambiguous_paths).
//   - Kept: any other escape.
//
// Literal segments are compared after one decoding of the segment. That is more
// than RFC 3986, 6.2.2.2 (only unreserved characters), because backends decode
// whole segments: if "/v1/a%3Ab" missed the route "/v1/a:b" and its authorizer,
// a backend behind "/v1/{x}" would still serve it as "/v1/a:b".

// longestDecode is the longest literal segment in bytes, decoded.
const longestDecode = 256

// refusal is the cause of a BadRequest, for the log. As a small number it
// becomes an error without an allocation.
type refusal uint8

const (
	acceptable refusal = iota
	badCharacter
	badEscape
	encodedNUL
	dotSegment
	encodedSlash
	ambiguousPath
	twoRoutes
	pathIsNoPath
	badQuery
	badOverride
)

// Error says what is wrong.
func (r refusal) Error() string {
	switch r {
	case badCharacter:
		return "path: a control character, space, backslash, '?' or '#'"
	case badEscape:
		return "path: '%' without two hex digits"
	case encodedNUL:
		return "path: %00"
	case dotSegment:
		return "path: a segment '.' or '..'"
	case encodedSlash:
		return "path: %2F, %5C or %3B, which the API doesn't allow (allow_encoded_slash)"
	case ambiguousPath:
		return "path: ';' or a doubled slash, which the API refuses (ambiguous_paths)"
	case twoRoutes:
		return "path: without what stands behind ';' and with single slashes, as some backends read it, it belongs to another route (ambiguous_paths)"
	case pathIsNoPath:
		return "path: doesn't start with '/'"
	case badQuery:
		return "query string: '|', '{', '}' or '#' unencoded, a control character or a space"
	case badOverride:
		return "X-HTTP-Method-Override: not one of the seven verbs, or sent twice"
	}
	return "acceptable"
}

func refuse(why refusal) proxy.Fault { return proxy.Fault{Kind: proxy.BadRequest, Cause: why} }

// The classes of bytes in a request target.
const (
	outOfPath  = 1 << iota // refused in a path
	percent                // begins an escape
	dot                    // may begin a dot segment
	outOfQuery             // refused in a query string
	semicolon              // begins parameters of a segment
	slash                  // its only byte, so that two in a row have it in common
)

// byteClass holds the classes of each byte. AWS: "Amazon API Gateway important
// notes": '|', '{' and '}' have to be encoded in a query string.
var byteClass = [256]uint8{
	0: 9, 1: 9, 2: 9, 3: 9, 4: 9, 5: 9, 6: 9, 7: 9, 8: 9, 9: 9, 10: 9, 11: 9, 12: 9, 13: 9, 14: 9, 15: 9,
	16: 9, 17: 9, 18: 9, 19: 9, 20: 9, 21: 9, 22: 9, 23: 9, 24: 9, 25: 9, 26: 9, 27: 9, 28: 9, 29: 9, 30: 9, 31: 9,
	' ': outOfPath | outOfQuery, 127: outOfPath | outOfQuery,
	'\\': outOfPath, '?': outOfPath, '#': outOfPath | outOfQuery,
	'%': percent, '.': dot, ';': semicolon, '/': slash,
	'|': outOfQuery, '{': outOfQuery, '}': outOfQuery,
}

// pathView is what the check of a path found.
type pathView struct {
	escaped    bool // it has escapes
	separators bool // it has %2F, %5C or %3B
	ambiguous  bool // it has ";", %3B or a doubled slash
}

// checkPath judges a raw path that starts with "/". It returns acceptable for a good one.
func checkPath(path string) (v pathView, why refusal) {
	var seen, twice, last uint8
	for i := 0; i < len(path); i++ {
		class := byteClass[path[i]]
		seen |= class
		twice |= class & last
		last = class
	}
	v.ambiguous = (seen&semicolon)|(twice&slash) != 0
	if seen&(outOfPath|percent|dot) == 0 {
		return v, acceptable
	}
	if seen&outOfPath != 0 {
		return v, badCharacter
	}
	dots := seen&dot != 0 && strings.Contains(path, "/.")
	if seen&percent != 0 {
		v.escaped = true
		for i := 0; i < len(path); i++ {
			if path[i] != '%' {
				continue
			}
			c, ok := uri.Unescape(path, i)
			if !ok {
				return v, badEscape
			}
			switch c {
			case 0:
				return v, encodedNUL
			case ';':
				v.ambiguous = true
				fallthrough
			case '/', '\\':
				v.separators = true
			case '.':
				dots = true
			}
			i += 2
		}
		// "%2F.." has no "/." but a segment of dots for whoever decodes it.
		dots = dots || v.separators && seen&dot != 0
	}
	if dots && uri.HasDotSegment(path) {
		return v, dotSegment
	}
	return v, acceptable
}

// goodQuery reports whether a raw query string may pass.
func goodQuery(query string) bool {
	var seen uint8
	for i := 0; i < len(query); i++ {
		seen |= byteClass[query[i]]
	}
	return seen&outOfQuery == 0
}

// decodeInto decodes segment, whose escapes are good, into buf. It returns
// false when the result is longer than buf, so longer than any literal.
func decodeInto(buf *[longestDecode]byte, segment string) (string, bool) {
	n := 0
	for i := 0; i < len(segment); i++ {
		if n == len(buf) {
			return "", false
		}
		c := segment[i]
		if c == '%' {
			c, _ = uri.Unescape(segment, i)
			i += 2
		}
		buf[n] = c
		n++
	}
	return unsafe.String(&buf[0], n), true
}

// plainPath appends path as readers see it that take a ";" in a segment for the
// beginning of parameters (RFC 3986, 3.3: Java's servers, for one) and several
// slashes for one (most file systems, and backends that clean paths).
func plainPath(dst []byte, path string) []byte {
	for at := 0; at < len(path); {
		end := segmentEnd(path, at)
		name := path[at:end]
		for i := 0; i < len(name); i++ {
			if c, ok := uri.Unescape(name, i); name[i] == ';' || ok && c == ';' {
				name = name[:i]
			}
		}
		if name != "" {
			dst = append(append(dst, '/'), name...)
		}
		at = end + 1
	}
	if len(dst) == 0 || path[len(path)-1] == '/' {
		dst = append(dst, '/')
	}
	return dst
}

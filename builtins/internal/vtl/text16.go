package vtl

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/expr"
)

// text16 is a string that is indexed by UTF-16 code units, as Java's are. In ASCII
// those are the bytes.
type text16 struct {
	s     string
	units []uint16 // nil in ASCII
}

func newText16(s string) text16 {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return text16{s, expr.UTF16(s)}
		}
	}
	return text16{s: s}
}

func (t text16) len() int {
	if t.units != nil {
		return len(t.units)
	}
	return len(t.s)
}

func (t text16) at(i int) uint16 {
	if t.units != nil {
		return t.units[i]
	}
	return uint16(t.s[i])
}

func (t text16) slice(from, to int) string {
	if t.units != nil {
		return expr.FromUTF16(t.units[from:to])
	}
	return t.s[from:to]
}

// replace replaces from by to everywhere; nothing at all stands between all units.
func (t text16) replace(from, to []uint16) string {
	var units []uint16
	for rest := t.units; ; {
		switch {
		case len(from) == 0:
			units = append(units, to...)
		case len(rest) >= len(from) && slices.Equal(rest[:len(from)], from):
			units, rest = append(units, to...), rest[len(from):]
			continue
		}
		if len(rest) == 0 {
			return expr.FromUTF16(units)
		}
		units, rest = append(units, rest[0]), rest[1:]
	}
}

// index returns where sub begins at from or later, -1 if nowhere.
func (t text16) index(sub string, from int) int {
	n := t.len()
	from = max(from, 0)
	if from >= n {
		if sub == "" {
			return n
		}
		return -1
	}
	if t.units == nil {
		if i := strings.Index(t.s[from:], sub); i >= 0 {
			return from + i
		}
		return -1
	}
	want := expr.UTF16(sub)
	for i := from; i+len(want) <= n; i++ {
		if t.hasAt(want, i) {
			return i
		}
	}
	return -1
}

// lastIndex returns where sub begins at from or earlier, -1 if nowhere.
func (t text16) lastIndex(sub string, from int) int {
	if t.units == nil {
		if from < 0 {
			return -1
		}
		return strings.LastIndex(t.s[:min(len(t.s), max(from, 0)+len(sub))], sub)
	}
	want := expr.UTF16(sub)
	for i := min(from, len(t.units)-len(want)); i >= 0; i-- {
		if t.hasAt(want, i) {
			return i
		}
	}
	return -1
}

func (t text16) hasAt(want []uint16, at int) bool {
	for j, u := range want {
		if t.units[at+j] != u {
			return false
		}
	}
	return true
}

// codePoint returns the character at i, of both halves of a pair.
func (t text16) codePoint(i int) int32 {
	if t.units == nil {
		return int32(t.s[i])
	}
	u := int32(t.units[i])
	if u >= 0xD800 && u < 0xDC00 && i+1 < len(t.units) {
		if low := int32(t.units[i+1]); low >= 0xDC00 && low < 0xE000 {
			return 0x10000 + (u-0xD800)<<10 + low - 0xDC00
		}
	}
	return u
}

// upperForms are the characters whose capitals are several. Unicode,
// SpecialCasing.txt, without those of Greek with a iota below.
var upperForms = map[rune]string{
	'ß': "SS", 'ŉ': "ʼN", 'ǰ': "J̌", 'ΐ': "Ϊ́", 'ΰ': "Ϋ́", 'և': "ԵՒ", 'ẖ': "H̱", 'ẗ': "T̈", 'ẘ': "W̊", 'ẙ': "Y̊", 'ẚ': "Aʾ",
	'ﬀ': "FF", 'ﬁ': "FI", 'ﬂ': "FL", 'ﬃ': "FFI", 'ﬄ': "FFL", 'ﬅ': "ST", 'ﬆ': "ST", 'ﬓ': "ՄՆ", 'ﬔ': "ՄԵ", 'ﬕ': "ՄԻ", 'ﬖ': "ՎՆ", 'ﬗ': "ՄԽ",
}

func upper(s string) string {
	if newText16(s).units == nil {
		return strings.ToUpper(s)
	}
	var b strings.Builder
	for i, r := range s {
		switch form, several := upperForms[r]; {
		case several:
			b.WriteString(form)
		case r == utf8.RuneError:
			_, n := utf8.DecodeRuneInString(s[i:])
			b.WriteString(s[i : i+n])
		default:
			b.WriteRune(unicode.ToUpper(r))
		}
	}
	return b.String()
}

func lower(s string) string {
	if newText16(s).units == nil {
		return strings.ToLower(s)
	}
	var b strings.Builder
	before := false // a letter with two cases is in front
	for i, r := range s {
		_, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == 'İ':
			b.WriteString("i̇")
		case r == 'Σ' && before && !cased(s[i+n:]):
			b.WriteRune('ς')
		case r == utf8.RuneError:
			b.WriteString(s[i : i+n])
		default:
			b.WriteRune(unicode.ToLower(r))
		}
		if !unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) && r != '\'' {
			before = unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt)
		}
	}
	return b.String()
}

// cased reports whether a letter with two cases comes next, behind marks.
func cased(s string) bool {
	for _, r := range s {
		if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) || r == '\'' {
			continue
		}
		return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt)
	}
	return false
}

// foldUnit is what Java compares without regard to case.
func foldUnit(u uint16) rune { return unicode.ToLower(unicode.ToUpper(rune(u))) }

// compareFolded is compareTo without regard to case.
func compareFolded(s, t string) int {
	a, b := newText16(s), newText16(t)
	for i := range min(a.len(), b.len()) {
		if x, y := foldUnit(a.at(i)), foldUnit(b.at(i)); x != y {
			return int(x - y)
		}
	}
	return a.len() - b.len()
}

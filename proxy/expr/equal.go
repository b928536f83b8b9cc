package expr

import (
	"math"
	"strings"
	"unicode/utf8"
)

// comparisons bounds how many values are looked at to compare or hash two: a few
// lists that hold one another twice are endless otherwise.
const comparisons = 1 << 20

// Equal reports whether Java's equals holds: both are null, or of one class and
// of equal content. Values that nest too deeply or are too large to be compared
// count as different.
func Equal(a, b Value) bool {
	left := comparisons
	return equal(a, b, 0, &left)
}

func equal(a, b Value, depth int, left *int) bool {
	if a.kind != b.kind {
		if a.kind == ObjectKind {
			return a.Object().Same(b)
		}
		if b.kind == ObjectKind {
			return b.Object().Same(a)
		}
		return false
	}
	switch a.kind {
	case StringKind:
		return a.num == b.num && (a.ptr == b.ptr || a.Str() == b.Str())
	case BigIntKind:
		return a.Big().Cmp(b.Big()) == 0
	case BigDecimalKind:
		x, y := a.Decimal(), b.Decimal()
		return x.scale == y.scale && x.unscaled.Cmp(y.unscaled) == 0
	case FloatKind, DoubleKind:
		return a.num == b.num || a.Double() != a.Double() && b.Double() != b.Double()
	case ObjectKind:
		return a.ptr == b.ptr || a.Object().Same(b)
	case ListKind, MapKind:
		if a.ptr == b.ptr {
			return true
		}
		if *left--; *left < 0 || depth > MaxDepth {
			return false
		}
		if a.kind == ListKind {
			return equalLists(a.List(), b.List(), depth, left)
		}
		return equalMaps(a.Map(), b.Map(), depth, left)
	}
	return a.num == b.num
}

func equalLists(a, b *List, depth int, left *int) bool {
	// Java's arrays are equal to nothing but themselves.
	if a.fixed || b.fixed || len(a.items) != len(b.items) {
		return false
	}
	for i := range a.items {
		if !equal(a.items[i], b.items[i], depth+1, left) {
			return false
		}
	}
	return true
}

func equalMaps(a, b *Map, depth int, left *int) bool {
	if len(a.entries) != len(b.entries) {
		return false
	}
	for i := range a.entries {
		j := b.Find(a.entries[i].key)
		if j < 0 || !equal(a.entries[i].value, b.entries[j].value, depth+1, left) {
			return false
		}
	}
	return true
}

// Hash returns Java's hashCode of v, 0 for null.
func Hash(v Value) int32 {
	left := comparisons
	return hash(v, 0, &left)
}

func hash(v Value, depth int, left *int) int32 {
	if *left--; *left < 0 || depth > MaxDepth {
		return 0
	}
	switch v.kind {
	case BoolKind:
		if v.num != 0 {
			return 1231
		}
		return 1237
	case CharKind, ByteKind, ShortKind, IntKind:
		return int32(v.num)
	case LongKind:
		return int32(v.num ^ v.num>>32)
	case DoubleKind:
		bits := v.num
		if v.Double() != v.Double() {
			bits = 0x7ff8000000000000
		}
		return int32(bits ^ bits>>32)
	case FloatKind:
		return int32(math.Float32bits(float32(v.Double())))
	case BigIntKind:
		return hashBig(v.Big())
	case BigDecimalKind:
		return v.Decimal().hash()
	case StringKind:
		return hashString(v.Str())
	case ObjectKind:
		return v.Object().Hash()
	case ListKind:
		h := int32(1)
		for _, item := range v.List().items {
			h = 31*h + hash(item, depth+1, left)
		}
		return h
	case MapKind:
		h := int32(0)
		for i := range v.Map().entries {
			e := &v.Map().entries[i]
			h += hash(e.key, depth+1, left) ^ hash(e.value, depth+1, left)
		}
		return h
	}
	return 0
}

func hashString(s string) int32 {
	h := int32(0)
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			h = 31*h + int32(s[i])
			i++
			continue
		}
		a, b, n := units(s[i:])
		h = 31*h + int32(a)
		if b != 0 {
			h = 31*h + int32(b)
		}
		i += n
	}
	return h
}

// CompareStrings orders strings by their UTF-16 code units and returns what
// Java's compareTo does: the difference of the first units that differ, else of
// the lengths.
func CompareStrings(s, t string) int {
	if isASCII(s) && isASCII(t) {
		for i := 0; i < len(s) && i < len(t); i++ {
			if s[i] != t[i] {
				return int(s[i]) - int(t[i])
			}
		}
		return len(s) - len(t)
	}
	a, b := UTF16(s), UTF16(t)
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return len(a) - len(b)
}

// CompareNumbers returns -1, 0 or 1 for numbers of any kinds, as Velocity does:
// exactly unless one is a double and none a big number.
func CompareNumbers(a, b Value) int {
	if a.IsInteger() && b.IsInteger() {
		x, y := int64(a.num), int64(b.num)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	big := a.kind >= BigIntKind || b.kind >= BigIntKind
	floating := a.kind == FloatKind || a.kind == DoubleKind || b.kind == FloatKind || b.kind == DoubleKind
	if big && !floating && a.kind != BigDecimalKind && b.kind != BigDecimalKind {
		return a.Big().Cmp(b.Big())
	}
	if big {
		if x, y := a.Decimal(), b.Decimal(); x != nil && y != nil {
			return x.Cmp(y)
		}
	}
	x, y := a.Double(), b.Double()
	switch {
	case x < y:
		return -1
	case x == y:
		return 0
	}
	return 1
}

// contains reports whether v equals an item of l by JSONPath's rules.
func (l *List) contains(v Value) bool {
	for _, item := range l.items {
		if sameJSON(item, v) {
			return true
		}
	}
	return false
}

// sameJSON compares as filters of JSONPath do: numbers by what they are worth,
// a string and a number by what the string says.
func sameJSON(a, b Value) bool {
	if a.kind == StringKind && b.IsNumber() {
		a, b = b, a
	}
	switch {
	case a.IsNumber() && b.IsNumber():
		return CompareNumbers(a, b) == 0
	case a.IsNumber() && b.kind == StringKind:
		n, ok := readNumber(strings.TrimSpace(b.Str()))
		return ok && CompareNumbers(a, n) == 0
	case a.kind == ListKind && b.kind == ListKind:
		x, y := a.List(), b.List()
		if len(x.items) != len(y.items) {
			return false
		}
		for i := range x.items {
			if !sameJSON(x.items[i], y.items[i]) {
				return false
			}
		}
		return true
	}
	return Equal(a, b)
}

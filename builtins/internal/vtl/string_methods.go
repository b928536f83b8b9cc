package vtl

import (
	"math"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/expr"
)

// stringMethod calls a method of java.lang.String.
func (c *call) stringMethod(s string) (expr.Value, bool, error) {
	if len(s) > 1024 {
		if err := c.r.spend(len(s) >> 8); err != nil {
			return expr.Value{}, true, err
		}
	}
	switch c.method {
	case mLength:
		return c.plain(expr.Int(int32(expr.UnitCount(s))))
	case mIsEmpty:
		return c.plain(expr.Bool(s == ""))
	case mToString, mIntern:
		return c.plain(c.v)
	case mTrim:
		return c.plain(expr.String(strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })))
	case mToUpperCase:
		return c.plain(expr.String(upper(s)))
	case mToLowerCase:
		return c.plain(expr.String(lower(s)))
	case mHashCode, mEquals:
		return c.common()
	case mCharAt, mSubstring, mSubSequence, mCodePointAt, mCodePointCount, mIndexOf, mLastIndexOf, mStartsWith, mRegionMatches, mToCharArray, mGetBytes:
		return c.positional(newText16(s))
	case mReplaceAll, mReplaceFirst, mMatches, mSplit:
		return c.regexMethod(s)
	case mFormat:
		return c.formatMethod()
	case mJoin:
		return c.joinMethod()
	case mValueOf:
		if len(c.args) == 0 {
			return c.result(expr.String("")) // of no characters
		}
		if c.fits("o") {
			text, err := c.r.text(c.item(0))
			return expr.String(text), true, err
		}
		return c.none()
	}
	return c.comparing(s)
}

// comparing are the methods that take a string, and no position.
func (c *call) comparing(s string) (expr.Value, bool, error) {
	if c.method == mReplace {
		return c.replaceMethod(s)
	}
	if !c.fits("s") {
		if c.method == mCompareTo && len(c.args) == 1 {
			return expr.Value{}, true, errClass
		}
		return c.none()
	}
	if c.method == mEqualsIgnoreCase {
		return c.result(expr.Bool(!c.null && expr.UnitCount(s) == expr.UnitCount(c.str(0)) && compareFolded(s, c.str(0)) == 0))
	}
	other := c.str(0)
	var v expr.Value
	switch c.method {
	case mContains:
		v = expr.Bool(strings.Contains(s, other))
	case mEndsWith:
		v = expr.Bool(strings.HasSuffix(s, other))
	case mConcat:
		if c.null {
			break
		}
		return c.string(expr.Join(s + other))
	case mContentEquals:
		v = expr.Bool(s == other)
	case mCompareTo:
		v = expr.Int(int32(expr.CompareStrings(s, other)))
	case mCompareToIgnoreCase:
		v = expr.Int(int32(compareFolded(s, other)))
	default:
		return c.none()
	}
	if c.null {
		return v, true, errNull
	}
	return c.result(v)
}

func (c *call) replaceMethod(s string) (expr.Value, bool, error) {
	from, to := "", ""
	switch {
	case c.fits("ss"):
		if c.null {
			return expr.Value{}, true, errNull
		}
		from, to = c.str(0), c.str(1)
	case c.fits("cc"):
		from = string(expr.AppendUnit(nil, c.item(0).Unit()))
		to = string(expr.AppendUnit(nil, c.item(1).Unit()))
	default:
		return c.none()
	}
	if n := len(s) + strings.Count(s, from)*max(0, len(to)-len(from)); n > c.r.limits.Output {
		return expr.Value{}, true, c.r.tooLarge()
	}
	if t := newText16(s); t.units != nil && (from == "" || !utf8.ValidString(from)) {
		return c.string(t.replace(expr.UTF16(from), expr.UTF16(to)))
	}
	return c.string(strings.ReplaceAll(s, from, to))
}

// positional are the methods that count code units.
func (c *call) positional(t text16) (expr.Value, bool, error) {
	n := t.len()
	switch c.method {
	case mCharAt, mCodePointAt:
		if !c.fits("i") {
			return c.none()
		}
		i := c.num(0)
		if i < 0 || i >= n {
			return c.outOfRange(i, n)
		}
		if c.method == mCharAt {
			return c.result(expr.Char(t.at(i)))
		}
		return c.result(expr.Int(t.codePoint(i)))
	case mSubstring, mSubSequence:
		from, to := 0, n
		switch {
		case c.fits("ii"):
			from, to = c.num(0), c.num(1)
		case c.method == mSubstring && c.fits("i"):
			from = c.num(0)
		default:
			return c.none()
		}
		if from < 0 || to > n || from > to {
			return c.fail("from %d to %d of %d", from, to, n)
		}
		return c.result(expr.String(t.slice(from, to)))
	case mCodePointCount:
		if !c.fits("ii") {
			return c.none()
		}
		from, to := c.num(0), c.num(1)
		if from < 0 || to > n || from > to {
			return c.fail("from %d to %d of %d", from, to, n)
		}
		count := to - from
		for i := from; i+1 < to; i++ {
			if utf16.IsSurrogate(rune(t.at(i))) && utf16.DecodeRune(rune(t.at(i)), rune(t.at(i+1))) != utf8.RuneError {
				count--
			}
		}
		return c.result(expr.Int(int32(count)))
	case mToCharArray:
		items := make([]expr.Value, n)
		for i := range items {
			items[i] = expr.Char(t.at(i))
		}
		return c.plain(expr.OfList(expr.NewArray(items...)))
	case mGetBytes:
		items := make([]expr.Value, len(t.s))
		for i := range items {
			items[i] = expr.Integer(int64(int8(t.s[i])), expr.ByteKind)
		}
		return c.plain(expr.OfList(expr.NewArray(items...)))
	case mStartsWith:
		return c.startsMethod(t)
	case mRegionMatches:
		return c.regionMethod(t)
	}
	return c.searchMethod(t)
}

// searchMethod is indexOf and lastIndexOf, of a string or a character's number.
func (c *call) searchMethod(t text16) (expr.Value, bool, error) {
	from := 0
	if c.method == mLastIndexOf {
		from = math.MaxInt32
	}
	switch {
	case c.fits("s"), c.fits("i"), c.fits("c"):
	case c.fits("si"), c.fits("ii"), c.fits("ci"):
		from = c.num(1)
	default:
		return c.none()
	}
	if c.null {
		return expr.Value{}, true, errNull
	}
	sub := ""
	switch v := c.item(0); v.Kind() {
	case expr.StringKind:
		sub = v.Str()
	case expr.CharKind:
		return c.none() // Velocity doesn't make an int of a char
	default:
		r := rune(v.Long())
		if r < 0 || r > 0x10FFFF {
			return c.result(expr.Int(-1))
		}
		if r < 0x10000 {
			sub = string(expr.AppendUnit(nil, uint16(r)))
		} else {
			sub = string(r)
		}
	}
	if c.method == mLastIndexOf {
		return c.result(expr.Int(int32(t.lastIndex(sub, min(from, t.len())))))
	}
	return c.result(expr.Int(int32(t.index(sub, from))))
}

func (c *call) startsMethod(t text16) (expr.Value, bool, error) {
	at := 0
	switch {
	case c.fits("s"):
	case c.fits("si"):
		at = c.num(1)
	default:
		return c.none()
	}
	if at < 0 {
		return c.result(expr.Bool(false))
	}
	if c.null {
		return expr.Value{}, true, errNull
	}
	if at > t.len() {
		return c.result(expr.Bool(false))
	}
	return c.result(expr.Bool(strings.HasPrefix(t.slice(at, t.len()), c.str(0))))
}

// regionMethod is regionMatches([ignoreCase,] at, other, otherAt, length).
func (c *call) regionMethod(t text16) (expr.Value, bool, error) {
	ignore := false
	switch {
	case c.fits("isii"):
	case c.fits("bisii"):
		ignore = c.item(0).True()
		c.args = c.args[1:]
	default:
		return c.none()
	}
	if c.null {
		return expr.Value{}, true, errNull
	}
	at, other, from, n := c.num(0), newText16(c.str(1)), c.num(2), c.num(3)
	if at < 0 || from < 0 || at > t.len()-n || from > other.len()-n {
		return c.result(expr.Bool(false))
	}
	for i := range max(n, 0) {
		a, b := t.at(at+i), other.at(from+i)
		if a != b && (!ignore || foldUnit(a) != foldUnit(b)) {
			return c.result(expr.Bool(false))
		}
	}
	return c.result(expr.Bool(true))
}

// joinMethod is join(separator, list) and join(separator, text…).
func (c *call) joinMethod() (expr.Value, bool, error) {
	noSeparator := len(c.args) > 1 && c.args[0].IsNull()
	if len(c.args) < 1 || c.args[0].Kind() != expr.StringKind && !noSeparator || len(c.args) == 2 && c.args[1].IsNull() {
		return c.none()
	}
	parts, ok := c.collection(1)
	if !ok || len(c.args) != 2 {
		parts = c.args[1:]
		for _, part := range parts {
			if k := part.Kind(); k != expr.StringKind && k != expr.NullKind {
				return c.none()
			}
		}
	}
	if noSeparator {
		return expr.Value{}, true, errNull
	}
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteString(c.str(0))
		}
		if k := part.Kind(); k != expr.StringKind && k != expr.NullKind {
			return c.fail("an item is no text")
		}
		text, err := c.r.text(part)
		if err != nil {
			return part, true, err
		}
		if b.Len()+len(text) > c.r.limits.Output {
			return part, true, c.r.tooLarge()
		}
		b.WriteString(text)
	}
	return c.string(expr.Join(b.String()))
}

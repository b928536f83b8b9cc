package vtl

import (
	"errors"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
	"unicode"

	"github.com/postern-gateway/postern/proxy/expr"
)

var errClass = errors.New("values of two classes can't be compared")

// numberMethod calls a method of java.lang.Integer and its like.
func (c *call) numberMethod() (expr.Value, bool, error) {
	v := c.v
	switch c.method {
	case mIntValue:
		return c.plain(expr.Int(v.IntValue()))
	case mLongValue:
		return c.plain(expr.Long(v.Long()))
	case mDoubleValue:
		return c.plain(expr.Double(v.Double()))
	case mFloatValue:
		return c.plain(expr.Float(float32(v.Double())))
	case mShortValue:
		return c.plain(expr.Integer(int64(v.IntValue()), expr.ShortKind))
	case mByteValue:
		return c.plain(expr.Integer(int64(v.IntValue()), expr.ByteKind))
	case mEquals:
		return c.common()
	case mHashCode:
		if len(c.args) == 0 {
			return c.common()
		}
	case mToString:
		if len(c.args) == 0 {
			return c.common()
		}
	case mCompareTo:
		return c.compareTo()
	}
	switch v.Kind() {
	case expr.IntKind, expr.LongKind, expr.ShortKind, expr.ByteKind:
		return c.integerStatic(v.Kind() == expr.LongKind)
	case expr.DoubleKind, expr.FloatKind:
		return c.doubleStatic()
	case expr.BigIntKind:
		return c.bigMethod(v.Big())
	}
	return c.decimalMethod(v.Decimal())
}

// compareTo compares with a value of the same class.
func (c *call) compareTo() (expr.Value, bool, error) {
	if !c.fits("o") {
		return c.none()
	}
	other := c.item(0)
	if other.IsNull() {
		return other, true, errNull
	}
	if other.Kind() != c.v.Kind() {
		return other, true, errClass
	}
	return c.result(expr.Int(int32(compareScalars(c.v, other))))
}

// compareDoubles is Double.compare: -0.0 is below 0.0, NaN above all.
func compareDoubles(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b && a != 0:
		return 0
	}
	x, y := int64(math.Float64bits(a)), int64(math.Float64bits(b))
	if a != a {
		x = math.MaxInt64
	}
	if b != b {
		y = math.MaxInt64
	}
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// integerStatic calls a static method of Integer, or of Long if wide.
func (c *call) integerStatic(wide bool) (expr.Value, bool, error) {
	one, two := c.fits("i"), c.fits("ii")
	if wide {
		one, two = c.fits("l"), c.fits("ll")
	}
	number := func(n int64) (expr.Value, bool, error) {
		if wide {
			return c.result(expr.Long(n))
		}
		return c.result(expr.Int(int32(n)))
	}
	switch c.method {
	case mParseInt, mParseLong, mValueOf:
		if v, found, err := c.parseInteger(wide); found {
			return v, found, err
		}
		if c.method == mValueOf && one {
			return number(c.args[0].Long())
		}
	case mToString:
		if one {
			return c.result(expr.String(strconv.FormatInt(c.args[0].Long(), 10)))
		}
		if wide && len(c.args) == 2 && c.args[0].IsInteger() && c.args[1].Kind() == expr.IntKind || two {
			return c.result(expr.String(strconv.FormatInt(c.args[0].Long(), javaRadix(c.num(1)))))
		}
		return c.plain(expr.Value{})
	case mHashCode:
		if one {
			return c.result(expr.Int(expr.Hash(expr.Integer(c.args[0].Long(), c.v.Kind()))))
		}
		return c.plain(expr.Value{})
	case mToHexString, mToBinaryString, mToOctalString:
		if one {
			radix := map[method]int{mToHexString: 16, mToBinaryString: 2, mToOctalString: 8}[c.method]
			n := uint64(c.args[0].Long())
			if !wide {
				n = uint64(uint32(n))
			}
			return c.result(expr.String(strconv.FormatUint(n, radix)))
		}
	case mBitCount:
		if one {
			n := uint64(c.args[0].Long())
			if !wide {
				n = uint64(uint32(n))
			}
			return c.result(expr.Int(int32(bits.OnesCount64(n))))
		}
	case mSignum:
		if one {
			return c.result(expr.Int(int32(compareLongs(c.args[0].Long(), 0))))
		}
	case mReverse:
		if one && wide {
			return number(int64(bits.Reverse64(uint64(c.args[0].Long()))))
		}
		if one {
			return number(int64(int32(bits.Reverse32(uint32(c.args[0].Long())))))
		}
	case mMax, mMin, mSum, mCompare:
		if !two {
			break
		}
		a, b := c.args[0].Long(), c.args[1].Long()
		switch c.method {
		case mMax:
			return number(max(a, b))
		case mMin:
			return number(min(a, b))
		case mSum:
			return number(a + b)
		}
		return c.result(expr.Int(int32(compareLongs(a, b))))
	}
	return c.none()
}

func compareLongs(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// javaRadix is a radix, 10 in the place of one that doesn't exist.
func javaRadix(radix int) int {
	if radix < 2 || radix > 36 {
		return 10
	}
	return radix
}

// parseInteger is parseInt(s[, radix]), parseLong and valueOf of a string.
func (c *call) parseInteger(wide bool) (expr.Value, bool, error) {
	radix := 10
	switch {
	case c.fits("s"):
	case c.fits("si"):
		radix = c.num(1)
	default:
		return c.none()
	}
	if c.method == mParseInt && wide || c.method == mParseLong && !wide {
		return c.none()
	}
	size := 32
	if wide {
		size = 64
	}
	text := c.str(0)
	if radix < 2 || radix > 36 || c.null || strings.HasPrefix(text, "+-") || strings.Contains(text, "_") {
		return c.fail("not a number: %q", text)
	}
	n, err := strconv.ParseInt(text, radix, size)
	if err != nil {
		return c.fail("not a number: %q", text)
	}
	if wide {
		return c.result(expr.Long(n))
	}
	return c.result(expr.Int(int32(n)))
}

// doubleStatic calls a method of java.lang.Double.
func (c *call) doubleStatic() (expr.Value, bool, error) {
	isFloat := c.v.Kind() == expr.FloatKind
	number := func(f float64) (expr.Value, bool, error) {
		if isFloat {
			return c.result(expr.Float(float32(f)))
		}
		return c.result(expr.Double(f))
	}
	f := c.v.Double()
	one := c.fits("d")
	if one {
		f = c.args[0].Double()
	}
	none := len(c.args) == 0
	switch c.method {
	case mIsNaN:
		if one || none {
			return c.result(expr.Bool(f != f))
		}
		return c.plain(expr.Value{})
	case mIsInfinite:
		if one || none {
			return c.result(expr.Bool(math.IsInf(f, 0)))
		}
		return c.plain(expr.Value{})
	case mToString, mHashCode:
		if !one {
			return c.plain(expr.Value{})
		}
		v, _, _ := number(f)
		if c.method == mHashCode {
			return c.result(expr.Int(expr.Hash(v)))
		}
		s, err := c.r.text(v)
		return expr.String(s), true, err
	case mToHexString:
		if one {
			return c.result(expr.String(hexFloat(f, -1)))
		}
	case mParseDouble, mParseFloat, mValueOf:
		if c.fits("s") {
			if c.method == mParseFloat && !isFloat || c.method == mParseDouble && isFloat {
				return c.none()
			}
			return c.parseDouble(number)
		}
		if c.method == mValueOf && one {
			return number(f)
		}
	case mMax, mMin, mSum, mCompare:
		if !c.fits("dd") {
			break
		}
		a, b := c.args[0].Double(), c.args[1].Double()
		switch c.method {
		case mMax:
			return number(math.Max(a, b))
		case mMin:
			return number(math.Min(a, b))
		case mSum:
			return number(a + b)
		}
		return c.result(expr.Int(int32(compareDoubles(a, b))))
	}
	return c.none()
}

// parseDouble reads a double as Java does: blanks around it, and one letter f or d
// behind, are allowed; Go's underscores and words are not.
func (c *call) parseDouble(number func(float64) (expr.Value, bool, error)) (expr.Value, bool, error) {
	text := strings.TrimFunc(c.str(0), func(r rune) bool { return r <= ' ' })
	bare := strings.TrimLeft(text, "+-")
	switch {
	case c.null:
		return expr.Value{}, true, errNull
	case bare == "NaN" && len(text)-len(bare) < 2:
		return number(math.NaN())
	case bare == "Infinity" && len(text)-len(bare) < 2:
		return number(math.Inf(1 - 2*strings.Count(text, "-")))
	}
	digits := text
	if n := len(text); n > 1 && strings.IndexByte("fFdD", text[n-1]) >= 0 {
		digits = text[:n-1]
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || strings.ContainsAny(digits, "_iInNxXpP") {
		return c.fail("not a number: %q", c.str(0))
	}
	return number(f)
}

// bigMethod calls a method of java.math.BigInteger.
func (c *call) bigMethod(n *big.Int) (expr.Value, bool, error) {
	switch c.method {
	case mSignum:
		return c.plain(expr.Int(int32(n.Sign())))
	case mBitLength:
		return c.plain(expr.Int(int32(bitLength(n))))
	case mNegate:
		return c.plain(expr.BigInt(new(big.Int).Neg(n)))
	case mAbs:
		return c.plain(expr.BigInt(new(big.Int).Abs(n)))
	case mHashCode:
		return c.plain(expr.Value{})
	case mBitCount:
		return c.plain(expr.Int(int32(bitCount(n))))
	case mToString:
		if c.fits("i") {
			return c.result(expr.String(n.Text(javaRadix(c.num(0)))))
		}
		return c.plain(expr.Value{})
	case mPow:
		return c.power(n)
	case mValueOf:
		if c.fits("l") {
			return c.result(expr.BigInt(c.args[0].Big()))
		}
		return c.none()
	}
	if len(c.args) != 1 || c.args[0].Kind() != expr.BigIntKind {
		return c.none()
	}
	other, result := c.args[0].Big(), new(big.Int)
	switch c.method {
	case mAdd:
		result.Add(n, other)
	case mSubtract:
		result.Sub(n, other)
	case mMultiply:
		if n.BitLen()+other.BitLen() > maxBits {
			return expr.Value{}, true, c.r.limit("a number with too many digits", "")
		}
		result.Mul(n, other)
	case mDivide, mMod:
		if other.Sign() == 0 || c.method == mMod && other.Sign() < 0 {
			return c.fail("the divisor is zero or negative")
		}
		if c.method == mDivide {
			result.Quo(n, other)
		} else {
			result.Mod(n, other)
		}
	case mMax:
		result = n
		if other.Cmp(n) > 0 {
			result = other
		}
	case mMin:
		result = n
		if other.Cmp(n) < 0 {
			result = other
		}
	default:
		return c.none()
	}
	return c.result(expr.BigInt(result))
}

// power is pow(exponent).
func (c *call) power(n *big.Int) (expr.Value, bool, error) {
	if !c.fits("i") {
		return c.none()
	}
	exponent := c.num(0)
	if exponent < 0 {
		return c.fail("a negative exponent")
	}
	if n.BitLen()*exponent > maxBits {
		return expr.Value{}, true, c.r.limit("a number with too many digits", "")
	}
	return c.result(expr.BigInt(new(big.Int).Exp(n, big.NewInt(int64(exponent)), nil)))
}

// bitCount counts the bits that differ from the sign's.
func bitCount(n *big.Int) int {
	if n.Sign() < 0 {
		n = new(big.Int).Not(n)
	}
	count := 0
	for _, b := range n.Bytes() {
		count += bits.OnesCount8(b)
	}
	return count
}

// bitLength is the length of the two's complement without its sign.
func bitLength(n *big.Int) int {
	if n.Sign() >= 0 {
		return n.BitLen()
	}
	return new(big.Int).Not(n).BitLen()
}

// decimalMethod calls a method of java.math.BigDecimal.
func (c *call) decimalMethod(d *expr.Decimal) (expr.Value, bool, error) {
	switch c.method {
	case mToString, mHashCode:
		return c.plain(expr.Value{})
	case mSignum:
		return c.plain(expr.Int(int32(d.Sign())))
	case mScale:
		return c.plain(expr.Int(d.Scale()))
	}
	if len(c.args) != 1 || c.args[0].Kind() != expr.BigDecimalKind {
		return c.none()
	}
	other := c.args[0].Decimal()
	result, ok := d, true
	switch c.method {
	case mAdd:
		result, ok = d.Add(other)
	case mSubtract:
		result, ok = d.Sub(other)
	case mMultiply:
		result, ok = d.Mul(other)
	case mMax:
		if d.Cmp(other) < 0 {
			result = other
		}
	case mMin:
		if d.Cmp(other) > 0 {
			result = other
		}
	default:
		return c.none()
	}
	if !ok {
		return expr.Value{}, true, c.r.limit("a number with too many digits", "")
	}
	return c.result(expr.OfDecimal(result))
}

// remainder is Java's % of doubles.
func remainder(a, b float64) float64 { return math.Mod(a, b) }

// boolMethod calls a method of java.lang.Boolean.
func (c *call) boolMethod(b bool) (expr.Value, bool, error) {
	switch c.method {
	case mBooleanValue:
		return c.plain(expr.Bool(b))
	case mToString:
		if c.fits("b") {
			return c.result(expr.String(strconv.FormatBool(c.item(0).True())))
		}
		return c.common()
	case mEquals:
		return c.common()
	case mHashCode:
		if c.fits("b") {
			return c.result(expr.Int(expr.Hash(c.item(0))))
		}
		return c.common()
	case mCompareTo:
		return c.compareTo()
	case mParseBoolean, mValueOf:
		if c.fits("s") {
			return c.result(expr.Bool(strings.EqualFold(c.str(0), "true")))
		}
		if c.method == mValueOf && c.fits("b") {
			return c.result(c.item(0))
		}
	case mLogicalXor, mLogicalAnd, mLogicalOr, mCompare:
		if !c.fits("bb") {
			break
		}
		x, y := c.item(0).True(), c.item(1).True()
		switch c.method {
		case mLogicalXor:
			return c.result(expr.Bool(x != y))
		case mLogicalAnd:
			return c.result(expr.Bool(x && y))
		case mLogicalOr:
			return c.result(expr.Bool(x || y))
		}
		return c.result(expr.Int(int32(compareScalars(c.item(0), c.item(1)))))
	}
	return c.none()
}

// charMethod calls a method of java.lang.Character; the static ones take a char or
// a character's number.
func (c *call) charMethod(u uint16) (expr.Value, bool, error) {
	switch c.method {
	case mCharValue:
		return c.plain(expr.Char(u))
	case mEquals:
		return c.common()
	case mCompareTo:
		return c.compareTo()
	case mToString, mHashCode, mValueOf:
		if c.fits("c") {
			c.v = c.item(0)
			c.args = nil
			if c.method == mValueOf {
				return c.result(c.v)
			}
		}
		if c.method == mValueOf {
			return c.none()
		}
		if c.method == mToString && c.fits("i") && c.num(0) >= 0 && c.num(0) <= unicode.MaxRune {
			return c.result(expr.String(string(rune(c.num(0)))))
		}
		return c.common()
	case mCompare:
		if c.fits("cc") {
			return c.result(expr.Int(int32(c.item(0).Unit()) - int32(c.item(1).Unit())))
		}
		return c.none()
	}
	if !c.fits("c") && !c.fits("i") {
		return c.none()
	}
	r := rune(c.item(0).Long())
	isChar := c.item(0).Kind() == expr.CharKind
	if isChar {
		r = rune(c.item(0).Unit())
	}
	switch c.method {
	case mIsDigit:
		return c.result(expr.Bool(unicode.IsDigit(r)))
	case mIsLetter:
		return c.result(expr.Bool(unicode.IsLetter(r)))
	case mIsLetterOrDigit:
		return c.result(expr.Bool(unicode.IsLetter(r) || unicode.IsDigit(r)))
	case mIsUpperCase:
		return c.result(expr.Bool(unicode.IsUpper(r)))
	case mIsLowerCase:
		return c.result(expr.Bool(unicode.IsLower(r)))
	case mIsWhitespace:
		return c.result(expr.Bool(unicode.IsSpace(r) && r != 0xA0 && r != 0x85 || r >= 0x1C && r <= 0x1F))
	case mGetNumericValue:
		return c.result(expr.Int(numericValue(r)))
	case mToUpperCase, mToLowerCase:
		changed := unicode.ToUpper(r)
		if c.method == mToLowerCase {
			changed = unicode.ToLower(r)
		}
		if isChar {
			return c.result(expr.Char(uint16(changed)))
		}
		return c.result(expr.Int(changed))
	}
	return c.none()
}

// numericValue is what a digit counts, letters being digits above 9; -1 for others.
func numericValue(r rune) int32 {
	switch {
	case r >= '0' && r <= '9':
		return r - '0'
	case r|0x20 >= 'a' && r|0x20 <= 'z':
		return r | 0x20 - 'a' + 10
	}
	return -1
}

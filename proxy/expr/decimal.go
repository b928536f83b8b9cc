package expr

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Decimal is Java's BigDecimal: unscaled / 10^scale. It doesn't change.
type Decimal struct {
	unscaled *big.Int
	scale    int32
}

// maxScale bounds the powers of ten that arithmetic makes.
const maxScale = 10_000

// parseDecimal reads digits[.digits][e[sign]digits], which the caller has seen
// to be well-formed.
func parseDecimal(text string) (*Decimal, bool) {
	mantissa, exponent := text, int64(0)
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		n, err := strconv.ParseInt(text[i+1:], 10, 32)
		if err != nil {
			return nil, false
		}
		mantissa, exponent = text[:i], n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	unscaled, ok := new(big.Int).SetString(whole+fraction, 10)
	scale := int64(len(fraction)) - exponent
	if !ok || scale != int64(int32(scale)) {
		return nil, false
	}
	return &Decimal{unscaled, int32(scale)}, true
}

// exactDecimal returns every digit of f; nil if f is no number.
func exactDecimal(f float64) *Decimal {
	if math.IsInf(f, 0) || f != f {
		return nil
	}
	mantissa, exponent := math.Frexp(f)
	n := big.NewInt(int64(mantissa * (1 << 53)))
	shift := exponent - 53
	if n.Sign() == 0 {
		return &Decimal{n, 0}
	}
	for shift < 0 && n.Bit(0) == 0 {
		n.Rsh(n, 1)
		shift++
	}
	if shift >= 0 {
		return &Decimal{n.Lsh(n, uint(shift)), 0}
	}
	// n / 2^k is n * 5^k / 10^k.
	five := new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(-shift)), nil)
	return &Decimal{n.Mul(n, five), int32(-shift)}
}

// String returns what BigDecimal.toString does.
func (d *Decimal) String() string {
	digits := d.unscaled.String()
	if d.scale == 0 {
		return digits
	}
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	adjusted := -int64(d.scale) + int64(len(digits)-1)
	if d.scale > 0 && adjusted >= -6 {
		point := len(digits) - int(d.scale)
		if point > 0 {
			return sign + digits[:point] + "." + digits[point:]
		}
		return sign + "0." + strings.Repeat("0", -point) + digits
	}
	text := sign + digits[:1]
	if len(digits) > 1 {
		text += "." + digits[1:]
	}
	if adjusted == 0 {
		return text
	}
	if adjusted > 0 {
		return text + "E+" + strconv.FormatInt(adjusted, 10)
	}
	return text + "E" + strconv.FormatInt(adjusted, 10)
}

// double rounds d to the nearest double.
func (d *Decimal) double() float64 {
	f, _ := strconv.ParseFloat(d.unscaled.String()+"e"+strconv.FormatInt(-int64(d.scale), 10), 64)
	return f
}

// whole returns d without its fraction; 0 for what has too many zeros to count.
func (d *Decimal) whole() *big.Int {
	switch {
	case d.scale == 0:
		return d.unscaled
	case d.scale > maxScale:
		return new(big.Int)
	case d.scale > 0:
		return new(big.Int).Quo(d.unscaled, tenTo(d.scale))
	case d.scale < -maxScale:
		return new(big.Int) // its low 64 bits are all zero
	}
	return new(big.Int).Mul(d.unscaled, tenTo(-d.scale))
}

func tenTo(n int32) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// align returns the unscaled values of d and e at their larger scale. It fails
// if that takes too many digits.
func (d *Decimal) align(e *Decimal) (a, b *big.Int, scale int32, ok bool) {
	apart := int64(d.scale) - int64(e.scale)
	switch {
	case apart == 0:
		return d.unscaled, e.unscaled, d.scale, true
	case apart > maxScale || apart < -maxScale:
		return nil, nil, 0, false
	case apart > 0:
		return d.unscaled, new(big.Int).Mul(e.unscaled, tenTo(int32(apart))), d.scale, true
	}
	return new(big.Int).Mul(d.unscaled, tenTo(int32(-apart))), e.unscaled, e.scale, true
}

// Add returns d+e, false if the result had too many digits.
func (d *Decimal) Add(e *Decimal) (*Decimal, bool) {
	a, b, scale, ok := d.align(e)
	if !ok {
		return nil, false
	}
	return &Decimal{new(big.Int).Add(a, b), scale}, true
}

// Sub returns d-e, false if the result had too many digits.
func (d *Decimal) Sub(e *Decimal) (*Decimal, bool) {
	return d.Add(&Decimal{new(big.Int).Neg(e.unscaled), e.scale})
}

// Mul returns d*e, false if the result had too many digits.
func (d *Decimal) Mul(e *Decimal) (*Decimal, bool) {
	scale := int64(d.scale) + int64(e.scale)
	if scale != int64(int32(scale)) || d.unscaled.BitLen()+e.unscaled.BitLen() > 8*maxScale {
		return nil, false
	}
	return &Decimal{new(big.Int).Mul(d.unscaled, e.unscaled), int32(scale)}, true
}

// Quo returns d/e with the scale of d, rounded to the nearest, half toward
// zero. It fails if e is zero or too many digits are needed.
func (d *Decimal) Quo(e *Decimal) (*Decimal, bool) {
	if e.unscaled.Sign() == 0 || e.scale > maxScale || e.scale < -maxScale {
		return nil, false
	}
	a, b := d.unscaled, e.unscaled
	if e.scale >= 0 {
		a = new(big.Int).Mul(a, tenTo(e.scale))
	} else {
		b = new(big.Int).Mul(b, tenTo(-e.scale))
	}
	quotient, rest := new(big.Int).QuoRem(a, b, new(big.Int))
	if rest.Abs(rest).Lsh(rest, 1).CmpAbs(b) > 0 {
		quotient.Add(quotient, big.NewInt(int64(a.Sign()*b.Sign())))
	}
	return &Decimal{quotient, d.scale}, true
}

// Cmp returns -1, 0 or 1 as d is smaller than, equal to or larger than e.
func (d *Decimal) Cmp(e *Decimal) int {
	if s, t := d.unscaled.Sign(), e.unscaled.Sign(); s != t || s == 0 {
		return compareInts(s, t)
	}
	a, b, _, ok := d.align(e)
	if ok {
		return a.Cmp(b)
	}
	// So far apart in scale that the magnitudes decide.
	digits := func(x *Decimal) int64 { return int64(len(x.unscaled.Text(10))) - int64(x.scale) }
	c := compareInts(int(digits(d)), int(digits(e)))
	return c * d.unscaled.Sign()
}

// Sign returns -1, 0 or 1.
func (d *Decimal) Sign() int { return d.unscaled.Sign() }

// Scale returns the number of digits behind the point.
func (d *Decimal) Scale() int32 { return d.scale }

func compareInts(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// hash returns what BigDecimal.hashCode does.
func (d *Decimal) hash() int32 { return 31*hashBig(d.unscaled) + d.scale }

// hashBig returns what BigInteger.hashCode does.
func hashBig(n *big.Int) int32 {
	var h uint32
	bytes := n.Bytes()
	for len(bytes)%4 != 0 {
		bytes = append([]byte{0}, bytes...)
	}
	for i := 0; i < len(bytes); i += 4 {
		word := uint32(bytes[i])<<24 | uint32(bytes[i+1])<<16 | uint32(bytes[i+2])<<8 | uint32(bytes[i+3])
		h = 31*h + word
	}
	return int32(h) * int32(n.Sign())
}

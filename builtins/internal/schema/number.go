package schema

import (
	"math/big"
	"strconv"
	"strings"
)

// maxDigits bounds the numbers that are divided. Longer ones are no multiples.
const maxDigits = 1000

// number is a decimal: ±0.digits × 10^exponent.
type number struct {
	text     string // as written
	negative bool
	digits   string // without zeros at its ends; "" is zero
	exponent int64
	small    int64 // the number itself, where isSmall says so
	isSmall  bool
}

func isInteger(text string) bool { return !strings.ContainsAny(text, ".eE") }

// parseNumber reads a number of JSON.
func parseNumber(text string) number {
	n := number{text: text}
	if len(text) < 19 && isInteger(text) {
		small, err := strconv.ParseInt(text, 10, 64)
		n.small, n.isSmall = small, err == nil
	}
	return n
}

// decimal fills the parts of n that comparing without small needs.
func (n number) decimal() number {
	rest, negative := strings.CutPrefix(n.text, "-")
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		exponent, err := strconv.ParseInt(rest[i+1:], 10, 64)
		if err != nil { // so large that digits make no difference
			exponent = 1 << 40
			if rest[i+1] == '-' {
				exponent = -exponent
			}
		}
		n.exponent = min(max(exponent, -1<<40), 1<<40)
		rest = rest[:i]
	}
	whole, fraction, _ := strings.Cut(rest, ".")
	digits := whole + fraction
	n.exponent += int64(len(whole))
	trimmed := strings.TrimLeft(digits, "0")
	n.exponent -= int64(len(digits) - len(trimmed))
	n.digits = strings.TrimRight(trimmed, "0")
	n.negative = negative
	if n.digits == "" {
		n.negative, n.exponent = false, 0
	}
	return n
}

// compare returns -1, 0 or 1.
func (n number) compare(m number) int {
	if n.isSmall && m.isSmall {
		switch {
		case n.small < m.small:
			return -1
		case n.small > m.small:
			return 1
		}
		return 0
	}
	n, m = n.decimal(), m.decimal()
	sign := 1
	switch {
	case n.negative && !m.negative:
		return -1
	case m.negative && !n.negative:
		return 1
	case n.negative:
		sign = -1
	}
	switch {
	case n.digits == "" || m.digits == "": // and neither is negative
		return strings.Compare(n.digits, m.digits)
	case n.exponent < m.exponent:
		return -sign
	case n.exponent > m.exponent:
		return sign
	}
	return sign * strings.Compare(n.digits, m.digits)
}

// multiple reports whether n is a whole multiple of m, which is above zero.
func (n number) multiple(m number) bool {
	if n.isSmall && m.isSmall {
		return n.small%m.small == 0
	}
	n, m = n.decimal(), m.decimal()
	if n.digits == "" {
		return true
	}
	if len(n.digits) > maxDigits {
		return false
	}
	a, _ := new(big.Int).SetString(n.digits, 10)
	b, _ := new(big.Int).SetString(m.digits, 10)
	ten := big.NewInt(10)
	// n is a×10^x, m is b×10^y, with whole numbers.
	x, y := n.exponent-int64(len(n.digits)), m.exponent-int64(len(m.digits))
	if x >= y {
		power := new(big.Int).Exp(ten, big.NewInt(x-y), b)
		return a.Mul(a, power).Mod(a, b).Sign() == 0
	}
	if y-x > int64(len(n.digits)) {
		return false // a has no zeros at its end, let alone so many
	}
	b.Mul(b, ten.Exp(ten, big.NewInt(y-x), nil))
	return a.Mod(a, b).Sign() == 0
}

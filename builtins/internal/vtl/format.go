package vtl

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/expr"
)

var errFormat = errors.New("the format and the arguments don't fit")

// maxWidth bounds width and precision of a format.
const maxWidth = 10_000

// verb is one % of a format.
type verb struct {
	flags     string
	width     int // -1: none
	precision int // -1: none
	kind      byte
	v         expr.Value
}

// formatMethod is String.format(format, arguments…) as java.util.Formatter does it,
// but that no date is ever formatted.
func (c *call) formatMethod() (expr.Value, bool, error) {
	if len(c.args) > 1 && c.args[0].IsNull() && c.args[1].Kind() == expr.StringKind {
		c.args = c.args[1:] // no locale
	}
	if len(c.args) == 0 || c.args[0].Kind() != expr.StringKind {
		return c.none()
	}
	args := c.args[1:]
	if len(args) == 1 && args[0].List() != nil && args[0].List().IsArray() {
		args = args[0].List().Items()
	}
	format := c.str(0)
	var b strings.Builder
	next, last := 0, -1
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		v, index, n, ok := parseVerb(format[i+1:])
		if !ok {
			return expr.Value{}, true, errFormat
		}
		i += n
		if v.kind != '%' && v.kind != 'n' {
			switch {
			case index > 0:
				last = index - 1
			case index == 0:
				last = next
				next++
			}
			switch {
			case last >= 0 && last < len(args):
				v.v = args[last]
			case last < 0 || len(args) != 1 || !args[0].IsNull(): // null alone is no array of arguments
				return expr.Value{}, true, errFormat
			}
		}
		text, err := v.format(c.r)
		if err != nil {
			return expr.Value{}, true, err
		}
		if b.Len()+len(text) > c.r.limits.Output {
			return expr.Value{}, true, c.r.tooLarge()
		}
		b.WriteString(text)
	}
	return c.string(b.String())
}

// parseVerb reads [index$][flags][width][.precision]verb. Index is 0 for the next
// argument, -1 for the last one again.
func parseVerb(s string) (v verb, index, n int, ok bool) {
	v.width, v.precision = -1, -1
	number := func() int {
		start := n
		for n < len(s) && digit(s[n]) {
			n++
		}
		value, err := strconv.Atoi(s[start:n])
		if err != nil || value > maxWidth {
			return -1
		}
		return value
	}
	if n < len(s) && s[n] >= '1' && s[n] <= '9' {
		value := number()
		if n < len(s) && s[n] == '$' {
			index = value
			n++
		} else {
			n = 0
		}
	} else if n < len(s) && s[n] == '<' {
		index = -1
		n++
	}
	start := n
	for n < len(s) && strings.IndexByte("-#+ 0,(", s[n]) >= 0 {
		n++
	}
	v.flags = s[start:n]
	if n < len(s) && digit(s[n]) {
		if v.width = number(); v.width < 0 {
			return v, 0, 0, false
		}
	}
	if n < len(s) && s[n] == '.' {
		n++
		if v.precision = number(); v.precision < 0 {
			return v, 0, 0, false
		}
	}
	if n == len(s) {
		return v, 0, 0, false
	}
	v.kind = s[n]
	if v.kind|0x20 == 't' { // a date; the letter after it says which part
		if n++; n == len(s) || strings.IndexByte("HIklMSLNpzZsQBbhAaCYyjmdeRTrDFc", s[n]) < 0 {
			return v, 0, 0, false
		}
	}
	if index < 0 && (v.kind == '%' || v.kind == 'n') {
		return v, 0, 0, false
	}
	return v, index, n + 1, v.wellFormed()
}

func (v *verb) has(flag byte) bool { return strings.IndexByte(v.flags, flag) >= 0 }

// wellFormed checks what Java checks before it looks at the argument.
func (v *verb) wellFormed() bool {
	if (v.has('-') || v.has('0')) && v.width < 0 || v.has('-') && v.has('0') || v.has('+') && v.has(' ') {
		return false
	}
	for i := range len(v.flags) {
		if strings.IndexByte(v.flags[:i], v.flags[i]) >= 0 {
			return false
		}
	}
	switch v.kind | 0x20 {
	case 's', 'b', 'h':
		return strings.Trim(v.flags, "-") == ""
	case 'd':
		return v.kind == 'd' && v.precision < 0 && !v.has('#')
	case 'x':
		return v.precision < 0 && !v.has(',')
	case 'o':
		return v.kind == 'o' && v.precision < 0 && !v.has(',')
	case 'c':
		return v.precision < 0 && strings.Trim(v.flags, "-") == ""
	case 'f':
		return v.kind == 'f'
	case 'e':
		return !v.has(',')
	case 'g':
		return !v.has('#')
	case 'a':
		return !v.has('(') && !v.has(',')
	case 't':
		return v.precision < 0 && strings.Trim(v.flags, "-") == ""
	}
	return v.precision < 0 && (v.kind == '%' && strings.Trim(v.flags, "-") == "" || v.kind == 'n' && v.flags == "" && v.width < 0)
}

func (v *verb) format(r *run) (string, error) {
	text, err := "", error(nil)
	switch v.kind | 0x20 {
	case '%' | 0x20:
		text = "%"
	case 'n':
		return "\n", nil
	case 's':
		if text, err = r.text(v.v); err == nil {
			text = v.cut(text)
		}
	case 'b':
		text = v.cut(strconv.FormatBool(v.v.Kind() != expr.NullKind && (v.v.Kind() != expr.BoolKind || v.v.True())))
	case 'h':
		text = "null"
		if !v.v.IsNull() {
			text = strconv.FormatUint(uint64(uint32(expr.Hash(v.v))), 16)
		}
		text = v.cut(text)
	case 'c':
		text, err = v.char()
	case 'd', 'x', 'o':
		text, err = v.integer()
	case 't': // whatever there is has no date in it
		if text = "null"; !v.v.IsNull() {
			err = errFormat
		}
	default:
		text, err = v.float()
	}
	if err != nil {
		return "", err
	}
	if v.kind >= 'A' && v.kind <= 'Z' {
		text = upper(text)
	}
	if gap := v.width - expr.UnitCount(text); gap > 0 {
		if v.has('-') {
			return text + strings.Repeat(" ", gap), nil
		}
		return strings.Repeat(" ", gap) + text, nil
	}
	return text, nil
}

// cut applies the precision of a text.
func (v *verb) cut(text string) string {
	if t := newText16(text); v.precision >= 0 && v.precision < t.len() {
		return t.slice(0, v.precision)
	}
	return text
}

func (v *verb) char() (string, error) {
	switch k := v.v.Kind(); {
	case k == expr.NullKind:
		return "null", nil
	case k == expr.CharKind:
		return string(expr.AppendUnit(nil, v.v.Unit())), nil
	case k >= expr.ByteKind && k <= expr.IntKind && v.v.Long() >= 0 && v.v.Long() <= utf8.MaxRune:
		return string(rune(v.v.Long())), nil
	}
	return "", errFormat
}

func (v *verb) integer() (string, error) {
	if v.v.IsNull() {
		return "null", nil
	}
	n := v.v.Big()
	if n == nil {
		return "", errFormat
	}
	if v.kind == 'd' {
		digits := n.String()
		return v.signed(strings.TrimPrefix(digits, "-"), n.Sign() < 0), nil
	}
	radix, prefix := 8, "0"
	if v.kind != 'o' {
		radix, prefix = 16, "0x"
	}
	digits := strings.TrimPrefix(n.Text(radix), "-")
	switch k := v.v.Kind(); {
	case k == expr.BigIntKind:
		if v.has('#') {
			digits = prefix + digits
		}
		return v.signed(digits, n.Sign() < 0), nil
	case strings.ContainsAny(v.flags, "( +"): // for numbers without a bound only
		return "", errFormat
	case n.Sign() >= 0:
	case k == expr.LongKind:
		digits = strconv.FormatUint(uint64(v.v.Long()), radix)
	default:
		digits = strconv.FormatUint(uint64(uint32(v.v.Long())), radix)
	}
	if v.has('#') {
		digits = prefix + digits
	}
	if v.has('0') && len(digits) < v.width {
		digits = strings.Repeat("0", v.width-len(digits)) + digits
	}
	return digits, nil
}

// signed adds the sign, the zeros and the commas that the flags ask for.
func (v *verb) signed(digits string, negative bool) string {
	if v.has(',') {
		whole, fraction, point := strings.Cut(digits, ".")
		for i := len(whole) - 3; i > 0; i -= 3 {
			whole = whole[:i] + "," + whole[i:]
		}
		digits = whole
		if point {
			digits += "." + fraction
		}
	}
	before, after := "", ""
	switch {
	case negative && v.has('('):
		before, after = "(", ")"
	case negative:
		before = "-"
	case v.has('+'):
		before = "+"
	case v.has(' '):
		before = " "
	}
	if gap := v.width - len(before) - len(digits) - len(after); v.has('0') && gap > 0 {
		digits = strings.Repeat("0", gap) + digits
	}
	return before + digits + after
}

func (v *verb) float() (string, error) {
	if v.v.IsNull() {
		return v.cut("null"), nil
	}
	if k := v.v.Kind(); k != expr.DoubleKind && k != expr.FloatKind && k != expr.BigDecimalKind {
		return "", errFormat
	}
	f := v.v.Double()
	precision := v.precision
	if precision < 0 {
		precision = 6
	}
	switch {
	case f != f:
		return "NaN", nil
	case math.IsInf(f, 0):
		v.flags = strings.ReplaceAll(v.flags, "0", "")
		return v.signed("Infinity", f < 0), nil
	}
	abs := math.Abs(f)
	digits := ""
	switch v.kind | 0x20 {
	case 'a':
		if v.v.Kind() == expr.BigDecimalKind {
			return "", errFormat
		}
		digits = hexFloat(abs, v.precision)
		gap := v.width - len(hexFloat(abs, -1)) // Java adds the digits of the precision later
		if v.precision >= 0 {
			mantissa, exponent, _ := strings.Cut(digits, "p")
			gap = v.width - len(strings.TrimRight(mantissa, "0")+"p"+exponent)
			if strings.HasSuffix(strings.TrimRight(mantissa, "0"), ".") {
				gap--
			}
		}
		if math.Signbit(f) || v.has('+') || v.has(' ') {
			gap--
		}
		if v.has('0') && gap > 0 {
			digits = "0x" + strings.Repeat("0", gap) + digits[2:]
		}
	case 'f':
		digits = roundHalfUp(abs, precision)
	case 'e':
		digits = scientific(abs, precision)
	default:
		precision = max(precision, 1)
		digits = scientific(abs, precision-1)
		_, text, _ := strings.Cut(digits, "e")
		exponent, _ := strconv.Atoi(text) // after rounding; digits with a sign
		if abs != 0 && (exponent < -4 || exponent >= precision) {
			v.flags = strings.ReplaceAll(v.flags, ",", "")
			break
		}
		digits = roundHalfUp(abs, max(0, precision-1-exponent))
	}
	if v.has('#') && precision == 0 && v.kind|0x20 != 'a' { // the point stays, though nothing is behind it
		mantissa, exponent, found := strings.Cut(digits, "e")
		if digits = mantissa + "."; found {
			digits += "e" + exponent
		}
	}
	return v.signed(digits, math.Signbit(f)), nil
}

// scientific formats f as "1.50e+10", rounding as roundHalfUp does.
func scientific(f float64, precision int) string {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	rounded := roundDigits(whole, fraction, precision)
	if strings.HasPrefix(rounded, "10") { // 9.99 became 10.0
		n, _ := strconv.Atoi(exponent) // digits with a sign, from FormatFloat
		rounded = roundDigits("1", "", precision)
		exponent = fmt.Sprintf("%+03d", n+1)
	}
	return rounded + "e" + exponent
}

// roundHalfUp formats f, rounding its shortest decimal form half up, as Java does.
func roundHalfUp(f float64, precision int) string {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	return roundDigits(whole, fraction, precision)
}

// roundDigits rounds whole.fraction half up to as many digits behind the point.
func roundDigits(whole, fraction string, precision int) string {
	if len(fraction) <= precision {
		if precision == 0 {
			return whole
		}
		return whole + "." + fraction + strings.Repeat("0", precision-len(fraction))
	}
	digits := []byte(whole + fraction[:precision])
	if fraction[precision] >= '5' {
		i := len(digits) - 1
		for ; i >= 0 && digits[i] == '9'; i-- {
			digits[i] = '0'
		}
		if i >= 0 {
			digits[i]++
		} else {
			digits = append([]byte{'1'}, digits...)
		}
	}
	if precision == 0 {
		return string(digits)
	}
	return string(digits[:len(digits)-precision]) + "." + string(digits[len(digits)-precision:])
}

// hexFloat is Double.toHexString, "0x1.8p3", with as many digits behind the point as
// precision says, if it isn't below 0.
func hexFloat(f float64, precision int) string {
	switch {
	case f != f || math.IsInf(f, 0):
		s, _ := expr.Double(f).Text(16)
		return s
	case math.Signbit(f):
		return "-" + hexFloat(-f, precision)
	case f != 0 && f < 0x1p-1022 && precision < 0: // subnormal
		return "0x0." + strings.TrimRight(fmt.Sprintf("%013x", math.Float64bits(f)), "0") + "p-1022"
	case precision == 0:
		precision = 1
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'x', precision, 64), "p")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent) // digits with a sign, from FormatFloat
	return mantissa + "p" + strconv.Itoa(n)
}

package expr

import (
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// Printer appends values to a text of a bounded length. The zero Printer has no
// room: set Max.
type Printer struct {
	Dst []byte
	Max int   // of Dst, in bytes
	Err error // ErrTooDeep or ErrTooLarge: why the text is cut

	depth int
}

// Text returns what Java's toString does, "null" for null. The error is
// ErrTooDeep, or ErrTooLarge if that takes more than limit bytes.
func (v Value) Text(limit int) (string, error) {
	if v.kind == StringKind {
		return v.Str(), nil
	}
	p := Printer{Max: limit}
	p.Text(v)
	return view(p.Dst), p.Err
}

// JSON returns v as JSON text; see Printer.JSON.
func (v Value) JSON(limit int) (string, error) {
	p := Printer{Max: limit}
	p.JSON(v)
	return view(p.Dst), p.Err
}

// Write appends s.
func (p *Printer) Write(s string) {
	if len(p.Dst)+len(s) > p.Max {
		p.fail(ErrTooLarge)
		return
	}
	p.Dst = append(p.Dst, s...)
}

func (p *Printer) fail(err error) {
	if p.Err == nil {
		p.Err = err
	}
}

// enter reports whether one more level may be printed; leave ends it.
func (p *Printer) enter() bool {
	if p.depth > MaxDepth {
		p.fail(ErrTooDeep)
	}
	p.depth++
	return p.Err == nil
}

func (p *Printer) leave() { p.depth-- }

// Text appends what Java's toString returns.
func (p *Printer) Text(v Value) {
	switch v.kind {
	case StringKind:
		p.Write(v.Str())
	case ListKind:
		l := v.List()
		switch {
		case l.json:
			p.json(v, slashEscaped)
		case l.fixed:
			p.Write("[Ljava.lang.Object;@" + strconv.FormatUint(uint64(uint32(Hash(v))), 16))
		default:
			p.Collection(l.items, v)
		}
	case MapKind:
		p.textMap(v)
	case ObjectKind:
		if p.enter() {
			v.Object().AppendText(p)
		}
		p.leave()
	default:
		p.scalar(v)
	}
}

// Collection appends items as Java prints a collection; self, if among them, as
// a remark.
func (p *Printer) Collection(items []Value, self Value) {
	if !p.enter() {
		return
	}
	p.Write("[")
	for i, item := range items {
		if i > 0 {
			p.Write(", ")
		}
		if item.kind == self.kind && item.ptr == self.ptr && self.ptr != nil {
			p.Write("(this Collection)")
			continue
		}
		p.Text(item)
		if p.Err != nil {
			return
		}
	}
	p.Write("]")
	p.leave()
}

func (p *Printer) textMap(v Value) {
	if !p.enter() {
		return
	}
	p.Write("{")
	for i := range v.Map().entries {
		if i > 0 {
			p.Write(", ")
		}
		e := &v.Map().entries[i]
		p.textPart(e.key, v)
		p.Write("=")
		p.textPart(e.value, v)
		if p.Err != nil {
			return
		}
	}
	p.Write("}")
	p.leave()
}

func (p *Printer) textPart(part, self Value) {
	if part.kind == MapKind && part.ptr == self.ptr {
		p.Write("(this Map)")
		return
	}
	p.Text(part)
}

// scalar appends null, a boolean, a char or a number.
func (p *Printer) scalar(v Value) {
	switch v.kind {
	case NullKind:
		p.Write("null")
	case BoolKind:
		p.Write(strconv.FormatBool(v.num != 0))
	case CharKind:
		p.Dst = AppendUnit(p.Dst, uint16(v.num))
	case FloatKind:
		p.Dst = appendFloat(p.Dst, v.Double(), 32)
	case DoubleKind:
		p.Dst = appendFloat(p.Dst, v.Double(), 64)
	case BigIntKind:
		p.Write(v.Big().String())
	case BigDecimalKind:
		p.Write(v.Decimal().String())
	default:
		p.Dst = strconv.AppendInt(p.Dst, int64(v.num), 10)
	}
	if len(p.Dst) > p.Max {
		p.fail(ErrTooLarge)
	}
}

// appendFloat appends f as Java's Double.toString and Float.toString do: at least
// one digit on either side of the point, an exponent outside of 1e-3 to 1e7.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case f != f:
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case f == 0 && math.Signbit(f):
		return append(dst, "-0.0"...)
	case f == 0:
		return append(dst, "0.0"...)
	}
	if abs := math.Abs(f); abs >= 1e-3 && abs < 1e7 {
		start := len(dst)
		dst = strconv.AppendFloat(dst, f, 'f', -1, bits)
		for _, c := range dst[start:] {
			if c == '.' {
				return dst
			}
		}
		return append(dst, ".0"...)
	}
	var scratch [32]byte
	text := strconv.AppendFloat(scratch[:0], f, 'e', -1, bits)
	digits := 0
	for digits < len(text) && text[digits] != 'e' {
		digits++
	}
	if digits <= 2 {
		// One digit alone: Java prints the two that come closest.
		text = strconv.AppendFloat(scratch[:0], f, 'e', 1, bits)
	}
	for i, c := range text {
		if c != 'e' {
			continue
		}
		dst = append(append(dst, text[:i]...), 'E')
		exponent := text[i+1:]
		if exponent[0] == '-' {
			dst = append(dst, '-')
		}
		exponent = exponent[1:]
		if exponent[0] == '0' {
			exponent = exponent[1:]
		}
		return append(dst, exponent...)
	}
	return dst
}

// slashes says whether JSON writes / as \/.
type slashes bool

const (
	slashEscaped slashes = true
	slashPlain   slashes = false
)

// JSON appends v as compact JSON in the way of the library that Jayway uses:
// control characters and U+007F to U+009F and U+2000 to U+20FF are escaped.
func (p *Printer) JSON(v Value) { p.json(v, slashPlain) }

func (p *Printer) json(v Value, s slashes) {
	switch v.kind {
	case StringKind:
		p.quoted(v.Str(), s)
	case CharKind:
		p.quoted(view(AppendUnit(nil, uint16(v.num))), s)
	case FloatKind, DoubleKind:
		if f := v.Double(); f != f || math.IsInf(f, 0) {
			p.Write("null")
			return
		}
		p.scalar(v)
	case ListKind:
		p.array(v.List().items, s)
	case MapKind:
		p.jsonMap(v.Map(), s)
	case ObjectKind:
		if p.enter() {
			v.Object().AppendJSON(p)
		}
		p.leave()
	default:
		p.scalar(v)
	}
}

// Array appends items as a JSON array.
func (p *Printer) Array(items []Value) { p.array(items, slashPlain) }

func (p *Printer) array(items []Value, s slashes) {
	if !p.enter() {
		return
	}
	p.Write("[")
	for i, item := range items {
		if i > 0 {
			p.Write(",")
		}
		p.json(item, s)
		if p.Err != nil {
			return
		}
	}
	p.Write("]")
	p.leave()
}

func (p *Printer) jsonMap(m *Map, s slashes) {
	if !p.enter() {
		return
	}
	p.Write("{")
	for i := range m.entries {
		if i > 0 {
			p.Write(",")
		}
		e := &m.entries[i]
		if e.key.kind == StringKind {
			p.quoted(e.key.Str(), s)
		} else {
			text, err := e.key.Text(p.Max)
			if err != nil {
				p.fail(err)
			}
			p.quoted(text, s)
		}
		p.Write(":")
		p.json(e.value, s)
		if p.Err != nil {
			return
		}
	}
	p.Write("}")
	p.leave()
}

// quoted appends s as a JSON string.
func (p *Printer) quoted(s string, slash slashes) {
	if len(p.Dst)+len(s)+2 > p.Max {
		p.fail(ErrTooLarge)
		return
	}
	p.Dst = append(p.Dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != 0x7F && (c != '/' || slash == slashPlain) {
				i++
				continue
			}
			p.Dst = append(append(p.Dst, s[start:i]...), '\\')
			switch c {
			case '"', '\\', '/':
				p.Dst = append(p.Dst, c)
			case '\b':
				p.Dst = append(p.Dst, 'b')
			case '\f':
				p.Dst = append(p.Dst, 'f')
			case '\n':
				p.Dst = append(p.Dst, 'n')
			case '\r':
				p.Dst = append(p.Dst, 'r')
			case '\t':
				p.Dst = append(p.Dst, 't')
			default:
				p.Dst = appendHex(p.Dst, uint16(c))
			}
			i++
			start = i
			continue
		}
		a, b, n := units(s[i:])
		if b == 0 && (a <= 0x9F || a >= 0x2000 && a <= 0x20FF) {
			p.Dst = appendHex(append(append(p.Dst, s[start:i]...), '\\'), a)
			start = i + n
		}
		i += n
	}
	p.Dst = append(append(p.Dst, s[start:]...), '"')
	if len(p.Dst) > p.Max {
		p.fail(ErrTooLarge)
	}
}

// appendHex appends u and four hex digits.
func appendHex(dst []byte, u uint16) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, 'u', digits[u>>12], digits[u>>8&15], digits[u>>4&15], digits[u&15])
}

// view is b as a string, which must not change any more.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

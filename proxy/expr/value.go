// Package expr holds JSON values with the semantics of Java, which mapping
// templates print and compare by, the lenient reader that AWS takes bodies in
// with, and JSONPath in Jayway's dialect.
package expr

import (
	"errors"
	"math"
	"math/big"
	"unsafe"
)

// Limits of what is done with values.
const (
	MaxDepth = 400 // how deeply arrays and objects nest in a text, when printed and when compared
)

// The errors of reading and printing values.
var (
	ErrTooDeep  = errors.New("the value nests too deeply")
	ErrTooLarge = errors.New("the value is too large")
)

// Kind is the type of a value, by Java's names.
type Kind uint8

// The kinds. NullKind is that of the zero Value.
const (
	NullKind Kind = iota
	BoolKind
	CharKind
	ByteKind
	ShortKind
	IntKind
	LongKind
	FloatKind
	DoubleKind
	BigIntKind
	BigDecimalKind
	StringKind
	ListKind
	MapKind
	ObjectKind // whatever else a template meets: an iterator, a set, a block
)

// Value is a null, a scalar, or a reference to something that can change: then
// copies of the Value refer to the same thing, as in Java. Strings are UTF-8
// where half of a surrogate pair, which Java's strings can hold, stands as three
// bytes of its own (see AppendClean).
//
// It is 24 bytes because templates copy little else: a string is its pointer and
// its length, a reference its pointer.
type Value struct {
	ptr  unsafe.Pointer
	num  uint64
	kind Kind
}

// Object is a value of a kind that this package doesn't know.
type Object interface {
	// AppendText appends what Java's toString returns.
	AppendText(p *Printer)
	// AppendJSON appends it as JSON.
	AppendJSON(p *Printer)
	// Same reports whether Java's equals holds.
	Same(other Value) bool
	// Hash returns Java's hashCode.
	Hash() int32
}

// String returns the value of s.
func String(s string) Value {
	return Value{unsafe.Pointer(unsafe.StringData(s)), uint64(len(s)), StringKind}
}

// Bool returns the value of b.
func Bool(b bool) Value {
	if b {
		return Value{num: 1, kind: BoolKind}
	}
	return Value{kind: BoolKind}
}

// Char returns the UTF-16 code unit u, Java's char.
func Char(u uint16) Value { return Value{num: uint64(u), kind: CharKind} }

// Int returns a Java int.
func Int(n int32) Value { return Value{num: uint64(int64(n)), kind: IntKind} }

// Long returns a Java long.
func Long(n int64) Value { return Value{num: uint64(n), kind: LongKind} }

// Integer returns the value of a whole number in one of the kinds ByteKind to
// LongKind, cut to its size.
func Integer(n int64, kind Kind) Value {
	switch kind {
	case ByteKind:
		n = int64(int8(n))
	case ShortKind:
		n = int64(int16(n))
	case IntKind:
		n = int64(int32(n))
	}
	return Value{num: uint64(n), kind: kind}
}

// Fit returns n as an int if it is one, else as a long.
func Fit(n int64) Value {
	if n == int64(int32(n)) {
		return Int(int32(n))
	}
	return Long(n)
}

// Double returns the value of f.
func Double(f float64) Value { return Value{num: math.Float64bits(f), kind: DoubleKind} }

// Float returns a Java float.
func Float(f float32) Value { return Value{num: math.Float64bits(float64(f)), kind: FloatKind} }

// BigInt returns the value of n, which must not change any more.
func BigInt(n *big.Int) Value { return Value{ptr: unsafe.Pointer(n), kind: BigIntKind} }

// OfDecimal returns the value of d.
func OfDecimal(d *Decimal) Value { return Value{ptr: unsafe.Pointer(d), kind: BigDecimalKind} }

// OfList returns the value that refers to l; null for nil.
func OfList(l *List) Value {
	if l == nil {
		return Value{}
	}
	return Value{ptr: unsafe.Pointer(l), kind: ListKind}
}

// OfMap returns the value that refers to m; null for nil.
func OfMap(m *Map) Value {
	if m == nil {
		return Value{}
	}
	return Value{ptr: unsafe.Pointer(m), kind: MapKind}
}

// box gives an Object one pointer.
type box struct{ Object }

// OfObject returns the value that refers to o. It allocates.
func OfObject(o Object) Value { return Value{ptr: unsafe.Pointer(&box{o}), kind: ObjectKind} }

// Kind returns the type of v.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return v.kind == NullKind }

// IsNumber reports whether v is one of Java's numbers.
func (v Value) IsNumber() bool { return v.kind >= ByteKind && v.kind <= BigDecimalKind }

// IsInteger reports whether v is a byte, short, int or long.
func (v Value) IsInteger() bool { return v.kind >= ByteKind && v.kind <= LongKind }

// Str returns the text of a string, "" for others.
func (v Value) Str() string {
	if v.kind != StringKind {
		return ""
	}
	return unsafe.String((*byte)(v.ptr), int(v.num))
}

// True reports whether v is the boolean true.
func (v Value) True() bool { return v.kind == BoolKind && v.num != 0 }

// Unit returns the code unit of a char, 0 for others.
func (v Value) Unit() uint16 {
	if v.kind != CharKind {
		return 0
	}
	return uint16(v.num)
}

// List returns what v refers to, nil if that is no list.
func (v Value) List() *List {
	if v.kind != ListKind {
		return nil
	}
	return (*List)(v.ptr)
}

// Map returns what v refers to, nil if that is no map.
func (v Value) Map() *Map {
	if v.kind != MapKind {
		return nil
	}
	return (*Map)(v.ptr)
}

// Object returns what v refers to, nil if that is none.
func (v Value) Object() Object {
	if v.kind != ObjectKind {
		return nil
	}
	return (*box)(v.ptr).Object
}

// Long returns a number cut to a long, as Java's longValue; 0 for others.
func (v Value) Long() int64 {
	switch v.kind {
	case ByteKind, ShortKind, IntKind, LongKind:
		return int64(v.num)
	case FloatKind, DoubleKind:
		return cut(v.Double(), math.MinInt64, math.MaxInt64)
	case BigIntKind:
		return low64(v.Big())
	case BigDecimalKind:
		return low64(v.Decimal().whole())
	}
	return 0
}

// IntValue returns a number cut to an int, as Java's intValue; 0 for others.
func (v Value) IntValue() int32 {
	if v.kind == FloatKind || v.kind == DoubleKind {
		return int32(cut(v.Double(), math.MinInt32, math.MaxInt32))
	}
	return int32(v.Long())
}

// cut rounds f toward zero. JLS, 5.1.3: NaN is 0, what is too large the limit.
func cut(f float64, low, high int64) int64 {
	switch {
	case f != f:
		return 0
	case f <= float64(low):
		return low
	case f >= float64(high):
		return high
	}
	return int64(f)
}

// low64 returns the lowest 64 bits of n in two's complement.
func low64(n *big.Int) int64 {
	low := new(big.Int).And(n, new(big.Int).SetUint64(math.MaxUint64))
	return int64(low.Uint64())
}

// Double returns a number as a double; 0 for others.
func (v Value) Double() float64 {
	switch v.kind {
	case ByteKind, ShortKind, IntKind, LongKind:
		return float64(int64(v.num))
	case FloatKind, DoubleKind:
		return math.Float64frombits(v.num)
	case BigIntKind:
		f, _ := new(big.Float).SetInt(v.Big()).Float64()
		return f
	case BigDecimalKind:
		return v.Decimal().double()
	}
	return 0
}

// Big returns a whole number of any kind as a big integer, which must not be
// changed; nil for others.
func (v Value) Big() *big.Int {
	switch v.kind {
	case ByteKind, ShortKind, IntKind, LongKind:
		return big.NewInt(int64(v.num))
	case BigIntKind:
		return (*big.Int)(v.ptr)
	}
	return nil
}

// Decimal returns a finite number as a big decimal, a double with all the digits
// of its exact value; nil for others.
func (v Value) Decimal() *Decimal {
	switch v.kind {
	case BigDecimalKind:
		return (*Decimal)(v.ptr)
	case FloatKind, DoubleKind:
		return exactDecimal(v.Double())
	}
	if n := v.Big(); n != nil {
		return &Decimal{n, 0}
	}
	return nil
}

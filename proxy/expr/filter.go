package expr

import (
	"strings"

	"github.com/postern-gateway/postern/proxy/pattern"
)

// condition is a compiled filter.
type condition interface {
	holds(item Value, w *walk) bool
}

// operator is what stands between two operands.
type operator uint8

const (
	opExists operator = iota
	opEqual
	opNotEqual
	opSame    // === : of one type, too
	opNotSame // !==
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opMatches
	opIn
	opNotIn
	opContains
	opAll
	opSize
	opEmpty
	opType
	opSubsetOf
	opAnyOf
	opNoneOf
)

// operators are their names; the order doesn't matter, none is tried as a prefix.
var operators = map[string]operator{
	"==": opEqual, "!=": opNotEqual, "===": opSame, "!==": opNotSame, "<": opLess, "<=": opLessEqual,
	">": opGreater, ">=": opGreaterEqual, "=~": opMatches, "in": opIn, "nin": opNotIn, "contains": opContains,
	"all": opAll, "size": opSize, "empty": opEmpty, "type": opType, "subsetof": opSubsetOf, "anyof": opAnyOf,
	"noneof": opNoneOf,
}

// operand is a path, a literal or a pattern.
type operand struct {
	path    *Path
	item    bool // the path begins with @
	value   Value
	pattern *pattern.Pattern
}

// none is an operand's value that isn't there, which is not null.
type none bool

const missing none = true

func (o *operand) eval(item Value, w *walk) (Value, none) {
	if o.path == nil {
		return o.value, !missing
	}
	from := w.root
	if o.item {
		from = item
	}
	v, err := o.path.eval(w.root, from, w.visits)
	if err != nil {
		return Value{}, missing
	}
	return v, !missing
}

// comparison is left op right, or the existence of left.
type comparison struct {
	left, right operand
	op          operator
	negated     bool // the path must not exist
}

type and struct{ left, right condition }
type or struct{ left, right condition }
type not struct{ inner condition }

func (c and) holds(item Value, w *walk) bool { return c.left.holds(item, w) && c.right.holds(item, w) }
func (c or) holds(item Value, w *walk) bool  { return c.left.holds(item, w) || c.right.holds(item, w) }
func (c not) holds(item Value, w *walk) bool { return !c.inner.holds(item, w) }

func (c *comparison) holds(item Value, w *walk) bool {
	left, gone := c.left.eval(item, w)
	if c.op == opExists {
		return bool(gone) == c.negated
	}
	right, lost := c.right.eval(item, w)
	if c.op == opMatches {
		return !bool(gone || lost) && c.matches(left, right, w)
	}
	if gone || lost {
		// What isn't there equals nothing but what isn't there either.
		switch c.op {
		case opNotEqual, opNotSame:
			return gone != lost
		case opEqual, opSame:
			return bool(gone && lost)
		case opNotIn:
			return true
		}
		return false
	}
	return compare(c.op, left, right)
}

// matches reports whether the pattern, on whichever side it stands, matches all
// of the other side's text, or of one of its items.
func (c *comparison) matches(left, right Value, w *walk) bool {
	against, input := c.right.pattern, left
	if c.left.pattern != nil {
		against, input = c.left.pattern, right
	}
	if against == nil || c.left.pattern != nil && c.right.pattern != nil {
		return false
	}
	l := input.List()
	if l == nil {
		return fits(against, input, w)
	}
	for _, item := range l.items {
		if fits(against, item, w) {
			return true
		}
	}
	return false
}

func fits(p *pattern.Pattern, v Value, w *walk) bool {
	text := ""
	if v.kind == StringKind || v.IsNumber() || v.kind == BoolKind {
		text, _ = v.Text(1 << 20)
	}
	ok, err := p.Matches(text, w.visits)
	return ok && err == nil
}

func compare(op operator, left, right Value) bool {
	switch op {
	case opEqual:
		return equalOperands(left, right)
	case opNotEqual:
		return !equalOperands(left, right)
	case opSame:
		return typeOf(left) == typeOf(right) && equalOperands(left, right)
	case opNotSame:
		return typeOf(left) != typeOf(right) || !equalOperands(left, right)
	case opLess, opLessEqual, opGreater, opGreaterEqual:
		return ordered(op, left, right)
	case opSize:
		return right.IsNumber() && sizeOf(left) == int(right.IntValue())
	case opEmpty:
		return right.kind == BoolKind && sizeOf(left) >= 0 && (sizeOf(left) == 0) == right.True()
	case opType:
		return typeOf(left) == right.Str()
	case opContains:
		if left.kind == StringKind && right.kind == StringKind {
			return strings.Contains(left.Str(), right.Str())
		}
		return left.kind == ListKind && left.List().contains(right)
	case opIn:
		return right.kind == ListKind && right.List().contains(left)
	case opNotIn:
		return right.kind != ListKind || !right.List().contains(left)
	}
	if left.kind != ListKind || right.kind != ListKind {
		return op == opNoneOf
	}
	switch op {
	case opAll:
		return left.List().common(right.List()) == right.List().Len()
	case opSubsetOf:
		return right.List().common(left.List()) == left.List().Len()
	case opAnyOf:
		return right.List().common(left.List()) > 0
	}
	return right.List().common(left.List()) == 0
}

// common counts the items of other that are in l.
func (l *List) common(other *List) int {
	n := 0
	for _, item := range other.items {
		if l.contains(item) {
			n++
		}
	}
	return n
}

// equalOperands compares as the left operand's type asks for: a number with what
// a string says, a string with how a number is written.
func equalOperands(left, right Value) bool {
	if left.kind == StringKind && right.IsNumber() {
		text, _ := right.Text(1 << 10)
		return left.Str() == text
	}
	return sameJSON(left, right)
}

// typeOf names a type as the operator "type" does.
func typeOf(v Value) string {
	switch {
	case v.IsNull():
		return "null"
	case v.IsNumber():
		return "number"
	case v.kind == StringKind:
		return "string"
	case v.kind == BoolKind:
		return "boolean"
	}
	return "json"
}

// sizeOf returns the length of a string, an array or an object, -1 for others.
func sizeOf(v Value) int {
	switch v.kind {
	case StringKind:
		return UnitCount(v.Str())
	case ListKind:
		return v.List().Len()
	case MapKind:
		return v.Map().Len()
	}
	return -1
}

// ordered compares two numbers or two strings; a number with a string as strings.
func ordered(op operator, left, right Value) bool {
	order := 0
	switch {
	case left.IsNumber() && right.IsNumber():
		order = CompareNumbers(left, right)
	case (left.IsNumber() || left.kind == StringKind) && (right.IsNumber() || right.kind == StringKind):
		a, _ := left.Text(1 << 20)
		b, _ := right.Text(1 << 20)
		order = CompareStrings(a, b)
	default:
		return false
	}
	switch op {
	case opLess:
		return order < 0
	case opLessEqual:
		return order <= 0
	case opGreater:
		return order > 0
	}
	return order >= 0
}

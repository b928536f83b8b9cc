package expr

import (
	"math"
	"strings"
)

// call is a function at the end or in the middle of a path.
type call struct {
	name      string
	arguments []argument
}

// argument is a path, from the document's root, or a value.
type argument struct {
	path  *Path
	value Value
}

func (a *argument) eval(w *walk) (Value, error) {
	if a.path == nil {
		return a.value, nil
	}
	return a.path.eval(w.root, w.root, w.visits)
}

// apply calls the function on what the path selected so far. The error is
// ErrMissing also where there is nothing to count with, and for a function that
// doesn't exist: Jayway finds that out only here.
func (c *call) apply(v Value, w *walk) (Value, error) {
	values := make([]Value, len(c.arguments))
	for i := range c.arguments {
		value, err := c.arguments[i].eval(w)
		if err != nil {
			return Value{}, err
		}
		values[i] = value
	}
	switch c.name {
	case "length", "size":
		if len(values) > 0 {
			v = values[0]
		}
		if n := sizeOf(v); n >= 0 {
			return Int(int32(n)), nil
		}
		return Value{}, nil
	case "keys":
		if m := v.Map(); m != nil {
			keys := NewJSONArray()
			for i := range m.entries {
				keys.Append(m.entries[i].key)
			}
			return OfList(keys), nil
		}
		return Value{}, nil
	case "concat":
		return concatenation(v, values), nil
	case "append":
		if l := v.List(); l != nil {
			return OfList(NewJSONArray(append(append([]Value(nil), l.items...), values...)...)), nil
		}
		return v, nil
	case "first", "last", "index":
		return c.pick(v, values)
	case "min", "max", "sum", "avg", "stddev":
		return c.aggregate(numbers(v, values))
	}
	return Value{}, ErrMissing
}

func concatenation(v Value, values []Value) Value {
	var b strings.Builder
	add := func(v Value) {
		if v.kind == StringKind {
			b.WriteString(v.Str())
		}
	}
	if l := v.List(); l != nil {
		for _, item := range l.items {
			add(item)
		}
	}
	for _, value := range values {
		if value.kind != ListKind {
			text, _ := value.Text(1 << 20)
			b.WriteString(text)
			continue
		}
		for _, item := range value.List().items {
			add(item)
		}
	}
	return String(b.String())
}

func (c *call) pick(v Value, values []Value) (Value, error) {
	l := v.List()
	if l == nil {
		return Value{}, ErrUnfitting
	}
	i := 0
	switch c.name {
	case "last":
		i = -1
	case "index":
		if len(values) != 1 || !values[0].IsNumber() {
			return Value{}, ErrUnfitting
		}
		i = int(values[0].IntValue())
	}
	item, ok := l.item(i)
	if !ok {
		return Value{}, ErrMissing
	}
	return item, nil
}

// numbers returns what a function counts with: the numbers of an array and among
// the arguments.
func numbers(v Value, values []Value) []float64 {
	var all []float64
	add := func(v Value) {
		if v.IsNumber() {
			all = append(all, v.Double())
		}
	}
	for _, from := range append([]Value{v}, values...) {
		if l := from.List(); l != nil {
			for _, item := range l.items {
				add(item)
			}
			continue
		}
		if from != v {
			add(from)
		}
	}
	return all
}

func (c *call) aggregate(all []float64) (Value, error) {
	if len(all) == 0 {
		return Value{}, ErrMissing
	}
	sum, squares, least, most := 0.0, 0.0, all[0], all[0]
	for _, f := range all {
		sum += f
		squares += f * f
		least, most = math.Min(least, f), math.Max(most, f)
	}
	n := float64(len(all))
	switch c.name {
	case "min":
		return Double(least), nil
	case "max":
		return Double(most), nil
	case "sum":
		return Double(sum), nil
	case "avg":
		return Double(sum / n), nil
	}
	return Double(math.Sqrt(squares/n - sum*sum/n/n)), nil
}

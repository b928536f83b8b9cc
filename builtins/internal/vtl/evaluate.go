package vtl

import (
	"github.com/postern-gateway/postern/proxy/expr"
)

func (ref *reference) value(r *run) (expr.Value, error) {
	if ref.runt {
		return expr.Value{}, nil
	}
	v, err := ref.lookup(r)
	if err != nil {
		return v, err
	}
	if r.env.Explain != nil {
		r.explain(ref, v)
	}
	if r.nullIsEmpty && v.IsNull() {
		return expr.String(""), nil
	}
	return v, nil
}

// lookup follows the reference; null where it leads to nothing.
func (ref *reference) lookup(r *run) (expr.Value, error) {
	if ref.runt {
		return expr.Value{}, nil
	}
	v, err := r.get(ref.slot)
	if err != nil {
		return v, err
	}
	if r.env.Explain != nil {
		r.why = ""
		if v.IsNull() {
			r.why = "$" + ref.root + " isn't set"
		}
	}
	for i := range ref.steps {
		if v.IsNull() {
			return v, nil
		}
		from := v
		if v, err = r.step(v, &ref.steps[i]); err != nil {
			return v, r.at(ref.steps[i].at, err)
		}
		if r.env.Explain != nil && v.IsNull() {
			r.explainNull(from, &ref.steps[i])
		}
	}
	return v, nil
}

func (ref *reference) truth(r *run) (bool, error) {
	v, err := ref.value(r)
	if err != nil {
		return false, err
	}
	switch v.Kind() {
	case expr.NullKind:
		return false, nil
	case expr.BoolKind:
		return v.True(), nil
	case expr.ObjectKind:
		// Velocity 1.7, directive.if.tostring.nullcheck: a block is rendered for it.
		if b, ok := v.Object().(*blockObject); ok {
			_, rendered, err := b.captured()
			return rendered, err
		}
	}
	return true, nil
}

// step follows one step from v, which isn't null.
func (r *run) step(v expr.Value, s *step) (expr.Value, error) {
	if err := r.tick(); err != nil {
		return expr.Value{}, err
	}
	switch s.kind {
	case stepProperty:
		return r.property(v, s)
	case stepMethod:
		base := len(r.stack)
		for _, a := range s.arguments {
			value, err := a.value(r)
			if err != nil {
				r.stack = r.stack[:base]
				return expr.Value{}, err
			}
			r.stack = append(r.stack, value)
		}
		if s.method == noMethod {
			r.stack = r.stack[:base]
			return expr.Value{}, nil
		}
		c := r.spare
		if r.spare = nil; c == nil {
			c = new(call)
		}
		*c = call{r: r, v: v, method: s.method, at: s.at, args: r.stack[base:len(r.stack):len(r.stack)], step: s}
		result, _, err := r.dispatch(c)
		r.spare = c
		r.stack = r.stack[:base]
		return result, err
	}
	index, err := s.arguments[0].value(r)
	if err != nil {
		return expr.Value{}, err
	}
	if index, err = r.fromEnd(v, index, s.at); err != nil {
		return expr.Value{}, err
	}
	if m := v.Map(); m != nil {
		result, _ := m.Lookup(index)
		return result, nil
	}
	result, _, err := r.invoke(v, mGet, s.at, []expr.Value{index})
	return result, err
}

// fromEnd makes a negative index one from the end.
func (r *run) fromEnd(v, index expr.Value, at int32) (expr.Value, error) {
	if index.Kind() != expr.IntKind || index.Long() >= 0 {
		return index, nil
	}
	size, found, err := r.invoke(v, mSize, at, nil)
	if err != nil {
		return index, err
	}
	if !found || size.Kind() != expr.IntKind {
		return index, r.fail(at, "a negative index on something that has no size()")
	}
	return expr.Int(size.IntValue() + index.IntValue()), nil
}

// property reads .name: a getter, or the member of a map.
func (r *run) property(v expr.Value, s *step) (expr.Value, error) {
	switch v.Kind() {
	case expr.MapKind:
		result, _ := v.Map().Get(s.name)
		return result, nil
	case expr.ListKind, expr.StringKind:
		if s.method == mIsEmpty || s.method == mGetBytes {
			result, _, err := r.invoke(v, s.method, s.at, nil)
			return result, err
		}
	case expr.ObjectKind:
		if o, ok := v.Object().(object); ok {
			return o.property(r, s)
		}
	}
	return expr.Value{}, nil
}

// object is what templates meet besides scalars, lists and maps.
type object interface {
	expr.Object
	property(r *run, s *step) (expr.Value, error)
	call(c *call) (expr.Value, bool, error)
}

func (n *interpolated) value(r *run) (expr.Value, error) {
	s, err := n.rendered(r)
	if err != nil {
		return expr.Value{}, err
	}
	if n.padded && s != "" {
		s = s[:len(s)-1]
	}
	return expr.String(expr.Join(s)), nil
}

// rendered renders the string's template. Places in it are the string's own.
func (n *interpolated) rendered(r *run) (string, error) {
	outer := r.origin
	r.origin = n.origin
	s, err := r.captured(n.inner)
	err = r.at(0, err)
	r.origin = outer
	return s, err
}

func (n *listNode) value(r *run) (expr.Value, error) {
	items := make([]expr.Value, len(n.items))
	for i, item := range n.items {
		v, err := item.value(r)
		if err != nil {
			return v, err
		}
		items[i] = v
	}
	return expr.OfList(expr.NewList(items...)), nil
}

func (n *mapNode) value(r *run) (expr.Value, error) {
	m := expr.NewMap()
	for i := range n.keys {
		key, err := n.keys[i].value(r)
		if err != nil {
			return key, err
		}
		v, err := n.values[i].value(r)
		if err != nil {
			return v, err
		}
		m.Put(key, v)
	}
	return expr.OfMap(m), nil
}

// bounds returns the ends of a range; false if one isn't a number.
func (n *rangeNode) bounds(r *run) (from, to int64, ok bool, err error) {
	a, err := n.from.value(r)
	if err != nil {
		return 0, 0, false, err
	}
	b, err := n.to.value(r)
	if err != nil || !a.IsNumber() || !b.IsNumber() {
		return 0, 0, false, err
	}
	from, to = int64(a.IntValue()), int64(b.IntValue())
	if size := max(from, to) - min(from, to); size >= int64(r.limits.Range) {
		return 0, 0, false, r.at(n.at, r.rangeLimit())
	}
	return from, to, true, nil
}

func (n *rangeNode) value(r *run) (expr.Value, error) {
	from, to, ok, err := n.bounds(r)
	if err != nil || !ok {
		return expr.Value{}, err
	}
	step := int64(1)
	if from > to {
		step = -1
	}
	size := (to-from)*step + 1
	if err := r.spend(int(size) >> 6); err != nil {
		return expr.Value{}, r.at(n.at, err)
	}
	items := make([]expr.Value, size)
	for i := range items {
		items[i] = expr.Int(int32(from + int64(i)*step))
	}
	return expr.OfList(expr.NewList(items...)), nil
}

func (n *notNode) value(r *run) (expr.Value, error) {
	ok, err := n.truth(r)
	return expr.Bool(ok), err
}

func (n *notNode) truth(r *run) (bool, error) {
	ok, err := n.inner.truth(r)
	return !ok, err
}

func (n *binary) value(r *run) (expr.Value, error) {
	switch n.op {
	case tokPlus, tokMinus, tokTimes, tokDivide, tokModulo:
		return n.calculate(r)
	}
	ok, err := n.truth(r)
	return expr.Bool(ok), err
}

func (n *binary) truth(r *run) (bool, error) {
	switch n.op {
	case tokAnd:
		ok, err := n.left.truth(r)
		if !ok || err != nil {
			return false, err
		}
		return n.right.truth(r)
	case tokOr:
		ok, err := n.left.truth(r)
		if ok || err != nil {
			return ok, err
		}
		return n.right.truth(r)
	case tokEqual, tokNotEqual, tokLess, tokLessEqual, tokGreater, tokGreaterEqual:
		return n.compare(r)
	}
	// Arithmetic is no condition: false. Nothing is calculated.
	return false, nil
}

func (n *binary) compare(r *run) (bool, error) {
	left, err := n.left.value(r)
	if err != nil {
		return false, err
	}
	right, err := n.right.value(r)
	if err != nil {
		return false, err
	}
	if n.op == tokEqual || n.op == tokNotEqual {
		same, err := r.same(left, right)
		return same == (n.op == tokEqual), r.at(n.at, err)
	}
	if !left.IsNumber() || !right.IsNumber() {
		return false, nil
	}
	order := expr.CompareNumbers(left, right)
	switch n.op {
	case tokLess:
		return order < 0, nil
	case tokLessEqual:
		return order <= 0, nil
	case tokGreater:
		return order > 0, nil
	}
	return order >= 0, nil
}

// same is ==: numbers by what they are worth, values of one class by equals, others
// by their text.
func (r *run) same(left, right expr.Value) (bool, error) {
	switch {
	case left.IsNumber() && right.IsNumber():
		return expr.CompareNumbers(left, right) == 0, nil
	case left.IsNull() || right.IsNull():
		return left.IsNull() && right.IsNull(), nil
	case left.Kind() == right.Kind() && (left.Kind() != expr.ObjectKind || sameClass(left, right)):
		return expr.Equal(left, right), nil
	}
	a, err := r.text(left)
	if err != nil {
		return false, err
	}
	b, err := r.text(right)
	return a == b, err
}

package vtl

import (
	"github.com/postern-gateway/postern/proxy/expr"
)

// scope is $foreach: where a loop is, and a map for what templates keep there.
type scope struct {
	parent   *scope
	replaced expr.Value
	index    int
	hasNext  bool
	kept     *expr.Map
}

// items is what a loop goes over.
type items interface {
	// next returns the next item; false at the end.
	next() (expr.Value, bool, error)
	hasNext() bool
}

func (n *foreachNode) render(r *run) error {
	all, err := n.items(r)
	if err != nil {
		return err
	}
	if all == nil {
		if r.env.Coverage != nil {
			r.env.Coverage.decide(n.skipped)
		}
		return nil
	}
	item, err := r.get(n.slot)
	if err != nil {
		return err
	}
	count, err := r.get(n.count)
	if err != nil {
		return err
	}
	hasNext, err := r.get(n.hasNext)
	if err != nil {
		return err
	}
	previous, err := r.get(n.loop)
	if err != nil {
		return err
	}
	s := &scope{index: -1, replaced: previous}
	if outer, ok := previous.Object().(*scope); ok {
		s.parent, s.replaced = outer, outer.replaced
	}
	r.set(n.loop, expr.OfObject(s))
	err = n.rounds(r, all, s)
	if _, failed := r.at(n.at, err).(*fault); failed {
		return r.at(n.at, err)
	}
	r.restore(n.count, count)
	r.restore(n.slot, item)
	r.restore(n.hasNext, hasNext)
	r.restore(n.loop, previous)
	return err
}

// restore puts a variable back to what it was.
func (r *run) restore(slot int32, v expr.Value) {
	if v.IsNull() {
		r.remove(slot)
		return
	}
	r.set(slot, v)
}

// rounds runs the loop.
func (n *foreachNode) rounds(r *run, all items, s *scope) error {
	if r.env.Coverage != nil {
		decision := n.skipped
		if all.hasNext() {
			decision = n.entered
		}
		r.env.Coverage.decide(decision)
	}
	for round := 1; all.hasNext(); round++ {
		if err := r.tick(); err != nil {
			return err
		}
		v, _, err := all.next()
		if err != nil {
			return err
		}
		s.index++
		s.hasNext = all.hasNext()
		r.set(n.count, expr.Int(int32(round)))
		r.set(n.hasNext, expr.Bool(s.hasNext))
		r.set(n.slot, v)
		switch err := n.round(r, v); {
		case err == errBreak:
			return nil
		case err != nil:
			if out, ok := err.(breakOut); ok && out.scope == s {
				return nil
			}
			return err
		}
		if round == r.t.options.MaxLoops {
			return nil
		}
	}
	return nil
}

// round renders the body once.
func (n *foreachNode) round(r *run, v expr.Value) error {
	if n.body == nil {
		return renderArgument(r, n.extra)
	}
	if !v.IsNull() || n.slot < 0 {
		return r.block(n.body)
	}
	saved := r.frame
	r.frame = &frame{parent: saved, hides: n.slot}
	err := r.block(n.body)
	r.frame = saved
	return err
}

// renderArgument renders what stands where a loop's body should: of a list or a map
// the references in it, of other values nothing.
func renderArgument(r *run, e expression) error {
	switch n := e.(type) {
	case *reference:
		return n.render(r)
	case *listNode:
		for _, item := range n.items {
			if err := renderArgument(r, item); err != nil {
				return err
			}
		}
	case *mapNode:
		for i := range n.keys {
			if err := renderArgument(r, n.keys[i]); err != nil {
				return err
			}
			if err := renderArgument(r, n.values[i]); err != nil {
				return err
			}
		}
	case *rangeNode:
		if err := renderArgument(r, n.from); err != nil {
			return err
		}
		return renderArgument(r, n.to)
	}
	return nil
}

// items returns what to loop over, nil if the value has no items.
func (n *foreachNode) items(r *run) (items, error) {
	if n.list == nil {
		return nil, nil
	}
	if span, ok := n.list.(*rangeNode); ok {
		from, to, ok, err := span.bounds(r)
		if err != nil || !ok {
			return nil, err
		}
		return &rangeItems{from, to, false}, nil
	}
	v, err := n.list.value(r)
	if err != nil {
		return nil, err
	}
	switch v.Kind() {
	case expr.ListKind:
		return newListItems(v.List()), nil
	case expr.MapKind:
		return newMapItems(v.Map(), viewValues), nil
	case expr.ObjectKind:
		if o, ok := v.Object().(iterable); ok {
			return o.items(r), nil
		}
	}
	return nil, nil
}

// iterable is an object that loops can go over.
type iterable interface{ items(r *run) items }

// rangeItems are the numbers of a range that is needed only to loop over it.
type rangeItems struct {
	at, to int64
	done   bool
}

func (i *rangeItems) hasNext() bool { return !i.done }

func (i *rangeItems) next() (expr.Value, bool, error) {
	v := expr.Int(int32(i.at))
	switch {
	case i.at == i.to:
		i.done = true
	case i.at < i.to:
		i.at++
	default:
		i.at--
	}
	return v, true, nil
}

// listItems are the items of a list. Java's iterator fails if the list gets longer
// or shorter meanwhile.
type listItems struct {
	l       *expr.List
	at      int
	changes uint32
}

func newListItems(l *expr.List) *listItems { return &listItems{l, 0, l.Changes()} }

func (i *listItems) hasNext() bool { return i.at != i.l.Len() }

func (i *listItems) next() (expr.Value, bool, error) {
	if i.changes != i.l.Changes() {
		return expr.Value{}, false, errConcurrent
	}
	if i.at >= i.l.Len() {
		return expr.Value{}, false, errNoElement
	}
	i.at++
	return i.l.At(i.at - 1), true, nil
}

// mapItems are the keys, the values or the entries of a map.
type mapItems struct {
	m       *expr.Map
	view    view
	at, end int
	changes uint32
}

func newMapItems(m *expr.Map, v view) *mapItems { return &mapItems{m, v, 0, m.Len(), m.Changes()} }

func (i *mapItems) hasNext() bool { return i.at < i.end }

func (i *mapItems) next() (expr.Value, bool, error) {
	if i.changes != i.m.Changes() {
		return expr.Value{}, false, errConcurrent
	}
	if i.at >= i.end {
		return expr.Value{}, false, errNoElement
	}
	i.at++
	return i.view.at(i.m, i.at-1), true, nil
}

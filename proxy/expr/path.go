package expr

import "errors"

// The errors of paths.
var (
	ErrMissing   = errors.New("there is nothing at the path")
	ErrUnfitting = errors.New("the path can't be applied to this value")
)

// maxVisits bounds the values that one evaluation looks at.
const maxVisits = 1 << 20

// stepKind is what a step selects.
type stepKind uint8

const (
	stepName    stepKind = iota // the member called names[0]
	stepNames                   // an object of the members that are there; behind it more: each of them
	stepIndex                   // the item indexes[0], from the end if negative
	stepIndexes                 // the items
	stepSlice                   // the items from indexes[0] up to indexes[1]
	stepAll                     // all members or items
	stepScan                    // at any depth, what the next step selects
	stepFilter                  // the items, or the object itself, that filter holds for
	stepCall                    // the result of a function
)

// step is one part of a path.
type step struct {
	kind     stepKind
	from, to bool // of a slice: whether the end is given
	names    []string
	indexes  []int
	filter   condition
	call     *call
	definite bool // selects at most one value
	upstream bool // all steps in front are definite
}

// Path is a compiled JSONPath in Jayway's dialect. It may be used by many
// goroutines at once.
type Path struct {
	source   string
	steps    []step
	definite bool
	simple   bool // names and indexes only
	scanned  bool // a function applies to all that steps with ".." select
}

// String returns the path as it was written.
func (p *Path) String() string { return p.source }

// Definite reports whether p leads to one value at most. Otherwise its result is
// an array.
func (p *Path) Definite() bool { return p.definite }

// Eval returns what p selects in root: the value at a definite path, else a JSON
// array, new but with the values themselves, of all that is there. The error is
// ErrMissing if a definite path, or the definite beginning of another, leads
// nowhere, ErrUnfitting if a filter or a function meets a value of a wrong type,
// ErrTooLarge if too many values would have to be looked at.
func (p *Path) Eval(root Value) (Value, error) {
	if p.simple {
		for i := range p.steps {
			v, ok := p.steps[i].one(root)
			if !ok {
				return Value{}, ErrMissing
			}
			root = v
		}
		return root, nil
	}
	visits := maxVisits
	return p.eval(root, root, &visits)
}

// one follows a step that selects a name or an index.
func (s *step) one(v Value) (Value, bool) {
	if s.kind == stepName {
		m := v.Map()
		if m == nil {
			return Value{}, false
		}
		return m.Get(s.names[0])
	}
	l := v.List()
	if l == nil {
		return Value{}, false
	}
	return l.item(s.indexes[0])
}

// item returns item i, from the end if i is negative.
func (l *List) item(i int) (Value, bool) {
	if i < 0 {
		i += len(l.items)
	}
	if i < 0 || i >= len(l.items) {
		return Value{}, false
	}
	return l.items[i], true
}

// eval returns what p selects from item, within the document root.
func (p *Path) eval(root, item Value, visits *int) (Value, error) {
	w := walk{root: root, visits: visits}
	if p.scanned {
		last := len(p.steps) - 1
		if err := w.follow(p.steps[:last], item); err != nil {
			return Value{}, err
		}
		return p.steps[last].call.apply(OfList(NewJSONArray(w.found...)), &w)
	}
	if err := w.follow(p.steps, item); err != nil {
		return Value{}, err
	}
	if !p.definite {
		return OfList(NewJSONArray(w.found...)), nil
	}
	if len(w.found) == 0 {
		return Value{}, ErrMissing
	}
	return w.found[len(w.found)-1], nil
}

// walk is one evaluation of a path.
type walk struct {
	root   Value
	found  []Value
	visits *int
}

func (w *walk) visit() error {
	if *w.visits--; *w.visits < 0 {
		return ErrTooLarge
	}
	return nil
}

// follow adds what steps select from v to what is found.
func (w *walk) follow(steps []step, v Value) error {
	if err := w.visit(); err != nil {
		return err
	}
	if len(steps) == 0 {
		w.found = append(w.found, v)
		return nil
	}
	s, rest := &steps[0], steps[1:]
	switch s.kind {
	case stepName, stepNames:
		return w.members(s, rest, v)
	case stepIndex, stepIndexes, stepSlice:
		return w.items(s, rest, v)
	case stepAll:
		return w.all(rest, v)
	case stepScan:
		return w.scan(rest, v, 0)
	case stepFilter:
		return w.filtered(s, rest, v)
	}
	result, err := s.call.apply(v, w)
	if err != nil {
		return err
	}
	return w.follow(rest, result)
}

// absent is the error for a value that isn't there: none if what is in front of
// it may select several.
func (s *step) absent() error {
	if s.upstream {
		return ErrMissing
	}
	return nil
}

func (w *walk) members(s *step, rest []step, v Value) error {
	m := v.Map()
	if m == nil {
		return s.absent()
	}
	if len(s.names) > 1 && len(rest) == 0 {
		merged := NewMap()
		for _, name := range s.names {
			if member, ok := m.Get(name); ok {
				merged.Set(name, member)
			}
		}
		return w.follow(nil, OfMap(merged))
	}
	for _, name := range s.names {
		member, ok := m.Get(name)
		if !ok {
			if len(rest) > 0 && s.upstream && s.definite {
				return ErrMissing
			}
			continue
		}
		if err := w.follow(rest, member); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) items(s *step, rest []step, v Value) error {
	l := v.List()
	if l == nil {
		return s.absent()
	}
	if s.kind != stepSlice {
		for _, i := range s.indexes {
			if err := w.item(l, i, rest); err != nil {
				return err
			}
		}
		return nil
	}
	from, to, n := s.indexes[0], s.indexes[1], l.Len()
	switch {
	case !s.to: // open at the end
		if from < 0 {
			from = max(0, n+from)
		}
		to = n
	case !s.from: // open at the beginning
		if to < 0 {
			to += n
		}
		to = min(to, n)
	default:
		from, to = max(from, -n), min(to, n)
	}
	for i := from; i < to; i++ {
		if err := w.item(l, i, rest); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) item(l *List, i int, rest []step) error {
	if v, ok := l.item(i); ok {
		return w.follow(rest, v)
	}
	return nil
}

func (w *walk) all(rest []step, v Value) error {
	if m := v.Map(); m != nil {
		for i := range m.entries {
			if err := w.follow(rest, m.entries[i].value); err != nil && !errors.Is(err, ErrMissing) {
				return err
			}
		}
	}
	if l := v.List(); l != nil {
		for _, item := range l.items {
			if err := w.follow(rest, item); err != nil && !errors.Is(err, ErrMissing) {
				return err
			}
		}
	}
	return nil
}

// filtered applies a filter to each item of an array, or to an object itself.
func (w *walk) filtered(s *step, rest []step, v Value) error {
	if v.Map() != nil {
		if s.filter.holds(v, w) {
			return w.follow(rest, v)
		}
		return nil
	}
	l := v.List()
	if l == nil {
		if s.upstream {
			return ErrUnfitting
		}
		return nil
	}
	for _, item := range l.items {
		if err := w.visit(); err != nil {
			return err
		}
		if s.filter.holds(item, w) {
			if err := w.follow(rest, item); err != nil {
				return err
			}
		}
	}
	return nil
}

// scan applies steps to v and to all that is in it.
func (w *walk) scan(steps []step, v Value, depth int) error {
	if err := w.visit(); err != nil {
		return err
	}
	if depth > MaxDepth {
		return ErrTooDeep
	}
	s := &steps[0]
	if m := v.Map(); m != nil {
		if s.matches(v, w, len(steps) == 1) {
			if err := w.follow(steps, v); err != nil {
				return err
			}
		}
		for i := range m.entries {
			if err := w.scan(steps, m.entries[i].value, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	l := v.List()
	if l == nil {
		return nil
	}
	if s.matches(v, w, len(steps) == 1) {
		if err := w.scanned(steps, v, l); err != nil {
			return err
		}
	}
	for _, item := range l.items {
		if err := w.scan(steps, item, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// scanned applies the step behind ".." to an array. With more steps behind it,
// Jayway takes all the items, whichever the step selects.
func (w *walk) scanned(steps []step, v Value, l *List) error {
	if len(steps) == 1 {
		return w.follow(steps, v)
	}
	for _, item := range l.items {
		if err := w.follow(steps[1:], item); err != nil {
			return err
		}
	}
	return nil
}

// matches reports whether a scan applies s to v.
func (s *step) matches(v Value, w *walk, last bool) bool {
	switch s.kind {
	case stepName, stepNames:
		m := v.Map()
		if m == nil {
			return false
		}
		if len(s.names) > 1 && !last {
			return true
		}
		for _, name := range s.names {
			if _, ok := m.Get(name); !ok {
				return false
			}
		}
		return true
	case stepIndex, stepIndexes, stepSlice:
		return v.List() != nil
	case stepAll:
		return true
	case stepFilter:
		return s.filter.holds(v, w)
	}
	return false
}

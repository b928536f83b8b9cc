package vtl

import (
	"errors"

	"github.com/postern-gateway/postern/proxy/expr"
)

// The failures of Java's methods.
var (
	errConcurrent  = errors.New("the list or map was changed while a loop or an iterator goes over it")
	errNoElement   = errors.New("there is no next item")
	errUnsupported = errors.New("an array can't get longer or shorter")
)

// plain is an object that equals only itself and has no JSON form but its text's.
type plain struct{}

func (plain) AppendText(*expr.Printer)                 {}
func (plain) AppendJSON(p *expr.Printer)               { p.Write(`""`) }
func (plain) Same(expr.Value) bool                     { return false }
func (plain) Hash() int32                              { return 0 }
func (plain) property(*run, *step) (expr.Value, error) { return expr.Value{}, nil }
func (plain) call(*call) (expr.Value, bool, error)     { return expr.Value{}, false, nil }

// sameClass reports whether two objects are of one of Java's classes.
func sameClass(a, b expr.Value) bool {
	switch x := a.Object().(type) {
	case *viewObject:
		y, ok := b.Object().(*viewObject)
		return ok && x.view == y.view
	case *entryObject:
		_, ok := b.Object().(*entryObject)
		return ok
	}
	return a.Object() == b.Object()
}

// blockObject is what #define makes: rendered at each use.
type blockObject struct {
	plain
	r     *run
	body  *block
	frame *frame // of a macro's body: where the macro was called
	own   bool   // frame counts
	depth int
}

// maxBlocks is how deeply a block may use itself: Velocity 1.7's default.
const maxBlocks = 2

// render renders the block; false if it is already being rendered twice.
func (b *blockObject) render() (bool, error) {
	if b.depth == maxBlocks {
		return false, nil
	}
	b.depth++
	saved := b.r.frame
	if b.own {
		b.r.frame = b.frame
	}
	err := b.r.block(b.body)
	b.r.frame = saved
	b.depth--
	if err == errBreak {
		err = nil
	}
	return true, err
}

// captured renders the block into a string.
func (b *blockObject) captured() (string, bool, error) {
	start := len(b.r.dst)
	rendered, err := b.render()
	s := string(b.r.dst[start:])
	b.r.dst = b.r.dst[:start]
	return s, rendered, err
}

func (b *blockObject) AppendText(p *expr.Printer) {
	// What is printed may be the output itself, which p holds meanwhile.
	saved := b.r.dst
	b.r.dst = append([]byte(nil), saved[:b.r.start]...)
	s, rendered, err := b.captured()
	b.r.dst = saved
	if !rendered {
		s = "null" // as Java prints a toString that returns null
	}
	if err != nil && p.Err == nil {
		p.Err = err
	}
	p.Write(s)
}

func (b *blockObject) call(c *call) (expr.Value, bool, error) {
	if c.method != mToString || len(c.args) > 0 {
		return expr.Value{}, false, nil
	}
	s, rendered, err := b.captured()
	if err != nil || !rendered {
		return expr.Value{}, true, err
	}
	return expr.String(s), true, nil
}

// view is a part of a map.
type view uint8

const (
	viewKeys view = iota
	viewValues
	viewEntries
)

func (v view) at(m *expr.Map, i int) expr.Value {
	switch v {
	case viewKeys:
		return m.Key(i)
	case viewValues:
		return m.At(i)
	}
	return expr.OfObject(&entryObject{m: m, key: m.Key(i), last: m.At(i)})
}

// viewObject is a map's keys, values or entries, as the map changes.
type viewObject struct {
	plain
	m    *expr.Map
	view view
}

func (v *viewObject) all() []expr.Value {
	items := make([]expr.Value, v.m.Len())
	for i := range items {
		items[i] = v.view.at(v.m, i)
	}
	return items
}

func (v *viewObject) AppendText(p *expr.Printer) { p.Collection(v.all(), expr.Value{}) }
func (v *viewObject) AppendJSON(p *expr.Printer) { p.Array(v.all()) }
func (v *viewObject) items(*run) items           { return newMapItems(v.m, v.view) }

func (v *viewObject) Same(other expr.Value) bool {
	o, ok := other.Object().(*viewObject)
	if !ok || o.view != v.view || v.view == viewValues || o.m.Len() != v.m.Len() {
		return ok && o == v
	}
	for _, item := range v.all() {
		if !o.contains(item) {
			return false
		}
	}
	return true
}

func (v *viewObject) Hash() int32 {
	h := int32(0)
	for _, item := range v.all() {
		h += expr.Hash(item)
	}
	return h
}

func (v *viewObject) index(item expr.Value) int {
	if v.view == viewKeys {
		return v.m.Find(item)
	}
	for i := range v.m.Len() {
		if expr.Equal(item, v.view.at(v.m, i)) {
			return i
		}
	}
	return -1
}

func (v *viewObject) contains(item expr.Value) bool { return v.index(item) >= 0 }

func (v *viewObject) property(_ *run, s *step) (expr.Value, error) {
	if s.method == mIsEmpty {
		return expr.Bool(v.m.Len() == 0), nil
	}
	return expr.Value{}, nil
}

func (v *viewObject) call(c *call) (expr.Value, bool, error) {
	switch c.method {
	case mSize:
		return c.plain(expr.Int(int32(v.m.Len())))
	case mIsEmpty:
		return c.plain(expr.Bool(v.m.Len() == 0))
	case mToString, mHashCode:
		return c.common()
	case mIterator:
		return c.plain(expr.OfObject(&iteratorObject{of: v.items(c.r)}))
	case mClear:
		if len(c.args) == 0 {
			v.m.Clear()
		}
		return c.plain(expr.String(""))
	case mContains:
		if c.fits("o") {
			return c.result(expr.Bool(v.contains(c.args[0])))
		}
	case mRemove:
		if c.fits("o") {
			i := v.index(c.args[0])
			if i >= 0 {
				v.m.Remove(v.m.Key(i))
			}
			return c.result(expr.Bool(i >= 0))
		}
	case mContainsAll:
		if others, ok := c.collection(0); ok && len(c.args) == 1 {
			for _, item := range others {
				if !v.contains(item) {
					return c.result(expr.Bool(false))
				}
			}
			return c.result(expr.Bool(true))
		}
	case mEquals:
		return c.common()
	case mToArray:
		if len(c.args) == 0 {
			return c.result(expr.OfList(expr.NewArray(v.all()...)))
		}
		if len(c.args) == 1 && c.args[0].IsNull() {
			return expr.Value{}, true, errNull
		}
	}
	return v.changing(c)
}

// changing are the methods that change the map. Nothing can be added.
func (v *viewObject) changing(c *call) (expr.Value, bool, error) {
	others, isCollection := c.collection(0)
	switch c.method {
	case mAdd:
		if c.fits("o") {
			return expr.Value{}, true, errUnsupported
		}
	case mAddAll:
		if isCollection && len(c.args) == 1 && len(others) > 0 {
			return expr.Value{}, true, errUnsupported
		}
		if isCollection && len(c.args) == 1 {
			return c.result(expr.Bool(false))
		}
	case mRemoveAll, mRetainAll:
		if len(c.args) == 1 && c.args[0].IsNull() {
			return expr.Value{}, true, errNull
		}
		if !isCollection || len(c.args) != 1 {
			break
		}
		other, changed := expr.NewList(others...), false
		for i := v.m.Len() - 1; i >= 0; i-- {
			if err := c.r.spend(1 + len(others)>>4); err != nil {
				return expr.Value{}, true, err
			}
			if (other.Index(v.view.at(v.m, i)) >= 0) == (c.method == mRemoveAll) {
				v.m.Remove(v.m.Key(i))
				changed = true
			}
		}
		return c.result(expr.Bool(changed))
	}
	return expr.Value{}, false, nil
}

// entryObject is a member of a map.
type entryObject struct {
	plain
	m    *expr.Map
	key  expr.Value
	last expr.Value // what it was, should it be gone
}

func (e *entryObject) value() expr.Value {
	if v, ok := e.m.Lookup(e.key); ok {
		return v
	}
	return e.last
}

func (e *entryObject) set(v expr.Value) expr.Value {
	old := e.value()
	if i := e.m.Find(e.key); i >= 0 {
		e.m.SetAt(i, v)
	}
	e.last = v
	return old
}

func (e *entryObject) AppendText(p *expr.Printer) {
	p.Text(e.key)
	p.Write("=")
	p.Text(e.value())
}

func (e *entryObject) Same(other expr.Value) bool {
	o, ok := other.Object().(*entryObject)
	return ok && expr.Equal(e.key, o.key) && expr.Equal(e.value(), o.value())
}

func (e *entryObject) Hash() int32 { return expr.Hash(e.key) ^ expr.Hash(e.value()) }

func (e *entryObject) property(_ *run, s *step) (expr.Value, error) {
	switch s.method {
	case mGetKey:
		return e.key, nil
	case mGetValue:
		return e.value(), nil
	}
	return expr.Value{}, nil
}

func (e *entryObject) call(c *call) (expr.Value, bool, error) {
	switch c.method {
	case mGetKey:
		return c.plain(e.key)
	case mGetValue:
		return c.plain(e.value())
	case mSetValue:
		if c.fits("o") {
			return c.result(e.set(c.args[0]))
		}
	case mToString, mHashCode, mEquals:
		return c.common()
	}
	return expr.Value{}, false, nil
}

// iteratorObject goes over items one by one.
type iteratorObject struct {
	plain
	of items
}

func (i *iteratorObject) items(*run) items { return i.of }

func (i *iteratorObject) call(c *call) (expr.Value, bool, error) {
	switch c.method {
	case mHasNext:
		return c.plain(expr.Bool(i.of.hasNext()))
	case mNext:
		if len(c.args) > 0 {
			return c.plain(expr.Value{})
		}
		v, _, err := i.of.next()
		return v, true, err
	case mRemove:
		return expr.Value{}, true, errUnsupported
	case mHashCode, mToString, mEquals:
		return c.common()
	}
	return expr.Value{}, false, nil
}

func (s *scope) AppendText(p *expr.Printer) { p.Text(expr.OfMap(s.memory())) }
func (s *scope) AppendJSON(p *expr.Printer) { p.JSON(expr.OfMap(s.memory())) }
func (s *scope) Hash() int32                { return expr.Hash(expr.OfMap(s.memory())) }

func (s *scope) Same(other expr.Value) bool {
	if o, ok := other.Object().(*scope); ok {
		other = expr.OfMap(o.memory())
	}
	return expr.Equal(expr.OfMap(s.memory()), other)
}

// memory is the map that a loop is, too.
func (s *scope) memory() *expr.Map {
	if s.kept == nil {
		s.kept = expr.NewMap()
	}
	return s.kept
}

func (s *scope) items(*run) items { return newMapItems(s.memory(), viewValues) }

// member returns what a template keeps under key, here or in a loop around.
func (s *scope) member(key expr.Value) expr.Value {
	for ; s != nil; s = s.parent {
		if v, ok := s.memory().Lookup(key); ok {
			return v
		}
	}
	return expr.Value{}
}

// state returns what a getter of a loop's does; false for other methods.
func (s *scope) state(m method) (expr.Value, bool) {
	switch m {
	case mGetIndex:
		return expr.Int(int32(s.index)), true
	case mGetCount:
		return expr.Int(int32(s.index + 1)), true
	case mGetHasNext, mHasNext:
		return expr.Bool(s.hasNext), true
	case mIsFirst, mGetFirst:
		return expr.Bool(s.index == 0), true
	case mIsLast, mGetLast:
		return expr.Bool(!s.hasNext), true
	case mGetParent:
		if s.parent == nil {
			return expr.Value{}, true
		}
		return expr.OfObject(s.parent), true
	case mGetTopmost:
		for s.parent != nil {
			s = s.parent
		}
		return expr.OfObject(s), true
	case mGetDepth:
		depth := int32(1)
		for ; s.parent != nil; s = s.parent {
			depth++
		}
		return expr.Int(depth), true
	case mGetReplaced:
		return s.replaced, true
	}
	return expr.Value{}, false
}

func (s *scope) property(_ *run, st *step) (expr.Value, error) {
	// isFirst and isLast are no getters to Velocity where a map is at hand, but
	// $foreach has getFirst and getLast as well.
	if v, ok := s.state(st.method); ok {
		return v, nil
	}
	return s.member(expr.String(st.name)), nil
}

func (s *scope) call(c *call) (expr.Value, bool, error) {
	if c.method == mGet && c.fits("o") {
		return c.result(s.member(c.args[0]))
	}
	if v, ok := s.state(c.method); ok {
		return c.plain(v)
	}
	if c.method == mStop {
		return expr.Value{}, true, errors.New("$foreach.stop(): write #break")
	}
	c.v = expr.OfMap(s.memory())
	return c.mapMethod(s.memory())
}

// branchObject is a part of $context: its members come from a tree until something
// is assigned or all are asked for.
type branchObject struct {
	plain
	tree   Tree
	filled *expr.Map
	over   *Overrides // of $context itself
}

// context returns $context.
func (r *run) context() *branchObject {
	over := r.env.Overrides
	if over == nil {
		over = &Overrides{}
	}
	return &branchObject{tree: r.env.Context, over: over}
}

// container returns m, which prints nothing, as a value.
func container(m *expr.Map) expr.Value { return expr.OfObject(&branchObject{filled: m}) }

func (b *branchObject) member(name string) expr.Value {
	if b.filled != nil {
		v, _ := b.filled.Get(name)
		return contained(v)
	}
	if b.over != nil {
		switch name {
		case "requestOverride":
			return container(b.over.requestMap())
		case "responseOverride":
			return container(b.over.responseMap())
		}
	}
	if b.tree == nil {
		return expr.Value{}
	}
	return b.tree.Member(name)
}

// contained makes a map of $context print nothing.
func contained(v expr.Value) expr.Value {
	if m := v.Map(); m != nil {
		return container(m)
	}
	return v
}

// fill makes a map of all members.
func (b *branchObject) fill() *expr.Map {
	if b.filled != nil {
		return b.filled
	}
	m := expr.NewMap()
	if b.tree != nil {
		for _, name := range b.tree.Names() {
			m.Set(name, b.tree.Member(name))
		}
	}
	if b.over != nil {
		m.Set("requestOverride", expr.OfMap(b.over.requestMap()))
		m.Set("responseOverride", expr.OfMap(b.over.responseMap()))
	}
	b.filled = m
	return m
}

func (b *branchObject) items(*run) items { return newMapItems(b.fill(), viewValues) }

func (b *branchObject) AppendJSON(p *expr.Printer) { p.JSON(expr.OfMap(b.fill())) }
func (b *branchObject) Hash() int32                { return expr.Hash(expr.OfMap(b.fill())) }

func (b *branchObject) Same(other expr.Value) bool {
	o, ok := other.Object().(*branchObject)
	return ok && expr.Equal(expr.OfMap(b.fill()), expr.OfMap(o.fill()))
}

func (b *branchObject) property(_ *run, s *step) (expr.Value, error) { return b.member(s.name), nil }

func (b *branchObject) call(c *call) (expr.Value, bool, error) {
	if c.method == mGet && c.fits("o") {
		if s := c.args[0]; s.Kind() == expr.StringKind {
			return c.result(b.member(s.Str()))
		}
	}
	if c.method == mToString {
		return c.plain(expr.String(""))
	}
	c.v = expr.OfMap(b.fill())
	v, found, err := c.mapMethod(b.fill())
	return contained(v), found, err
}

package vtl

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/postern-gateway/postern/proxy/expr"
	"github.com/postern-gateway/postern/proxy/pattern"
)

// run is one rendering.
type run struct {
	t      *Template
	origin origin // of the string that is rendered
	env    *Environment
	dst    []byte
	start  int // of the output in dst
	limits *Limits
	names  []string
	vars   []expr.Value
	frame  *frame
	steps  int
	regex  int
	depth  int
	macros int // depth of calls

	nullIsEmpty bool
	deadline    time.Time
	why         string        // the reason for the last null, for Explain
	stack       []expr.Value  // arguments of the calls under way
	first       [8]expr.Value // the stack's memory to begin with
	spare       *call         // to be used again
	printer     *expr.Printer // the same
	input       input
	tools       tools
	patterns    map[string]*pattern.Pattern // of expressions that are no literals
	paths       map[string]*expr.Path
}

// The errors that end more than what fails.
var (
	errBreak = errors.New("#break")
	errStop  = errors.New("#stop")
)

// breakOut is a #break of a certain loop.
type breakOut struct{ scope *scope }

func (breakOut) Error() string { return "#break" }

// isStop reports whether err ends the template normally.
func isStop(err error) bool {
	if err == errStop || err == errBreak {
		return true
	}
	_, out := err.(breakOut)
	return out
}

// fault is a failure at a place of the template.
type fault struct {
	at   int
	kind Kind
	text string
	hint string
}

func (f *fault) Error() string { return f.text }

func (r *run) fail(at int32, format string, args ...any) error {
	return &fault{at: r.origin.place(int(at)), kind: Evaluation, text: fmt.Sprintf(format, args...)}
}

func (r *run) limit(text, hint string) error {
	return &fault{at: -1, kind: Limit, text: text, hint: hint}
}

// at gives err a place if it has none.
func (r *run) at(at int32, err error) error {
	if err == nil || isStop(err) {
		return err
	}
	f, ok := err.(*fault)
	if !ok {
		f = &fault{at: -1, kind: Evaluation, text: err.Error()}
		switch {
		case errors.Is(err, expr.ErrTooLarge):
			f = r.tooLarge()
		case errors.Is(err, expr.ErrTooDeep), errors.Is(err, pattern.ErrSteps):
			f.kind = Limit
		}
	}
	if f.at < 0 {
		f.at = r.origin.place(int(at))
	}
	return f
}

func (r *run) tooLarge() *fault {
	return &fault{at: -1, kind: Limit, text: fmt.Sprintf("more than %d bytes", r.limits.Output)}
}

// failure makes the error that Render returns.
func (r *run) failure(err error) *Error {
	f, ok := r.at(0, err).(*fault)
	if !ok {
		f = &fault{text: err.Error()}
	}
	line, column := r.t.place(f.at)
	return &Error{r.t.name, line, column, f.kind, f.text, f.hint}
}

// begin sets the variables that are there from the start.
func (r *run) begin() {
	if r.env == nil {
		r.env = &Environment{}
	}
	t := r.t
	r.origin = t.origin
	r.nullIsEmpty = t.options.NullIsEmpty
	r.stack = r.first[:0]
	r.vars = make([]expr.Value, len(r.names))
	r.deadline = r.env.Deadline
	if end := time.Now().Add(r.limits.Time); r.deadline.IsZero() || end.Before(r.deadline) {
		r.deadline = end
	}
	for i, slot := range t.slots {
		if slot >= 0 {
			r.vars[slot] = r.root(i)
		}
	}
	if v := r.env.Variables; v != nil {
		for slot, name := range r.names {
			if value, ok := v.Get(name); ok {
				r.vars[slot] = value
			}
		}
	}
}

// root returns the value of one of rootNames.
func (r *run) root(i int) expr.Value {
	switch i {
	case rootInput:
		r.input.r = r
		return expr.OfObject(&r.input)
	case rootUtil:
		return expr.OfObject(&r.tools)
	case rootContext:
		return expr.OfObject(r.context())
	}
	return expr.OfMap(pairs(r.env.Stage))
}

// lend gives the variables from slot first on, which #evaluate was the first to
// name, the values that they have from the start.
func (r *run) lend(first int) {
	for slot := first; slot < len(r.names); slot++ {
		name := r.names[slot]
		if i := slices.Index(rootNames[:], name); i >= 0 {
			r.vars[slot] = r.root(i)
		}
		if v := r.env.Variables; v != nil {
			if value, ok := v.Get(name); ok {
				r.vars[slot] = value
			}
		}
	}
}

func pairs(all []Pair) *expr.Map {
	m := expr.NewMap()
	for _, p := range all {
		m.Set(p.Name, expr.String(p.Value))
	}
	return m
}

// tick counts a step.
func (r *run) tick() error {
	r.steps--
	if r.steps&1023 != 0 {
		return nil
	}
	return r.check()
}

// spend counts n steps.
func (r *run) spend(n int) error {
	before := r.steps
	r.steps -= n
	if before>>10 == r.steps>>10 && r.steps > 0 {
		return nil
	}
	return r.check()
}

// check ends the rendering if it has taken too long.
func (r *run) check() error {
	if r.steps <= 0 {
		return r.limit(fmt.Sprintf("more than %d steps", r.limits.Steps), "loops within loops multiply")
	}
	if time.Now().After(r.deadline) {
		return r.limit("rendering took too long", "")
	}
	return nil
}

// write appends to the output.
func (r *run) write(s string) error {
	if len(r.dst)-r.start+len(s) > r.limits.Output {
		return r.tooLarge()
	}
	r.dst = append(r.dst, s...)
	return nil
}

func (r *run) rangeLimit() error {
	return r.limit(fmt.Sprintf("more than %d items in a range or a list", r.limits.Range), "")
}

// enter counts nesting; leave ends it.
func (r *run) enter() error {
	if r.depth++; r.depth > r.limits.Depth {
		return r.limit(fmt.Sprintf("nested more than %d deep", r.limits.Depth), "")
	}
	return nil
}

func (r *run) leave() { r.depth-- }

// block renders statements.
func (r *run) block(b *block) error {
	if err := r.enter(); err != nil {
		return err
	}
	for i, s := range b.statements {
		if err := r.tick(); err != nil {
			return err
		}
		if r.env.Coverage != nil && b.spots[i] >= 0 {
			r.env.Coverage.hit(b.spots[i])
		}
		if err := s.render(r); err != nil {
			r.leave()
			return err
		}
	}
	r.leave()
	return nil
}

// captured renders b into a string.
func (r *run) captured(b *block) (string, error) {
	start := len(r.dst)
	err := r.block(b)
	s := string(r.dst[start:])
	r.dst = r.dst[:start]
	return s, err
}

// text returns Java's toString of v.
func (r *run) text(v expr.Value) (string, error) {
	if v.Kind() == expr.StringKind {
		return v.Str(), nil
	}
	return v.Text(r.limits.Output)
}

// print appends v as a reference prints it.
func (r *run) print(v expr.Value) error {
	if v.Kind() == expr.StringKind {
		return r.write(v.Str())
	}
	p := r.printer
	if r.printer = nil; p == nil {
		p = new(expr.Printer)
	}
	*p = expr.Printer{Dst: r.dst, Max: r.start + r.limits.Output}
	p.Text(v)
	r.printer = p
	if p.Err != nil {
		return p.Err
	}
	if err := r.spend((len(p.Dst) - len(r.dst)) >> 4); err != nil {
		return err
	}
	r.dst = p.Dst
	return nil
}

// frame is a scope on top of the variables: a macro's, or that of a loop whose item
// is null.
type frame struct {
	parent    *frame
	arguments map[int32]*macroArgument
	constants map[int32]expr.Value
	local     map[int32]expr.Value
	hides     int32 // the loop variable that is null; -1: none
}

// get returns a variable, null if it isn't set.
func (r *run) get(slot int32) (expr.Value, error) {
	if slot < 0 || int(slot) >= len(r.vars) {
		return expr.Value{}, nil
	}
	if r.frame == nil {
		return r.vars[slot], nil
	}
	return r.getIn(r.frame, slot)
}

func (r *run) getIn(f *frame, slot int32) (expr.Value, error) {
	for ; f != nil; f = f.parent {
		if f.hides == slot {
			return expr.Value{}, nil
		}
		if v, ok := f.local[slot]; ok && !v.IsNull() {
			return v, nil
		}
		if v, ok := f.constants[slot]; ok {
			return v, nil
		}
		if a, ok := f.arguments[slot]; ok {
			return r.argument(f.parent, a)
		}
	}
	return r.vars[slot], nil
}

// argument evaluates what a macro was called with, in its caller's scope.
func (r *run) argument(f *frame, a *macroArgument) (expr.Value, error) {
	if err := r.enter(); err != nil {
		return expr.Value{}, err
	}
	saved := r.frame
	r.frame = f
	v, err := a.raw(r)
	r.frame = saved
	r.leave()
	return v, err
}

// raw is the value without what the profile makes of null.
func (a *macroArgument) raw(r *run) (expr.Value, error) {
	if ref, ok := a.value.(*reference); ok {
		return ref.lookup(r)
	}
	return a.value.value(r)
}

// set assigns a variable: in all scopes, as Velocity does.
func (r *run) set(slot int32, v expr.Value) {
	if slot < 0 {
		return
	}
	for f := r.frame; f != nil; f = f.parent {
		if f.local != nil {
			f.local[slot] = v
		}
	}
	r.vars[slot] = v
}

// remove takes a variable away.
func (r *run) remove(slot int32) {
	if slot < 0 {
		return
	}
	for f := r.frame; f != nil; f = f.parent {
		delete(f.local, slot)
		if f.hides == slot {
			f.hides = -1
		}
	}
	r.vars[slot] = expr.Value{}
}

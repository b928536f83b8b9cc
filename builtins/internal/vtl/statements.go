package vtl

import (
	"github.com/postern-gateway/postern/proxy/expr"
)

func (n *ifNode) render(r *run) error {
	for i := range n.branches {
		b := &n.branches[i]
		taken := true
		if b.condition != nil {
			var err error
			if taken, err = b.condition.truth(r); err != nil {
				return err
			}
		}
		if taken {
			if r.env.Coverage != nil {
				r.env.Coverage.decide(b.decision)
			}
			return r.block(b.body)
		}
	}
	if r.env.Coverage != nil {
		r.env.Coverage.decide(n.without)
	}
	return nil
}

func (n *setNode) render(r *run) error {
	v, err := n.right.value(r)
	if err != nil || v.IsNull() {
		return err // what is null isn't assigned
	}
	if len(n.left.steps) == 0 {
		r.set(n.slot, v)
		return nil
	}
	return r.at(n.at, n.left.assign(r, v))
}

// assign sets what the last step of a reference leads to. Where the way ends
// before, or there is nothing to set, nothing happens.
func (ref *reference) assign(r *run, v expr.Value) error {
	target, err := r.get(ref.slot)
	if err != nil {
		return err
	}
	last := len(ref.steps) - 1
	for i := 0; i < last && !target.IsNull(); i++ {
		if target, err = r.step(target, &ref.steps[i]); err != nil {
			return err
		}
	}
	if target.IsNull() {
		return nil
	}
	s := &ref.steps[last]
	if s.kind == stepIndex {
		index, err := s.arguments[0].value(r)
		if err != nil {
			return err
		}
		if index, err = r.fromEnd(target, index, s.at); err != nil {
			return err
		}
		_, found, err := r.invoke(target, mSet, s.at, []expr.Value{index, v})
		if err == nil && !found {
			_, _, err = r.invoke(target, mPut, s.at, []expr.Value{index, v})
		}
		return err
	}
	if e, ok := target.Object().(*entryObject); ok && s.method == mGetValue {
		e.set(v)
		return nil
	}
	_, _, err = r.invoke(target, mPut, s.at, []expr.Value{expr.String(s.name), v})
	return err
}

func (n *defineNode) render(r *run) error {
	r.set(n.slot, expr.OfObject(&blockObject{r: r, body: n.body}))
	return nil
}

func (n *breakNode) render(r *run) error {
	if n.argument == nil {
		return errBreak
	}
	v, err := n.argument.value(r)
	if err != nil {
		return err
	}
	if s, ok := v.Object().(*scope); ok {
		return breakOut{s}
	}
	return r.fail(n.at, "#break(%s): that is no loop, as $foreach and $foreach.parent are", n.source)
}

func (stopNode) render(*run) error { return errStop }

func (n *failNode) render(r *run) error { return r.fail(n.at, "%s", n.text) }

func (n *includeNode) render(r *run) error {
	v, err := n.argument.value(r)
	if err != nil {
		return err
	}
	if v.IsNull() {
		return r.write("<!-- include error : error with arg 0 please see log. see error log -->")
	}
	return r.fail(n.at, "#include: there are no files")
}

func (n *evaluateNode) render(r *run) error {
	v, err := n.argument.value(r)
	if err != nil || v.IsNull() {
		return err
	}
	source, err := r.text(v)
	if err != nil {
		return r.at(n.at, err)
	}
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	if err := r.spend(len(source)); err != nil {
		return r.at(n.at, err)
	}
	inner := *r.t
	inner.origin = origin{at: r.origin.place(int(n.at))}
	more := &names{slots: map[string]int32{}, all: append([]string(nil), r.names...)}
	for i, name := range more.all {
		more.slots[name] = int32(i)
	}
	inner.names = more
	p := &parser{t: &inner, lex: lexer{source: source}, escapable: map[string]bool{}, inner: true}
	p.t.macros = copyMacros(r.t.macros)
	b, err := p.template()
	if err != nil {
		return r.fail(n.at, "#evaluate: %s", err.(*Error).Text)
	}
	saved, outer := r.t, r.origin
	r.t, r.origin = &inner, inner.origin
	r.names = more.all
	known := len(r.vars)
	r.vars = append(r.vars, make([]expr.Value, len(more.all)-known)...)
	r.lend(known)
	err = r.at(0, r.block(b))
	r.t, r.origin = saved, outer
	if isStop(err) && err != errBreak {
		if _, out := err.(breakOut); !out {
			err = nil
		}
	}
	if err == errBreak {
		err = nil
	}
	return err
}

func copyMacros(all map[string]*macro) map[string]*macro {
	c := make(map[string]*macro, len(all))
	for name, m := range all {
		c[name] = m
	}
	return c
}

// maxCalls is how deeply macros may call one another. Velocity 1.7:
// velocimacro.max.depth.
const maxCalls = 20

func (n *callNode) render(r *run) error {
	m := r.t.macros[n.name]
	if m == nil {
		return r.write(n.source)
	}
	if n.bareWord != "" {
		return r.fail(n.at, "the bare word %s as an argument of the macro %s", n.bareWord, n.name)
	}
	if r.macros == maxCalls {
		return r.fail(n.at, "macros call one another more than %d deep", maxCalls)
	}
	f := &frame{parent: r.frame, arguments: map[int32]*macroArgument{}, constants: map[int32]expr.Value{}, local: map[int32]expr.Value{}, hides: -1}
	for i := range n.arguments {
		if i == len(m.params) {
			break
		}
		a := &n.arguments[i]
		if !a.constant {
			f.arguments[m.params[i]] = a
			continue
		}
		v, err := a.value.value(r)
		if err != nil {
			return err
		}
		f.constants[m.params[i]] = v
	}
	if n.body != nil {
		f.constants[n.bodySlot] = expr.OfObject(&blockObject{r: r, body: n.body, frame: r.frame, own: true})
	}
	saved := r.frame
	r.frame = f
	r.macros++
	err := r.block(m.body)
	r.macros--
	r.frame = saved
	if err == errBreak {
		return nil
	}
	return err
}

// nullSource returns what is printed for a reference that is null: the source of
// what a macro was called with, if the reference is to its parameter.
func (r *run) nullSource(ref *reference) string {
	if len(ref.steps) == 0 && len(ref.source) == len(ref.root)+1 {
		for f := r.frame; f != nil; f = f.parent {
			if a, ok := f.arguments[ref.slot]; ok {
				return a.literal
			}
		}
	}
	return ref.source
}

func (ref *reference) render(r *run) error {
	v, err := ref.value(r)
	if err != nil {
		return err
	}
	if ref.escaped {
		source := r.nullSource(ref)
		if v.IsNull() {
			source = `\` + source
		}
		return r.write(ref.slashes + source)
	}
	if b, ok := v.Object().(*blockObject); ok {
		rendered, err := b.render()
		if err != nil || rendered {
			return err
		}
		v = expr.Value{}
	}
	if v.IsNull() {
		return r.write(ref.slashes + ref.slashes + ref.prefix + r.nullSource(ref))
	}
	if ref.slashes != "" || ref.prefix != "" {
		if err := r.write(ref.slashes + ref.prefix); err != nil {
			return err
		}
	}
	return r.at(ref.at, r.print(v))
}

package vtl

import (
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy/expr"
)

// Reference says what one reference resolved to, for Environment.Explain.
type Reference struct {
	Line, Column int
	Source       string     // as it stands
	Value        expr.Value // null if it led to nothing
	Why          string     // it led to nothing; "" if it didn't
}

// explain tells of a reference that was evaluated.
func (r *run) explain(ref *reference, v expr.Value) {
	line, column := r.t.place(r.origin.place(int(ref.at)))
	why := ""
	if v.IsNull() {
		why = r.why
	}
	r.env.Explain(Reference{line, column, ref.literal, v, why})
}

// explainNull notes why a step led to nothing.
func (r *run) explainNull(from expr.Value, s *step) {
	switch s.kind {
	case stepProperty:
		r.why = describe(from) + " has no " + s.name
		if m := from.Map(); m != nil {
			r.why += ": it has " + members(m)
			if _, there := m.Get(s.name); there {
				r.why = s.name + " is null"
			}
		}
	case stepIndex:
		r.why = describe(from) + " has nothing at this index"
	case stepMethod:
		switch {
		case s.method == noMethod:
			r.why = "there is no method " + s.name + "()"
		case s.method == mPath && from.Object() != nil:
			r.why = "the body has nothing, or null, at this path"
			if _, err := r.env.Body.Document(); err != nil {
				r.why = "the body isn't JSON: " + err.Error()
			}
		default:
			r.why = s.name + "() of " + describe(from) + " returned null, or doesn't exist for such arguments"
		}
	}
}

// membersShown is how many members of a map are told.
const membersShown = 12

// members lists the names in m.
func members(m *expr.Map) string {
	var b strings.Builder
	for i := range min(m.Len(), membersShown) {
		if i > 0 {
			b.WriteString(", ")
		}
		if name, err := m.Key(i).Text(100); err == nil {
			b.WriteString(name)
		}
	}
	switch {
	case m.Len() == 0:
		return "nothing"
	case m.Len() > membersShown:
		b.WriteString(", …")
	}
	return b.String()
}

// describe names the type of a value.
func describe(v expr.Value) string {
	switch v.Kind() {
	case expr.StringKind:
		if v.Str() == "" {
			return "an empty string"
		}
		return "a string"
	case expr.BoolKind:
		return "a boolean"
	case expr.CharKind:
		return "a character"
	case expr.ListKind:
		return "a list"
	case expr.MapKind:
		return "a map"
	case expr.ObjectKind:
		switch v.Object().(type) {
		case *input:
			return "$input"
		case *tools:
			return "$util"
		case *scope:
			return "$foreach"
		case *branchObject:
			return "$context, or this part of it,"
		case *blockObject:
			return "a block"
		}
		return "this"
	}
	return "a number"
}

// Spot is a statement of a template: the unit of coverage.
type Spot struct {
	Line, LastLine int    // from 1
	Column         int    // in Line, from 1, in characters
	Decision       bool   // one way that an #if or a #foreach can go, not a statement
	Way            string // which one, in words
}

// spot numbers a statement. Macros and white space between directives are none.
func (p *parser) spot(s statement, from, to int) int32 {
	if t, ok := s.(text); ok && blank(string(t)) {
		return -1
	}
	first, column := p.t.place(from)
	last, _ := p.t.place(max(from, to-1))
	p.t.spots = append(p.t.spots, Spot{Line: first, LastLine: last, Column: column})
	return int32(len(p.t.spots) - 1)
}

func blank(s string) bool {
	for i := range len(s) {
		if s[i] > ' ' {
			return false
		}
	}
	return true
}

// decision numbers one way that a directive can go.
func (p *parser) decision(at int, way string) int32 {
	if p.inner {
		return -1
	}
	line, column := p.t.place(at)
	p.t.spots = append(p.t.spots, Spot{Line: line, LastLine: line, Column: column, Decision: true, Way: way})
	return int32(len(p.t.spots) - 1)
}

// Coverage counts how often the parts of a template were rendered. One serves one
// rendering at a time.
type Coverage struct {
	t    *Template
	hits []uint32
}

// NewCoverage returns a Coverage for t.
func NewCoverage(t *Template) *Coverage { return &Coverage{t, make([]uint32, len(t.spots))} }

func (c *Coverage) hit(spot int32) { c.hits[spot]++ }

func (c *Coverage) decide(spot int32) {
	if spot >= 0 {
		c.hits[spot]++
	}
}

// Spots returns the template's statements and decisions, in the order of their
// lines, and how often each was reached.
func (c *Coverage) Spots() ([]Spot, []uint32) {
	order := make([]int, len(c.hits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return c.t.spots[a].Line - c.t.spots[b].Line })
	spots, hits := make([]Spot, len(order)), make([]uint32, len(order))
	for i, j := range order {
		spots[i], hits[i] = c.t.spots[j], c.hits[j]
	}
	return spots, hits
}

// Lines returns how often each line that has something to render was reached: the
// most of what stands on it.
func (c *Coverage) Lines() map[int]uint32 {
	lines := map[int]uint32{}
	for i, s := range c.t.spots {
		if s.Decision {
			continue
		}
		for line := s.Line; line <= s.LastLine; line++ {
			lines[line] = max(lines[line], c.hits[i])
		}
	}
	return lines
}

// Add adds what other, of the same template, counted.
func (c *Coverage) Add(other *Coverage) {
	for i, n := range other.hits {
		c.hits[i] += n
	}
}

package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/builtins/internal/vtl"
	"github.com/postern-gateway/postern/proxy/expr"
)

// seenReference is what a reference of a template was while it was rendered.
type seenReference struct {
	vtl.Reference
	values []string // the first few that differ
	times  int
	empty  int
}

// seenValues is how many values of one reference are kept.
const seenValues = 3

// explained is render for an exchange that is traced: each reference is told, and each
// statement that wasn't reached.
func (m *Memory) explained(t *Template, content []byte) ([]byte, error) {
	seen := map[[2]int]*seenReference{}
	m.environment.Explain = func(r vtl.Reference) {
		place := [2]int{r.Line, r.Column}
		if seen[place] == nil {
			seen[place] = &seenReference{Reference: r}
		}
		seen[place].take(m, r)
	}
	m.environment.Coverage = vtl.NewCoverage(t.parsed)
	out, err := m.render(t.parsed, content)
	coverage := m.environment.Coverage
	m.environment.Explain, m.environment.Coverage = nil, nil
	m.tell(seen)
	spots, hits := coverage.Spots()
	for i, s := range spots {
		if hits[i] == 0 && !s.Decision && err == nil {
			m.ex.Explain.Note(fmt.Sprintf("template %d:%d", s.Line, s.Column), "not rendered: no condition led here", "")
		}
	}
	return out, err
}

// take notes one look-up.
func (s *seenReference) take(m *Memory, r vtl.Reference) {
	s.times++
	if why := m.blank(r); why != "" {
		s.empty++
		s.Why = why
		return
	}
	if v := vtl.Shown(r.Value); len(s.values) < seenValues && !slices.Contains(s.values, v) {
		s.values = append(s.values, v)
	}
}

// tell writes what the references were to the trace, in the template's order.
func (m *Memory) tell(seen map[[2]int]*seenReference) {
	all := make([]*seenReference, 0, len(seen))
	for _, s := range seen {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *seenReference) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	for _, s := range all {
		value, why := strings.Join(s.values, ", "), ""
		if s.empty > 0 {
			why = s.Why
			if value == "" {
				value = "nothing"
			}
		}
		if s.times > 1 {
			value += fmt.Sprintf(" (looked up %d times, %d of them nothing)", s.times, s.empty)
		}
		m.ex.Explain.Note(fmt.Sprintf("template %d:%d %s", s.Line, s.Column, s.Source), value, why)
	}
}

// blank says why a reference printed nothing, or just two quotes; "" if it didn't.
func (m *Memory) blank(r vtl.Reference) string {
	if r.Value.Kind() != expr.StringKind {
		return r.Why
	}
	call, argument, _ := strings.Cut(strings.Trim(r.Source, "$!{}"), "(")
	argument = strings.Trim(argument, "()'\" ")
	switch text := r.Value.Str(); {
	case text == "" && call == "input.params" && !m.hasParam(argument):
		return fmt.Sprintf("no parameter of path, query string or header is called %q", argument)
	case text == "":
		return "it is an empty text"
	case text == `""` && call == "input.json":
		return "the content has nothing, null or an empty text at this path, and json() quotes that"
	}
	return ""
}

func (m *Memory) hasParam(name string) bool {
	p := &m.environment.Params
	for _, pairs := range [][]vtl.Pair{p.Path, p.Query, p.Header} {
		if slices.ContainsFunc(pairs, func(one vtl.Pair) bool { return one.Name == name }) {
			return true
		}
	}
	return false
}

package workbench

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/postern-gateway/postern/builtins/internal/vtl"
	"github.com/postern-gateway/postern/proxy/expr"
)

// Reference is what one reference of a template was while it was rendered.
type Reference struct {
	Line   int      `json:"line"`   // from 1
	Column int      `json:"column"` // from 1, in characters
	Source string   `json:"source"` // as it is written
	Times  int      `json:"times"`  // how often it was looked up
	Empty  int      `json:"empty"`  // how often there was nothing
	Values []string `json:"values"` // the first few that differ, with their types
	Why    string   `json:"why,omitempty"`

	file *file
}

// valuesShown is how many values of one reference are kept.
const valuesShown = 5

// String returns the reference for people, in the form of the findings about a
// configuration: a title, the source with a mark, and why it was empty.
func (r *Reference) String() string {
	m := r.file.mistake(r.file.offset(r.Line, r.Column), utf8.RuneCountInString(firstLine(r.Source)), "", "")
	m.Severity, m.Text = "value", strings.Join(r.Values, ", ")
	if r.Empty == r.Times {
		m.Severity, m.Text = "empty", "this gives nothing"
	}
	if r.Times > 1 {
		m.Text += fmt.Sprintf(" (%d times", r.Times)
		if r.Empty > 0 && r.Empty < r.Times {
			m.Text += fmt.Sprintf(", %d of them empty", r.Empty)
		}
		m.Text += ")"
	}
	text := m.Finding.String()
	if r.Why != "" {
		text += "       = why: " + r.Why + "\n"
	}
	return text
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// explanation gathers references while a template is rendered.
type explanation struct {
	file  *file
	in    *Input
	found map[[2]int]*Reference // by line and column
}

func newExplanation(f *file, in *Input) *explanation {
	return &explanation{f, in, map[[2]int]*Reference{}}
}

// note takes one look-up.
func (e *explanation) note(seen vtl.Reference) {
	place := [2]int{seen.Line, seen.Column}
	r := e.found[place]
	if r == nil {
		r = &Reference{Line: seen.Line, Column: seen.Column, Source: seen.Source, Values: []string{}, file: e.file}
		e.found[place] = r
	}
	r.Times++
	empty, why := seen.Why != "", seen.Why
	if seen.Value.Kind() == expr.StringKind {
		empty = seen.Value.Str() == ""
		why = e.blank(seen.Source, seen.Value.Str())
	}
	if r.Why == "" {
		r.Why = why
	}
	if empty {
		r.Empty++
		return
	}
	value := vtl.Shown(seen.Value)
	switch {
	case slices.Contains(r.Values, value):
	case len(r.Values) < valuesShown:
		r.Values = append(r.Values, value)
	case len(r.Values) == valuesShown:
		r.Values = append(r.Values, "…")
	}
}

// blank says why a reference to $input gave text, "" if that needs no words.
func (e *explanation) blank(source, text string) string {
	call, argument, _ := strings.Cut(strings.Trim(source, "$!{}"), "(")
	argument = strings.Trim(argument, "()'\" ")
	switch {
	case text == "" && call == "input.params" && !e.in.hasParam(argument):
		return fmt.Sprintf("no parameter of path, query string or header is called %q", argument)
	case text == "":
		return "it is an empty text"
	case text == `""` && call == "input.json":
		return "the body has nothing, null or an empty text at this path, and json() quotes that"
	}
	return ""
}

// all returns the references in the order of the template.
func (e *explanation) all() []Reference {
	all := make([]Reference, 0, len(e.found))
	for _, r := range e.found {
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Reference) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	return all
}

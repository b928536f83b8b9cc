package workbench

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Coverage is how much of a template cases have reached.
type Coverage struct {
	Template    string   `json:"template"`
	Profile     string   `json:"profile"`
	Lines       int      `json:"lines"` // that do something
	LinesHit    int      `json:"lines_hit"`
	Branches    int      `json:"branches"` // ways that a directive can take
	BranchesHit int      `json:"branches_hit"`
	Missed      []Missed `json:"missed,omitempty"`
}

// Missed is a line or branch that no case reached.
type Missed struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"`

	file *file
}

// String returns what was missed for people, in the form of a finding.
func (m *Missed) String() string {
	at := m.file.offset(m.Line, m.Column)
	f := m.file.mistake(at, m.file.width(at), "", "%s", m.Text)
	f.Severity = "missed"
	return f.Finding.String()
}

// String returns the coverage in one line.
func (c *Coverage) String() string {
	text := c.Template
	if c.Profile == VelocityProfile {
		text += " (" + c.Profile + ")"
	}
	return fmt.Sprintf("%s: %s of lines, %s of branches", text, share(c.LinesHit, c.Lines), share(c.BranchesHit, c.Branches))
}

// share is n of all in percent; less than all is never 100%.
func share(n, all int) string {
	if all == 0 {
		return "100% (0/0)"
	}
	return fmt.Sprintf("%d%% (%d/%d)", n*100/all, n, all)
}

// coverage is that of all templates of files.
func (r *suiteRun) coverage() []Coverage {
	all := []Coverage{}
	for _, key := range r.files {
		all = append(all, r.templates[key].covered(key))
	}
	return all
}

// covered is what all renders of t have reached.
func (t *Template) covered(key templateKey) Coverage {
	c := Coverage{Template: key.file, Profile: key.profile}
	lines := t.coverage.Lines()
	c.Lines = len(lines)
	for line, hits := range lines {
		if hits > 0 {
			c.LinesHit++
			continue
		}
		c.Missed = append(c.Missed, Missed{line, 1 + t.file.indent(line), "no case reaches this line", t.file})
	}
	spots, hits := t.coverage.Spots()
	for i, s := range spots {
		if !s.Decision {
			continue
		}
		if c.Branches++; hits[i] > 0 {
			c.BranchesHit++
			continue
		}
		c.Missed = append(c.Missed, Missed{s.Line, s.Column, "in no case " + s.Way, t.file})
	}
	slices.SortFunc(c.Missed, func(a, b Missed) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Text, b.Text))
	})
	return c
}

// indent is how many blanks a line of f begins with.
func (f *file) indent(line int) int {
	at := f.offset(line, 1)
	n := 0
	for at+n < len(f.text) && (f.text[at+n] == ' ' || f.text[at+n] == '\t') {
		n++
	}
	return n
}

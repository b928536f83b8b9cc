package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Severities of a Finding.
const (
	SeverityError   = "error"   // the configuration can't be used
	SeverityWarning = "warning" // it can, but hardly means what it says
)

// Finding is one thing that is wrong with a configuration, and where.
type Finding struct {
	Severity string `json:"severity"` // SeverityError or SeverityWarning
	File     string `json:"file"`     // as named on the command line or by an include
	Line     int    `json:"line"`     // from 1; 0 when the file has no text to point at
	Column   int    `json:"column"`   // from 1, in characters
	Width    int    `json:"width"`    // characters from Column on that are meant, at least 1
	Key      string `json:"key"`      // path of the key: api.pets.route."GET /pets"; "" for the file
	Text     string `json:"text"`     // what is wrong
	Hint     string `json:"hint,omitempty"`
	Source   string `json:"source"` // the line's text

	order int // of the file
}

// Findings are all findings of one load, sorted by file and place. Warnings are
// among them: Failed tells whether the configuration can be used.
type Findings []Finding

// Failed reports whether there is an error among the findings.
func (fs Findings) Failed() bool { return fs.count(SeverityError) > 0 }

func (fs Findings) count(severity string) int {
	n := 0
	for i := range fs {
		if fs[i].Severity == severity {
			n++
		}
	}
	return n
}

// Error returns the first error in one line, and how many more there are.
func (fs Findings) Error() string {
	n := fs.count(SeverityError)
	for i := range fs {
		if fs[i].Severity != SeverityError {
			continue
		}
		if n > 1 {
			return fmt.Sprintf("%s (and %d more)", fs[i].title(), n-1)
		}
		return fs[i].title()
	}
	return "no errors"
}

// findingsShown is how many findings Text shows.
const findingsShown = 100

// Text returns the findings for people: each with its source line and a mark
// under the place, at most 100 of them, then the count. It is "" without
// findings.
func (fs Findings) Text() string {
	if len(fs) == 0 {
		return ""
	}
	var b strings.Builder
	for i := range fs[:min(len(fs), findingsShown)] {
		fs[i].write(&b)
	}
	if more := len(fs) - findingsShown; more > 0 {
		fmt.Fprintf(&b, "… and %d more\n", more)
	}
	errors, warnings := fs.count(SeverityError), fs.count(SeverityWarning)
	var parts []string
	if errors > 0 {
		parts = append(parts, counted(errors, "error"))
	}
	if warnings > 0 {
		parts = append(parts, counted(warnings, "warning"))
	}
	files := map[string]bool{}
	for i := range fs {
		files[fs[i].File] = true
	}
	b.WriteString(strings.Join(parts, " and ") + " in " + counted(len(files), "file"))
	if errors > 0 {
		b.WriteString("; nothing was changed")
	}
	b.WriteByte('\n')
	return b.String()
}

// JSON returns the findings as a JSON array and a newline, for editors and CI.
func (fs Findings) JSON() []byte {
	if fs == nil {
		fs = Findings{}
	}
	text, err := json.MarshalIndent(fs, "", "  ")
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	return append(text, '\n')
}

// And returns fs and those of more that are about something else: where fs has
// an error already, what is built on it can only repeat or follow from that.
func (fs Findings) And(more Findings) Findings {
	all := slices.Clone(fs)
	for _, m := range more {
		known := slices.ContainsFunc(fs, func(f Finding) bool {
			return f.Severity == SeverityError && (within(f.Key, m.Key) || within(m.Key, f.Key) || f.File == m.File && f.Line == m.Line)
		})
		if !known {
			all = append(all, m)
		}
	}
	all.sort()
	return all
}

// within reports whether key is table's own or stands below it.
func within(key, table string) bool {
	return strings.HasPrefix(key, table) && (len(key) == len(table) || key[len(table)] == '.' || key[len(table)] == '[')
}

func (fs Findings) sort() {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		for _, d := range []int{a.order - b.order, strings.Compare(a.File, b.File), a.Line - b.Line, a.Column - b.Column} {
			if d != 0 {
				return d
			}
		}
		return strings.Compare(a.Key+a.Text, b.Key+b.Text)
	})
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// String returns the finding for people: its title, the source line with a mark
// under the place, and the hint, each line with its newline.
func (f *Finding) String() string {
	var b strings.Builder
	f.write(&b)
	return b.String()
}

// title is the finding's first line.
func (f *Finding) title() string {
	var b strings.Builder
	b.WriteString(printable(f.File))
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": " + f.Severity + ": ")
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Text)
	return b.String()
}

func (f *Finding) write(b *strings.Builder) {
	b.WriteString(f.title())
	b.WriteByte('\n')
	if f.Line > 0 {
		line, column := cropped(f.Source, f.Column)
		fmt.Fprintf(b, "%6d | %s\n", f.Line, line)
		b.WriteString("       | ")
		underline(b, line, column, f.Width)
	}
	if f.Hint != "" {
		b.WriteString("       = hint: " + f.Hint + "\n")
	}
}

// underline writes marks under width characters of line from column on, below
// the same columns of a terminal: tabs are copied, wide characters count twice.
func underline(b *strings.Builder, line string, column, width int) {
	n := 0
	for _, r := range line {
		n++
		switch {
		case n >= column+width:
		case n >= column:
			b.WriteString(strings.Repeat("^", cells(r)))
		case r == '\t':
			b.WriteByte('\t')
		default:
			b.WriteString(strings.Repeat(" ", cells(r)))
		}
	}
	if n < column { // just past the end of the line
		b.WriteByte('^')
	}
	b.WriteByte('\n')
}

// cells is how many columns of a terminal r takes.
func cells(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 ||
		r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 ||
		r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd):
		return 2
	}
	return 1
}

// lineShown is how many characters of a source line are shown at most.
const lineShown = 160

// cropped returns the part of a long line around column, and the column there.
func cropped(line string, column int) (string, int) {
	runes := []rune(line)
	if len(runes) <= lineShown {
		return line, column
	}
	from := min(max(0, column-1-lineShown/4), len(runes)-lineShown/4)
	to := min(len(runes), from+lineShown)
	text := string(runes[from:to])
	column -= from
	if from > 0 {
		text, column = "…"+text, column+1
	}
	if to < len(runes) {
		text += "…"
	}
	return text, column
}

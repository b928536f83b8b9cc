package workbench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The names of a case's files in a folder.
const (
	CaseSuffix   = ".case.json" // the case: one JSON object
	GoldenSuffix = ".golden"    // beside it: what the template prints, byte by byte
	LinesSuffix  = ".jsonl"     // many cases, one a line
)

// The errors that a case can want, as in its member "error".
const (
	ParseError = "parse" // found when the template is read
	EvalError  = "eval"  // found when it is rendered, or earlier
)

// Case is a template, what it sees, and what it should print.
type Case struct {
	Input
	Name         string
	File         string // that it stands in
	Line         int    // where it begins there, from 1
	Template     string // its text
	TemplateFile string // that the text is from; "" when the case has it itself
	Profile      string // "" when the case names none
	Want         Want
	Skip         string // why it isn't to be run; "" when it is
	Assumed      string // what the expectation rests on, if that is uncertain

	file     *file
	from, to int
	members  []member
	golden   string // file with what is wanted, "" when the case has that itself
}

// Want is what should come of a case.
type Want struct {
	Output    *string         // nil when it says nothing
	Overrides json.RawMessage // nil for none
	Error     string          // ParseError, EvalError or "" for none
}

// caseKeys are the members of a case besides those of its input.
func caseKeys() []string {
	return []string{"name", "template", "template_file", "profile", "output", "overrides", "error", "skip", "assumed"}
}

// ReadCases reads the cases of a file: one JSON object, or many, one a line, if
// the name ends in LinesSuffix. Mistakes in single cases don't keep the others
// from being read; they are errors about the whole file when it has one case.
func ReadCases(name string) ([]Case, []error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, []error{err}
	}
	return parseCases(&file{name, text})
}

// ReadCase reads one case from a file, or from one of many cases: FILE.jsonl:LINE.
func ReadCase(name string) (*Case, error) {
	file, number, found := strings.Cut(name, LinesSuffix+":")
	line, err := strconv.Atoi(number)
	if !found || err != nil {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		return ParseCase(name, text)
	}
	cases, wrong := ReadCases(file + LinesSuffix)
	for i := range cases {
		if cases[i].Line == line {
			return &cases[i], nil
		}
	}
	for _, err := range wrong {
		var m *Mistake
		if !errors.As(err, &m) || m.Line == line {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s has no case in line %d", file+LinesSuffix, line)
}

// ParseCase reads one case; name is for messages, and the folder of what the
// case names. Errors are Mistakes.
func ParseCase(name string, text []byte) (*Case, error) {
	f := &file{name, text}
	return f.parseCase(0, len(text))
}

func parseCases(f *file) ([]Case, []error) {
	if !strings.HasSuffix(f.name, LinesSuffix) {
		c, err := f.parseCase(0, len(f.text))
		if err != nil {
			return nil, []error{err}
		}
		return []Case{*c}, nil
	}
	var all []Case
	var wrong []error
	for from := 0; from < len(f.text); {
		to := len(f.text)
		if i := bytes.IndexByte(f.text[from:], '\n'); i >= 0 {
			to = from + i
		}
		if len(bytes.TrimSpace(f.text[from:to])) > 0 {
			if c, err := f.parseCase(from, to); err != nil {
				wrong = append(wrong, err)
			} else {
				all = append(all, *c)
			}
		}
		from = to + 1
	}
	return all, wrong
}

// parseCase reads the case in f.text[from:to].
func (f *file) parseCase(from, to int) (*Case, error) {
	members, err := f.object(from, to, "a case")
	if err != nil {
		return nil, err
	}
	c := &Case{File: f.name, file: f, from: from, to: to, members: members, Line: 1 + bytes.Count(f.text[:from], []byte{'\n'})}
	if !strings.HasSuffix(f.name, LinesSuffix) {
		c.Name = strings.TrimSuffix(strings.TrimSuffix(filepath.Base(f.name), ".json"), ".case")
	}
	for i := range members {
		m := &members[i]
		known, err := c.Input.set(f, m)
		if err == nil && !known {
			err = c.set(f, m)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, c.wants()
}

// path is the file that f means by name.
func (f *file) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(f.name), name)
}

func (c *Case) set(f *file, m *member) (err error) {
	switch m.key {
	case "name":
		c.Name, err = f.text1(m)
	case "template":
		c.Template, err = f.text1(m)
	case "template_file":
		var name string
		if name, err = f.text1(m); err != nil {
			return err
		}
		var text []byte
		text, err = f.content(m, name)
		c.Template, c.TemplateFile = string(text), f.path(name)
	case "profile":
		c.Profile, err = f.word(m, Profiles()...)
	case "output":
		var text string
		text, err = f.text1(m)
		c.Want.Output = &text
	case "overrides":
		_, err = f.object(m.at, m.at+len(m.value), m.key)
		c.Want.Overrides = m.value
	case "error":
		c.Want.Error, err = f.word(m, ParseError, EvalError)
	case "skip":
		c.Skip, err = f.text1(m)
	case "assumed":
		c.Assumed, err = f.text1(m)
	default:
		return f.mistake(m.keyAt, m.keySize, unknown(m.key, append(caseKeys(), inputKeys()...)), "unknown key %q", m.key)
	}
	return err
}

// HasTemplate reports whether c names a template or has one itself.
func (c *Case) HasTemplate() bool {
	return slices.ContainsFunc(c.members, func(m member) bool { return strings.HasPrefix(m.key, "template") })
}

// wants finds what is wanted of c when that is in a file of its own, and checks
// that what it wants can be.
func (c *Case) wants() error {
	has := func(key string) *member {
		for i := range c.members {
			if c.members[i].key == key {
				return &c.members[i]
			}
		}
		return nil
	}
	if m := has("template_file"); m != nil && has("template") != nil {
		return c.file.mistake(m.keyAt, m.keySize, "keep one of them", "template and template_file both give the template")
	}
	if m := has("error"); m != nil && (c.Want.Output != nil || c.Want.Overrides != nil) {
		return c.file.mistake(m.keyAt, m.keySize, "a template that fails prints nothing", "a case wants output or an error, not both")
	}
	if c.Want.Output != nil || c.Want.Error != "" || strings.HasSuffix(c.File, LinesSuffix) {
		return nil
	}
	stem := strings.TrimSuffix(strings.TrimSuffix(c.File, ".json"), ".case")
	c.golden = stem + GoldenSuffix
	text, err := os.ReadFile(c.golden)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	output := string(text)
	c.Want.Output = &output
	return nil
}

// Check returns what is wrong with o for c, nothing if it is as wanted.
func (c *Case) Check(o *Outcome) []string {
	w := &c.Want
	switch {
	case o.Failure != nil && w.Error == EvalError, o.Failure != nil && w.Error == o.Failed:
		return nil
	case o.Failure != nil && w.Error == ParseError:
		return []string{"the template is read without an error and fails only when it is rendered:", o.Failure.Error()}
	case o.Failure != nil:
		return []string{o.Failure.Error()}
	case w.Error != "":
		return []string{fmt.Sprintf("want an error (%s), got output:", w.Error), shown(o.Output)}
	case w.Output == nil:
		return []string{"it wants nothing: run with --update to write what it prints, and look at that"}
	}
	var wrong []string
	if *w.Output != o.Output {
		wrong = difference(*w.Output, o.Output)
	}
	if !sameJSON(w.Overrides, o.Overrides) {
		wrong = append(wrong, "want overrides "+orNone(w.Overrides), " got overrides "+orNone(o.Overrides))
	}
	return wrong
}

func orNone(text json.RawMessage) string {
	if len(text) == 0 {
		return "none"
	}
	return string(text)
}

// sameJSON compares two JSON texts regardless of the order of members.
func sameJSON(a, b json.RawMessage) bool {
	read := func(text json.RawMessage) any {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return nil // there is none
		}
		return v
	}
	return reflect.DeepEqual(read(a), read(b))
}

// difference says where two outputs begin to differ.
func difference(want, got string) []string {
	n := 0
	for n < len(want) && n < len(got) && want[n] == got[n] {
		n++
	}
	begin := 1 + strings.LastIndexByte(want[:n], '\n')
	line := 1 + strings.Count(want[:n], "\n")
	return []string{
		fmt.Sprintf("line %d of the output, from character %d on:", line, 1+len([]rune(want[begin:n]))),
		"want " + shown(rest(want, begin)), " got " + shown(rest(got, begin)),
	}
}

// rest is the line of text that begins at offset, with its newline.
func rest(text string, offset int) string {
	line := text[offset:]
	if i := strings.IndexByte(line, '\n'); i >= 0 {
		line = line[:i+1]
	}
	return line
}

// shownBytes is how much of a text is shown.
const shownBytes = 2000

// shown is text for people: quoted where it has what can't be seen.
func shown(text string) string {
	cut := ""
	if len(text) > shownBytes {
		text, cut = text[:shownBytes], "…"
	}
	clean := strings.TrimSpace(text) == text && text != ""
	for _, r := range text {
		clean = clean && unicode.IsPrint(r) && r != utf8.RuneError
	}
	if clean {
		return text + cut
	}
	return fmt.Sprintf("%q", text) + cut
}

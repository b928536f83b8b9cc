package workbench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// TemplateSuffix is how names of template files end.
const TemplateSuffix = ".vtl"

// What came of a case.
const (
	Passed  = "passed"
	Failed  = "failed"
	Skipped = "skipped"
)

// Suite runs the cases of files and folders.
type Suite struct {
	Profile string // of cases that name none
	Explain bool   // add what each reference was to cases that fail
	Update  bool   // have cases want what comes of them
}

// Report is what came of a suite.
type Report struct {
	Results  []Result   `json:"results"`
	Coverage []Coverage `json:"coverage"`          // of templates in files, in their order
	Written  []string   `json:"written,omitempty"` // files that Update changed
	Passed   int        `json:"passed"`
	Failed   int        `json:"failed"`
	Skipped  int        `json:"skipped"`
}

// Result is what came of one case, or of a file that has none.
type Result struct {
	File       string      `json:"file"`
	Line       int         `json:"line,omitempty"` // of a case in a file of many
	Name       string      `json:"name,omitempty"`
	Template   string      `json:"template,omitempty"` // its file
	Verdict    string      `json:"verdict"`            // Passed, Failed or Skipped
	Text       []string    `json:"text,omitempty"`     // why, in lines
	References []Reference `json:"references,omitempty"`
}

// ErrNoCases is for paths without cases.
var ErrNoCases = errors.New("no cases")

// found is what paths have for a suite.
type found struct {
	cases     []string
	templates []string
}

// find looks for cases and templates. A path that is a file is one of cases
// whatever it is called.
func find(paths []string) (*found, error) {
	all := new(found)
	for _, path := range paths {
		st, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoCases, err)
		}
		if !st.IsDir() {
			if strings.HasSuffix(path, TemplateSuffix) {
				return nil, fmt.Errorf("%w: %s is a template; name the folder of its cases, files NAME%s", ErrNoCases, path, CaseSuffix)
			}
			all.cases = append(all.cases, path)
			continue
		}
		before := len(all.cases)
		if err := all.folder(path); err != nil {
			return nil, err
		}
		if len(all.cases) == before {
			return nil, fmt.Errorf("%w: %s has no files NAME%s or NAME%s", ErrNoCases, path, CaseSuffix, LinesSuffix)
		}
	}
	return all, nil
}

// folder looks into dir and the folders in it; those that are hidden are left out.
func (all *found) folder(dir string) error {
	return fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(e.Name(), ".") && name != "."
		switch full := filepath.Join(dir, name); {
		case e.IsDir() && hidden:
			return fs.SkipDir
		case e.IsDir() || hidden:
		case strings.HasSuffix(name, CaseSuffix) || strings.HasSuffix(name, LinesSuffix):
			all.cases = append(all.cases, full)
		case strings.HasSuffix(name, TemplateSuffix):
			all.templates = append(all.templates, full)
		}
		return nil
	})
}

// suiteRun is one run of a suite.
type suiteRun struct {
	Suite
	report    Report
	templates map[templateKey]*Template // of files
	files     []templateKey             // in the order in which cases name them
}

type templateKey struct{ file, profile string }

// Run runs all cases in paths, files and folders. The error is ErrNoCases, or
// one of reading folders or of writing for Update; all else is in the report.
func (s *Suite) Run(paths []string) (*Report, error) {
	all, err := find(paths)
	if err != nil {
		return nil, err
	}
	r := &suiteRun{Suite: *s, templates: map[templateKey]*Template{}}
	r.report.Results = []Result{}
	for _, name := range all.cases {
		if err := r.file(name); err != nil {
			return nil, err
		}
	}
	r.unused(all.templates)
	r.report.Coverage = r.coverage()
	for i := range r.report.Results {
		switch r.report.Results[i].Verdict {
		case Passed:
			r.report.Passed++
		case Failed:
			r.report.Failed++
		default:
			r.report.Skipped++
		}
	}
	return &r.report, nil
}

// file runs the cases of one file.
func (r *suiteRun) file(name string) error {
	cases, wrong := ReadCases(name)
	for _, err := range wrong {
		result := Result{File: name, Verdict: Failed, Text: lines(err)}
		var m *Mistake
		if strings.HasSuffix(name, LinesSuffix) && errors.As(err, &m) {
			result.Line = m.Line
		}
		r.report.Results = append(r.report.Results, result)
	}
	if len(cases)+len(wrong) == 0 {
		r.report.Results = append(r.report.Results, Result{File: name, Verdict: Skipped, Text: []string{"it has no cases"}})
	}
	outcomes := make([]*Outcome, len(cases))
	for i := range cases {
		if cases[i].Skip == "" && cases[i].HasTemplate() {
			outcomes[i] = r.outcome(&cases[i])
		}
	}
	if r.Update {
		written, err := Update(cases, outcomes)
		if err != nil {
			return err
		}
		r.report.Written = append(r.report.Written, written...)
	}
	for i := range cases {
		r.report.Results = append(r.report.Results, r.result(&cases[i], outcomes[i]))
	}
	return nil
}

func (r *suiteRun) result(c *Case, o *Outcome) Result {
	result := Result{File: c.File, Name: c.Name, Template: c.TemplateFile, Verdict: Passed}
	if strings.HasSuffix(c.File, LinesSuffix) {
		result.Line = c.Line
	}
	if !c.HasTemplate() {
		result.Verdict, result.Text = Failed, []string{"it has no template: add \"template_file\": \"../NAME.vtl\""}
		return result
	}
	if o == nil {
		result.Verdict, result.Text = Skipped, []string{c.Skip}
		return result
	}
	wrong := c.Check(o)
	if len(wrong) == 0 || r.Update && o.Failure == nil {
		return result
	}
	if c.Assumed != "" {
		wrong = append(wrong, "what is wanted rests on this: "+c.Assumed)
	}
	result.Verdict, result.References = Failed, o.References
	for _, w := range wrong {
		result.Text = append(result.Text, strings.Split(w, "\n")...)
	}
	return result
}

// outcome renders the template of c.
func (r *suiteRun) outcome(c *Case) *Outcome {
	if c.Profile == "" {
		c.Profile = r.Profile
	}
	t, err := r.template(c)
	if err != nil {
		return failedParse(err)
	}
	if r.Explain {
		return t.Explain(&c.Input)
	}
	return t.Render(&c.Input)
}

// template returns the template of c; one that several cases share counts what
// all of them cover.
func (r *suiteRun) template(c *Case) (*Template, error) {
	if c.TemplateFile == "" {
		name := c.Name
		if name == "" {
			name = "template"
		}
		return Parse(name, c.Template, c.Profile)
	}
	key := templateKey{c.TemplateFile, c.Profile}
	if t := r.templates[key]; t != nil {
		return t, nil
	}
	t, err := Parse(c.TemplateFile, c.Template, c.Profile)
	if err == nil {
		r.files = append(r.files, key)
		r.templates[key] = t
	}
	return t, err
}

// unused tells of templates that no case renders, and whether they can be read.
func (r *suiteRun) unused(templates []string) {
	for _, name := range templates {
		if slices.ContainsFunc(r.report.Results, func(result Result) bool { return same(result.Template, name) }) {
			continue
		}
		result := Result{File: name, Template: name, Verdict: Skipped, Text: []string{"no case renders it"}}
		text, err := os.ReadFile(name)
		if err == nil {
			_, err = Parse(name, string(text), r.Profile)
		}
		if err != nil {
			result.Verdict, result.Text = Failed, lines(err)
		}
		r.report.Results = append(r.report.Results, result)
	}
}

// same reports whether two names mean one file.
func same(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, err := filepath.Abs(a)
	if err != nil {
		return false
	}
	y, err := filepath.Abs(b)
	return err == nil && x == y
}

func lines(err error) []string { return strings.Split(err.Error(), "\n") }

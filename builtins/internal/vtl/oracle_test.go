package vtl

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy/expr"
)

const (
	recorded    = "../../../testdata/vtl"                         // Velocity 1.7 and Jayway, with AWS's changes
	recordedAWS = "../../../../shared/oracles/vtl-aws/cases.json" // outside of the project
)

// recordedCase is a template and what became of it.
type recordedCase struct {
	Name                                               string
	Template                                           string
	Body                                               *string
	Path, Querystring, Header, Context, StageVariables json.RawMessage
	Profile, Error, Assumed                            string
	Output                                             *string
	Overrides                                          json.RawMessage
}

// differing are the assumed cases that end differently here, and why.
var differing = map[string]string{}

// tree is a JSON object as a Tree.
type tree struct{ m *expr.Map }

func (t tree) Member(name string) expr.Value {
	v, _ := t.m.Get(name)
	if m := v.Map(); m != nil {
		return Branch(tree{m})
	}
	return v
}

func (t tree) Names() []string {
	names := make([]string, t.m.Len())
	for i := range names {
		names[i] = t.m.Key(i).Str()
	}
	return names
}

func document(t testing.TB, text []byte) expr.Value {
	t.Helper()
	if len(text) == 0 {
		return expr.OfMap(expr.NewMap())
	}
	v, err := expr.ParseJSON(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func pairsOf(t testing.TB, text []byte) []Pair {
	m := document(t, text).Map()
	var all []Pair
	for i := range m.Len() {
		all = append(all, Pair{m.Key(i).Str(), m.At(i).Str()})
	}
	return all
}

func (c *recordedCase) environment(t testing.TB) *Environment {
	env := &Environment{
		Params:    Params{Path: pairsOf(t, c.Path), Query: pairsOf(t, c.Querystring), Header: pairsOf(t, c.Header)},
		Context:   tree{document(t, c.Context).Map()},
		Stage:     pairsOf(t, c.StageVariables),
		Overrides: &Overrides{},
	}
	if c.Body != nil {
		env.Body = NewBody([]byte(*c.Body))
	}
	return env
}

func (c *recordedCase) options() Options {
	if c.Profile == "velocity" {
		return Velocity()
	}
	return Gateway()
}

func readCases(t testing.TB) []recordedCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recorded, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", recorded, err)
	}
	var all []recordedCase
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var c recordedCase
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, c)
		}
	}
	return all
}

// TestRecorded runs all cases in their profile.
func TestRecorded(t *testing.T) {
	all := readCases(t)
	if len(all) < 2000 {
		t.Fatalf("only %d cases", len(all))
	}
	for _, c := range all {
		got := c.run(t)
		want := "error " + c.Error
		if c.Output != nil {
			want = "output " + *c.Output
		}
		if c.Error == "eval" && got == "error parse" {
			continue // found sooner
		}
		if why, known := differing[c.Name]; known {
			if got == want {
				t.Errorf("%s: ends as recorded, although listed as differing: %s", c.Name, why)
			}
			continue
		}
		if got != want {
			t.Errorf("%s (%s)\ntemplate %q\ngot  %q\nwant %q %s", c.Name, c.Profile, c.Template, got, want, c.Assumed)
		}
	}
}

// run returns "output TEXT", "error parse" or "error eval".
func (c *recordedCase) run(t *testing.T) string {
	tpl, err := Parse(c.Name, c.Template, c.options())
	if err != nil {
		return "error parse"
	}
	env := c.environment(t)
	out, err := tpl.Render(nil, env)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 {
			t.Errorf("%s: %v has no place", c.Name, err)
		}
		return "error eval"
	}
	c.overrides(t, env.Overrides)
	return "output " + string(out)
}

// overrides compares what the template assigned.
func (c *recordedCase) overrides(t *testing.T, o *Overrides) {
	if c.Overrides == nil {
		return
	}
	want := document(t, c.Overrides)
	got := expr.NewMap()
	for name, m := range map[string]*expr.Map{"requestOverride": o.Request(), "responseOverride": o.Response()} {
		kept := expr.NewMap()
		if m == nil {
			continue
		}
		for i := range m.Len() {
			if inner := m.At(i).Map(); inner == nil || inner.Len() > 0 {
				kept.Put(m.Key(i), m.At(i))
			}
		}
		if kept.Len() > 0 {
			got.Set(name, expr.OfMap(kept))
		}
	}
	if !expr.Equal(want, expr.OfMap(got)) {
		text, _ := expr.OfMap(got).JSON(1 << 20)
		t.Errorf("%s: overrides %s, want %s", c.Name, text, c.Overrides)
	}
}

// TestRecordedOnAWS runs the templates that AWS itself rendered.
func TestRecordedOnAWS(t *testing.T) {
	text, err := os.ReadFile(recordedAWS)
	if err != nil {
		t.Skipf("needs the recordings: %v", err)
	}
	var all []struct {
		Test                  string
		Template              string
		Context               json.RawMessage
		AWS                   json.RawMessage
		Whitespace_normalised bool
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		env := &Environment{Variables: document(t, c.Context).Map()}
		tpl, err := Parse(c.Test, c.Template, Gateway())
		if err != nil {
			t.Errorf("%s: %v", c.Test, err)
			continue
		}
		out, err := tpl.Render(nil, env)
		if err != nil {
			t.Errorf("%s: %v", c.Test, err)
			continue
		}
		got, want := string(out), ""
		if json.Unmarshal(c.AWS, &want) != nil {
			// Stored as parsed JSON.
			if !expr.Equal(document(t, out), document(t, c.AWS)) {
				t.Errorf("%s\ngot  %s\nwant %s", c.Test, got, c.AWS)
			}
			continue
		}
		if c.Whitespace_normalised {
			got, want = strings.Join(strings.Fields(got), " "), strings.Join(strings.Fields(want), " ")
		}
		if got != want {
			t.Errorf("%s\ntemplate %s\ngot  %q\nwant %q", c.Test, c.Template, got, want)
		}
	}
}

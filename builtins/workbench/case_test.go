package workbench

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func lay(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A case has what its JSON says, in its order.
func TestParseCase(t *testing.T) {
	t.Chdir(t.TempDir())
	lay(t, "order.vtl", "$x\n")
	lay(t, "big.json", "[1]")
	c, err := ParseCase("first.case.json", []byte(`{
		"template_file": "order.vtl", "body": {"b": 1.50, "a": [ ]}, "path": {"id": "7"}, "querystring": {"z": "1", "a": ["x", "y"]},
		"header": {}, "stageVariables": {"t": "é"}, "context": {"n": 1, "identity": {"sourceIp": "::1"}}, "profile": "velocity", "side": "response",
		"error": "eval", "assumed": "much"}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "first" || c.Template != "$x\n" || c.TemplateFile != "order.vtl" || string(c.Body) != `{"b": 1.50, "a": [ ]}` || c.Profile != "velocity" ||
		c.Side != ResponseSide || c.Want.Error != EvalError || c.Assumed != "much" || !c.HasTemplate() {
		t.Errorf("got %+v", c)
	}
	want := []Pair{{Name: "z", Value: "1"}, {Name: "a", Value: "x"}, {Name: "a", Value: "y"}}
	if len(c.Query) != 3 || c.Query[0] != want[0] || c.Query[1] != want[1] || c.Query[2] != want[2] {
		t.Errorf("got %v, want %v", c.Query, want)
	}
	if !c.HasContext("identity") || c.HasContext("stage") {
		t.Error("context has other members")
	}
	body := func(text, want string) {
		t.Helper()
		c, err := ParseCase("x.json", []byte(text))
		if err != nil || string(c.Body) != want {
			t.Errorf("%s: got body %q, %v, want %q", text, c.Body, err, want)
		}
	}
	body(`{"body": "a\nb"}`, "a\nb")
	body(`{"body": null}`, "")
	body(`{"body": "\"quoted\""}`, `"quoted"`)
	body(`{"body_file": "big.json"}`, "[1]")
	body(`{"body": 7}`, "7")

	c, err = ParseCase("x.json", []byte(`{"after": {"template_file": "order.vtl", "body": [1]}}`))
	if err != nil || c.After.Name != "order.vtl" || c.After.Template != "$x\n" || string(c.After.Body) != "[1]" {
		t.Errorf("got %+v, %v", c.After, err)
	}
}

// What is wrong with a case is told with its place.
func TestCaseMistakes(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := ParseCase("x.case.json", []byte(text))
		var m *Mistake
		if !errors.As(err, &m) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
	f(`{"tempalte": "x"}`, `x.case.json:1:2: error: unknown key "tempalte"`)
	f(`{"tempalte": "x"}`, `hint: did you mean "template"?`)
	f("{\n  \"template\": 7}", `x.case.json:2:15: error: template is a text in quotes`)
	f(`{"template": "x", "template": "y"}`, `"template" stands there twice`)
	f(`{"template": "x", "template_file": "y"}`, "no such file")
	f(`{"name": "é", "path": {"id": 7}}`, `x.case.json:1:30: error: the value of id is a text in quotes`)
	f(`{"path": ["x"]}`, "path is a JSON object")
	f(`{"querystring": {"a": ["x", 1]}}`, "the values of a are texts in quotes")
	f(`{"context": {"a": 1, "a": 2}}`, `"a" stands there twice`)
	f(`{"context": "x"}`, "context is a JSON object")
	f(`{"error": "syntax"}`, `error is parse or eval, not "syntax"`)
	f(`{"error": "eval", "output": ""}`, "a case wants output or an error, not both")
	f(`{"profile": "gateways"}`, `did you mean "gateway"?`)
	f(`{"side": "both"}`, "side is request or response")
	f(`{"body": 1, "body_file": "x"}`, "body and body_file both give the body")
	f(`{"body_file": "x"}`, "no such file")
	f(`{"after": {"templat": ""}}`, `x.case.json:1:12: error: unknown key "templat"`)
	f(`{"after": {"template_file": "y"}}`, "no such file")
	f(`{"body": 1,}`, "a comma before the closing bracket")
	f(`{'body': 1}`, "JSON has its texts in double quotes")
	f("{\"body\": {\n", "x.case.json:1:11: error: this isn't JSON: it ends too early")
	f(``, "it ends too early")
	f(`[]`, "a case is a JSON object")
	f(`{} {}`, "there is more after the object's end")
}

// Of a file of many cases, one that can't be read keeps no other from running.
func TestLines(t *testing.T) {
	t.Chdir(t.TempDir())
	lay(t, "all.jsonl", "{\"name\": \"a\", \"template\": \"x\", \"output\": \"x\"}\n\n{\"name\": 7}\n{\"name\": \"b\", \"template\": \"y\"}")
	cases, wrong := ReadCases("all.jsonl")
	if len(cases) != 2 || cases[0].Line != 1 || cases[1].Line != 4 || cases[1].Name != "b" {
		t.Errorf("got %+v", cases)
	}
	if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "all.jsonl:3:10: error: name is a text in quotes") {
		t.Errorf("got %v", wrong)
	}
	f := func(name, want string) {
		t.Helper()
		c, err := ReadCase(name)
		if err == nil && c.Name != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want %s", name, c, err, want)
		}
	}
	f("all.jsonl:4", "b")
	f("all.jsonl:2", "all.jsonl has no case in line 2")
	f("all.jsonl:3", "name is a text in quotes")
	f("all.jsonl", "one of many cases is FILE.jsonl:LINE")
	f("none.jsonl:1", "no such file")
}

// Update changes what is wanted, and nothing else of the files.
func TestUpdate(t *testing.T) {
	t.Chdir(t.TempDir())
	const lines = `{"name": "kept",   "template": "a", "output": "a"}
{"name": "output", "template": "<é>", "output": "old", "assumed": "x"}
{"name": "skipped", "template": "b", "output": "old", "skip": "later"}
{"name": "failed", "template": "$", "output": "old"}
{"name": "error", "template": "c", "error": "parse"}
`
	lay(t, "all.jsonl", lines)
	lay(t, "tests/one.case.json", "{\n    \"template\": \"d\\n\",\n    \"body\": {\"a\":   1}\n}\n")
	lay(t, "tests/two.case.json", `{"template": "#set($context.responseOverride.status = 404)e", "output": "old", "body": [1,  2]}`)
	lay(t, "tests/same.case.json", `{"template":"f","output":"f"}`)
	report, err := (&Suite{Update: true}).Run([]string{"all.jsonl", "tests"})
	if err != nil {
		t.Fatal(err)
	}
	if report.Passed != 6 || report.Failed != 1 || report.Skipped != 1 {
		t.Errorf("got %+v", report)
	}
	if got := strings.Join(report.Written, " "); got != "all.jsonl tests/one.golden tests/two.case.json" {
		t.Errorf("wrote %s", got)
	}
	want := strings.NewReplacer(`"<é>", "output": "old"`, `"<é>", "output": "<é>"`, `"c", "error": "parse"}`, `"c", "output": "c"}`).Replace(lines)
	if got := read(t, "all.jsonl"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := read(t, "tests/one.golden"); got != "d\n" {
		t.Errorf("got %q", got)
	}
	if got, want := read(t, "tests/two.case.json"), `{
  "template": "#set($context.responseOverride.status = 404)e",
  "output": "e",
  "body": [1,  2],
  "overrides": {"responseOverride":{"status":404}}
}
`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	report, err = new(Suite).Run([]string{"all.jsonl", "tests"})
	if err != nil || report.Passed != 6 || report.Failed != 1 {
		t.Errorf("after it: got %+v, %v", report, err)
	}
}

func TestDifference(t *testing.T) {
	f := func(want, got, text string) {
		t.Helper()
		if s := strings.Join(difference(want, got), "|"); s != text {
			t.Errorf("got %s, want %s", s, text)
		}
	}
	f("a\nbéc\n", "a\nbéd\n", `line 2 of the output, from character 3 on:|want "béc\n"| got "béd\n"`)
	f("same", "same\n", `line 1 of the output, from character 5 on:|want same| got "same\n"`)
	f("", "x", `line 1 of the output, from character 1 on:|want ""| got x`)
	f(`{"a": "1"}`, `{"a": "2"}`, `line 1 of the output, from character 8 on:|want {"a": "1"}| got {"a": "2"}`)
}

func FuzzParseCase(f *testing.F) {
	f.Add(`{"template": "x", "body": {"a": [1]}, "path": {"a": ["b"]}, "context": {"a": {"b": null}}, "output": "x"}`)
	f.Add("{\"body\": {\n")
	f.Add(`{"overrides": {}, "error": "eval"} x`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCase("fuzz.jsonl", []byte(text))
		if err != nil {
			var m *Mistake
			if !errors.As(err, &m) || m.Line < 1 || m.Column < 1 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		o := &Outcome{Output: "new"}
		now := c.rewritten(o)
		again, err := ParseCase("fuzz.jsonl", now)
		if err != nil || again.Want.Output == nil || *again.Want.Output != "new" || string(again.Body) != string(c.Body) {
			t.Fatalf("%q became %q: %v", text, now, err)
		}
	})
}

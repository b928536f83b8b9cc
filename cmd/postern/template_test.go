package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// orderTemplate is one that the tests of this file render.
const orderTemplate = `#set($order = $input.path('$'))
{
  "id": "$order.id",
  "customer": "$order.customer.name",
#foreach($item in $order.items)
  "$foreach.index": "$item.name"#if($foreach.hasNext),#end

#end
}
`

func TestTemplateEval(t *testing.T) {
	aside(t)
	lay(t, "order.vtl", orderTemplate)
	lay(t, "order.json", `{"id": 7, "items": [{"name": "pen"}, {"name": "ink"}, {}]}`)
	want := "{\n  \"id\": \"7\",\n  \"customer\": \"\",\n  \"0\": \"pen\",\n  \"1\": \"ink\",\n  \"2\": \"\"\n}\n"
	if code, stdout, stderr := command(t, "template", "eval", "order.vtl", "-d", "@order.json"); code != exitOK || stdout != want || stderr != "" {
		t.Errorf("exit code %d, %q, %q, want %q", code, stdout, stderr, want)
	}
	prints := func(want string, args ...string) {
		t.Helper()
		if code, stdout, stderr := command(t, append([]string{"template", "eval"}, args...)...); code != exitOK || stdout != want {
			t.Errorf("postern template eval %q: exit code %d, %q, want %q\n%s", args, code, stdout, want, stderr)
		}
	}
	// What is given by flags.
	prints("7|2|text/plain", "-e", "$input.params('id')|$input.params().querystring.page|$input.params().header.Accept",
		"-p", "id=7", "--query", "page=2", "-H", "Accept: text/plain")
	prints("pets|prod|192.0.2.1|a=b", "-e", "$stageVariables.table|$context.stage|$context.identity.sourceIp|$context.authorizer.x",
		"--var", "table=pets", "--context", "stage=prod", "--context", "identity.sourceIp=192.0.2.1", "--context", "authorizer.x=a=b")
	lay(t, "context.json", `{"stage": "dev", "requestTimeEpoch": 12}`)
	prints("prod|12", "-e", "$context.stage|$context.requestTimeEpoch", "--context", "@context.json", "--context", "stage=prod")
	// What is given by a file, and replaced by flags.
	lay(t, "input.json", `{"body": "text", "querystring": {"a": "1", "b": "2"}, "variables": {"mine": [1, {"x": "y"}]}}`)
	prints("text 3 2 y", "-e", "$input.body $input.params('a') $input.params('b') $mine[1].x", "--input", "input.json", "-q", "a=3")
	// A case has its template with it, and its profile.
	lay(t, "tests/first.case.json", `{"template_file": "../order.vtl", "body": {"id": "x"}}`)
	prints("{\n  \"id\": \"x\",\n  \"customer\": \"\",\n}\n", "--input", "tests/first.case.json")
	lay(t, "all.jsonl", "{}\n{\"template\": \"$x\", \"profile\": \"velocity\"}\n")
	prints("$x", "--input", "all.jsonl:2")
	prints("", "--input", "all.jsonl:2", "--profile", "gateway")
	prints("", "-e", "$x")
	prints("$x", "-e", "$x", "--profile", "velocity")

	// What else there is to say stands beside the output.
	_, stdout, stderr := command(t, "template", "eval", "-e", "#set($context.requestOverride.header.X = 'a')#set($context.responseOverride.status = 404)x", "--side", "response")
	if stdout != "x" || !strings.Contains(stderr, `overrides: {"requestOverride":{"header":{"X":"a"}},"responseOverride":{"status":404}}`) ||
		!strings.Contains(stderr, "requestOverride changes nothing in a response template") {
		t.Errorf("got %q, %q", stdout, stderr)
	}
	_, stdout, stderr = command(t, "template", "eval", "-e", "$input.path('$.a')", "-d", `{"a": 1,}`)
	if stdout != "1" || !strings.HasPrefix(stderr, "body:1:9: warning: this isn't JSON") {
		t.Errorf("got %q, %q", stdout, stderr)
	}
}

func TestTemplateStandardInput(t *testing.T) {
	dir := aside(t)
	from := func(text string) {
		t.Helper()
		lay(t, filepath.Join(dir, "stdin"), text)
		f, err := os.Open(filepath.Join(dir, "stdin"))
		if err != nil {
			t.Fatal(err)
		}
		old := os.Stdin
		os.Stdin = f
		t.Cleanup(func() {
			os.Stdin = old
			f.Close()
		})
	}
	for _, c := range []struct{ stdin, want, args string }{
		{"a$x", "a", ""},
		{"a$x", "a", "-"},
		{"body", "body", "-e $input.body -d @-"},
		{`{"body": "b"}`, "b", "-e $input.body --input -"},
		{`{"stage": "s"}`, "s", "-e $context.stage --context @-"},
	} {
		from(c.stdin)
		if code, stdout, stderr := command(t, append([]string{"template", "eval"}, strings.Fields(c.args)...)...); code != exitOK || stdout != c.want {
			t.Errorf("%s: exit code %d, got %q, want %q\n%s", c.args, code, stdout, c.want, stderr)
		}
	}
	from("{}")
	says(t, exitUsage, "--input and the template can't both be read from standard input", "template", "eval", "--input", "-", "-")
	says(t, exitUsage, "can't both", "template", "eval", "-d", "@-")
	from("#if(true)\nx")
	says(t, exitInvalid, "stdin:1:1: error: ", "template", "eval")
}

func TestTemplateExplain(t *testing.T) {
	aside(t)
	lay(t, "order.vtl", orderTemplate)
	args := []string{"template", "eval", "order.vtl", "-d", `{"id": 7, "items": [{"name": "pen"}, {"name": "ink"}, {}]}`, "--explain"}
	_, _, stderr := command(t, args...)
	for _, want := range []string{
		"order.vtl:3:10: value: number 7\n     3 |   \"id\": \"$order.id\",\n       |          ^^^^^^^^^\n",
		"order.vtl:4:16: empty: this gives nothing\n     4 |   \"customer\": \"$order.customer.name\",\n       |                ^^^^^^^^^^^^^^^^^^^^\n       = why: ",
		`order.vtl:6:22: value: text "pen", text "ink" (3 times, 1 of them empty)`,
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("got\n%s\nwant in it\n%s", stderr, want)
		}
	}
	var o struct {
		Output     string
		References []struct {
			Line, Column, Times, Empty int
			Source, Why                string
			Values                     []string
		}
	}
	_, stdout, _ := command(t, append(args, "--format", "json")...)
	if err := json.Unmarshal([]byte(stdout), &o); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, r := range o.References {
		found = found || r.Line == 4 && r.Column == 16 && r.Source == "$order.customer.name" && r.Empty == 1 && r.Times == 1 && r.Why != "" && len(r.Values) == 0
	}
	if !found || !strings.HasPrefix(o.Output, "{\n") {
		t.Errorf("got %s", stdout)
	}
	// What was looked up before a failure is told as well.
	code, _, stderr := command(t, "template", "eval", "-e", "$input.body.length() $input.body.substring(9)", "-d", "x", "--explain")
	if code != exitFailed || !strings.Contains(stderr, "value: number 1") || !strings.Contains(stderr, "--template:1:34: error: ") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}

// What a newcomer does wrong is told so that the next try is right.
func TestTemplateMistakes(t *testing.T) {
	aside(t)
	lay(t, "order.vtl", orderTemplate)
	lay(t, "bad.json", "{\n  \"body\": 1,\n}")
	lay(t, "odd.json", `{"bdy": 1}`)
	lay(t, "lines.jsonl", "{}\n{}\n")
	lay(t, "empty/x.txt", "")
	lay(t, "postern.toml", routesToml)
	for _, m := range []struct {
		code int
		want string
		args []string
	}{
		{exitFailed, "none.vtl: no such file", []string{"eval", "none.vtl"}},
		{exitFailed, "hint: -e takes the template itself", []string{"eval", "$input.body"}},
		{exitUsage, "the template was given twice", []string{"eval", "order.vtl", "-e", "x"}},
		{exitUsage, "unknown flag: --body", []string{"eval", "--body", "x"}},
		{exitUsage, "accepts at most 1 arg", []string{"eval", "a", "b"}},
		{exitUsage, `--profile is gateway or velocity, not "aws"`, []string{"eval", "-e", "x", "--profile", "aws"}},
		{exitUsage, `--side is request or response, not "both"`, []string{"eval", "-e", "x", "--side", "both"}},
		{exitUsage, `--format is text or json, not "yaml"`, []string{"eval", "-e", "x", "--format", "yaml"}},
		{exitUsage, `--path "id": want NAME=VALUE`, []string{"eval", "-e", "x", "-p", "id"}},
		{exitUsage, `--header "Accept": want NAME: VALUE`, []string{"eval", "-e", "x", "-H", "Accept"}},
		{exitUsage, "want NAME=VALUE, or @FILE with a JSON object", []string{"eval", "-e", "x", "--context", "stage"}},
		{exitUsage, "isn't a name below $context", []string{"eval", "-e", "x", "--context", "a..b=1"}},
		{exitUsage, "a has a value already", []string{"eval", "-e", "x", "--context", "a=1", "--context", "a.b=1"}},
		{exitFailed, "--context: open none.json", []string{"eval", "-e", "x", "--context", "@none.json"}},
		{exitInvalid, "bad.json:3:1: error: this isn't JSON", []string{"eval", "-e", "x", "--context", "@bad.json"}},
		{exitFailed, "--data: open none.json", []string{"eval", "-e", "x", "-d", "@none.json"}},
		{exitFailed, "--input: open none.json", []string{"eval", "-e", "x", "--input", "none.json"}},
		{exitInvalid, "bad.json:3:1: error: this isn't JSON", []string{"eval", "-e", "x", "--input", "bad.json"}},
		{exitInvalid, "odd.json:1:2: error: unknown key \"bdy\"\n     1 | {\"bdy\": 1}\n       |  ^^^^^\n       = hint: did you mean \"body\"?", []string{"eval", "-e", "x", "--input", "odd.json"}},
		{exitInvalid, "one of many cases is FILE.jsonl:LINE", []string{"eval", "--input", "lines.jsonl"}},
		// Broken templates.
		{exitInvalid, "--template:2:1: error: ", []string{"eval", "-e", "a\n#if(true)\nb"}},
		{exitInvalid, "--template:1:2: error: ", []string{"eval", "-e", "a#end"}},
		{exitInvalid, "--template:1:5: error: ", []string{"eval", "-e", "cost$"}},
		{exitInvalid, "--template:1:1: error: ", []string{"eval", "-e", "#[[ raw"}},
		{exitInvalid, "--template:1:", []string{"eval", "-e", "#set($a = foo)"}},
		{exitInvalid, "--template:1:", []string{"eval", "-e", "#if($a == null)x#end"}},
		{exitInvalid, "--template:1:", []string{"eval", "-e", `#set($a = "x)`}},
		{exitInvalid, "--template:1:", []string{"eval", "-e", "${x"}},
		{exitInvalid, "--template:1:", []string{"eval", "-e", "$input.path('$..[')"}},
		{exitFailed, "--template:1:", []string{"eval", "-e", "$input.body.substring(5)"}},
		// Configurations.
		{exitUsage, "--config is for --route", []string{"eval", "-e", "x", "-c", "postern.toml"}},
		{exitUsage, "--stage is for --route", []string{"eval", "-e", "x", "--stage", "prod"}},
		{exitInvalid, "there is no API with the route GET /x", []string{"eval", "--route", "GET /x"}},
		{exitInvalid, `hint: the routes are "GET /page" of pets, "GET /plain" of pets, "POST /pets" of pets`, []string{"eval", "--route", "GET /x"}},
		{exitInvalid, "there is no request template", []string{"eval", "--route", "GET /plain"}},
		{exitInvalid, "--side response is for the templates of its responses", []string{"eval", "--route", "GET /page"}},
		{exitUsage, `--stage: there is no stage "test": there are prod`, []string{"eval", "--route", "POST /pets", "--stage", "test"}},
		{exitInvalid, `which request template? There are application/json, text/plain; choose with --media-type`, []string{"eval", "--route", "POST /pets"}},
		{exitInvalid, "none.toml: error: can't read", []string{"eval", "-c", "none.toml", "--route", "POST /pets"}},
		// Cases.
		{exitUsage, "no cases: stat tests", []string{"test"}},
		{exitUsage, "no cases: empty has no files NAME.case.json", []string{"test", "empty"}},
		{exitUsage, "order.vtl is a template", []string{"test", "order.vtl"}},
		{exitTests, "unknown key \"bdy\"", []string{"test", "odd.json"}},
		{exitTests, "it has no template: add", []string{"test", "lines.jsonl"}},
		{exitUsage, `--profile is gateway`, []string{"test", "--profile", "x"}},
		// New ones.
		{exitUsage, "which job? There are passthrough,", []string{"new"}},
		{exitUsage, `there is no job "dynamodb-putt"; did you mean "dynamodb-put"?`, []string{"new", "dynamodb-putt"}},
	} {
		says(t, m.code, m.want, append([]string{"template"}, m.args...)...)
	}
	says(t, exitOK, "sqs.vtl", "template", "new", "sqs")
	says(t, exitFailed, "sqs.vtl is there already", "template", "new", "sqs")
}

func TestTemplateHelp(t *testing.T) {
	for _, name := range []string{"", "eval", "test", "new"} {
		says(t, exitOK, "Examples:", append(append([]string{"template"}, strings.Fields(name)...), "--help")...)
	}
}

// routesToml is a configuration with templates.
const routesToml = `
[listen.public]
address = "127.0.0.1:0"

[api.pets]
type = "rest"
[api.pets.stage.prod]
variables = { table = "pets" }
[api.pets.route."POST /pets".integration]
type = "http"
url = "http://127.0.0.1:9000/"
template."application/json" = { file = "order.vtl" }
template."text/plain" = '$stageVariables.table $context.stage'
[api.pets.route."POST /pets".response.default]
template."application/json" = '''
#if(true)
found $input.path('$.n')#end'''
[api.pets.route."GET /page"]
integration = { type = "mock" }
[api.pets.route."GET /page".response.default]
template."text/html" = "<p>$input.params('q')"
[api.pets.route."GET /plain"]
integration = { type = "mock" }
`

// The templates of a configuration's routes are rendered with what their stage
// has.
func TestTemplateRoute(t *testing.T) {
	dir := aside(t)
	lay(t, "conf/postern.toml", routesToml)
	lay(t, "conf/order.vtl", "order $input.body")
	file := filepath.Join(dir, "conf", "postern.toml")
	f := func(want string, args ...string) {
		t.Helper()
		if code, stdout, stderr := command(t, append([]string{"template", "eval", "-c", file, "--route"}, args...)...); code != exitOK || stdout != want {
			t.Errorf("%q: exit code %d, got %q, want %q\n%s", args, code, stdout, want, stderr)
		}
	}
	f("order x", "POST /pets", "--media-type", "application/json", "-d", "x")
	f("pets prod", "POST /pets", "--media-type", "text/plain")
	f("cats test", "POST /pets", "--media-type", "text/plain", "--var", "table=cats", "--context", "stage=test")
	f("found 3", "POST /pets", "--side", "response", "-d", `{"n": 3}`)
	f("<p>a", "GET /page", "--side", "response", "-q", "q=a")
	lay(t, "input.json", `{"side": "response", "querystring": {"q": "b"}}`)
	f("<p>b", "GET /page", "--input", "input.json")
	lay(t, "conf/postern.toml", strings.ReplaceAll(routesToml, "table $context", "table #if $context"))
	_, _, stderr := command(t, "template", "eval", "-c", file, "--route", "POST /pets", "--media-type", "text/plain")
	if !strings.Contains(stderr, "postern.toml:13 (request template):1:27: error: ") {
		t.Errorf("got %s", stderr)
	}
}

func TestTemplateTest(t *testing.T) {
	aside(t)
	lay(t, "order.vtl", orderTemplate)
	lay(t, "tests/first.case.json", `{"template_file": "../order.vtl", "body": {"id": 7}}`)
	says(t, exitTests, "it wants nothing: run with --update", "template", "test")
	says(t, exitOK, "new  tests/first.golden", "template", "test", "--update")
	says(t, exitOK, "ok   tests/first.case.json", "template", "test", "tests/first.case.json")
	out := says(t, exitOK, "order.vtl: ", "template", "test", "--missed")
	if !strings.HasSuffix(out, "\n1 passed, 0 failed, 0 skipped\n") || !strings.Contains(out, "order.vtl:6:") {
		t.Errorf("got\n%s", out)
	}
	lay(t, "tests/second.case.json", `{"template_file": "../order.vtl", "body": {"id": 7, "items": [1, {"name": "x"}]}, "output": "x"}`)
	lay(t, "tests/third.case.json", `{"template_file": "../order.vtl", "skip": "later"}`)
	lay(t, "tests/many.jsonl", "{\"template\": \"a\", \"output\": \"a\"}\n{\"name\": \"n\", \"template\": \"#if\", \"output\": \"a\"}\n{\"template\": \"$\", \"error\": \"parse\"}\n")
	lay(t, "tests/other.vtl", "#set($x")
	out = says(t, exitTests, "FAIL tests/many.jsonl:2 n\n       n:1:", "template", "test", "--explain")
	for _, want := range []string{
		"FAIL tests/second.case.json\n       line 1 of the output, from character 1 on:\n       want x\n        got \"{\\n\"\n",
		"order.vtl:3:10: value: number 7\n", "skip tests/third.case.json: later\n", "ok   tests/many.jsonl: 2 cases\n",
		"FAIL tests/other.vtl\n       tests/other.vtl:1:", "covered order.vtl: 100% (",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got\n%s\nwant in it\n%s", out, want)
		}
	}
	if !strings.HasSuffix(out, "\n3 passed, 3 failed, 1 skipped\n") {
		t.Errorf("the last line is another one:\n%s", out)
	}
	var report struct {
		Passed, Failed, Skipped int
		Results                 []struct{ File, Name, Verdict string }
		Coverage                []struct {
			Template        string
			Lines, Branches int
		}
	}
	code, stdout, _ := command(t, "template", "test", "--format", "json")
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != exitTests {
		t.Fatalf("exit code %d, %v: %s", code, err, stdout)
	}
	if report.Passed != 3 || report.Failed != 3 || report.Skipped != 1 || len(report.Results) != 7 || len(report.Coverage) != 1 || report.Coverage[0].Lines == 0 || report.Coverage[0].Branches == 0 {
		t.Errorf("got %+v", report)
	}
}

// Every job's templates pass their own cases, are covered by them, and print what
// the job is about.
func TestTemplateJobs(t *testing.T) {
	says(t, exitOK, "passthrough", "template", "new", "--help")
	dir := aside(t)
	jobs := map[string]func(t *testing.T, name, output string){
		"passthrough": isJSON, "dynamodb-put": isJSON, "dynamodb-query": isJSON, "sqs": isForm, "sns": isForm,
		"kinesis": isKinesis, "step-functions": isJSON, "s3": nil, "json-to-xml": isXML, "xml-to-json": isJSON,
	}
	for job, check := range jobs {
		t.Run(job, func(t *testing.T) {
			in := filepath.Join(dir, job)
			out := says(t, exitOK, "Next: postern template test "+in, "template", "new", job, "--dir", in)
			if !strings.Contains(out, job+`.vtl" }`) {
				t.Errorf("the configuration isn't shown:\n%s", out)
			}
			out = says(t, exitOK, " 0 failed, 0 skipped\n", "template", "test", in)
			if strings.HasPrefix(out, "0 passed") || strings.Count(out, "covered ") == 0 {
				t.Errorf("it has no cases:\n%s", out)
			}
			cases, err := filepath.Glob(filepath.Join(in, "tests", "*.case.json"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range cases {
				if code, stdout, _ := command(t, "template", "eval", "--input", name); code == exitOK && check != nil {
					check(t, name, stdout)
				}
			}
		})
	}
	_, stdout, _ := command(t, "template", "new", "--help")
	if n := strings.Count(stdout, "\n  ") - strings.Count(stdout, "\n  postern") - strings.Count(stdout, "\n  -") - strings.Count(stdout, "\n      -"); n < len(jobs) {
		t.Errorf("the help names fewer than the %d jobs:\n%s", len(jobs), stdout)
	}
}

func isJSON(t *testing.T, name, output string) {
	t.Helper()
	if !json.Valid([]byte(output)) {
		t.Errorf("%s prints what isn't JSON:\n%s", name, output)
	}
}

func isForm(t *testing.T, name, output string) {
	t.Helper()
	if strings.Contains(name, "answer") {
		isJSON(t, name, output)
		return
	}
	form, err := url.ParseQuery(output)
	if err != nil || form.Get("Action") == "" || strings.ContainsAny(output, " \r\n") {
		t.Errorf("%s prints %q: %v", name, output, err)
	}
	message := form.Get("Message") + form.Get("MessageBody")
	if !json.Valid([]byte(message)) {
		t.Errorf("%s sends the message %q", name, message)
	}
}

func isKinesis(t *testing.T, name, output string) {
	t.Helper()
	var request struct {
		Records []struct{ Data, PartitionKey string }
	}
	if err := json.Unmarshal([]byte(output), &request); err != nil || request.Records == nil {
		t.Fatalf("%s: %v\n%s", name, err, output)
	}
	for _, r := range request.Records {
		text, err := base64.StdEncoding.DecodeString(r.Data)
		if err != nil || !json.Valid(text) || r.PartitionKey == "" {
			t.Errorf("%s has the record %+v: %q", name, r, text)
		}
	}
}

func isXML(t *testing.T, name, output string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(output))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%s prints what isn't XML: %v\n%s", name, err, output)
		}
	}
}

// The cases that were recorded from Velocity and on AWS pass as users would run
// them.
func TestTemplateOracle(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "oracles", "vtl")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the recorded cases aren't there: ", err)
	}
	code, stdout, stderr := command(t, "template", "test", dir)
	last := stdout[strings.LastIndexByte(strings.TrimSuffix(stdout, "\n"), '\n')+1:]
	if code != exitOK || !strings.HasSuffix(last, " passed, 0 failed, 0 skipped\n") || strings.HasPrefix(last, "0 ") {
		t.Errorf("exit code %d: %s%s", code, last, stderr)
		for line := range strings.Lines(stdout) {
			if strings.HasPrefix(line, "FAIL") {
				t.Log(line)
			}
		}
	}
}

// A closed output is told, not ignored.
func TestTemplateOutputFails(t *testing.T) {
	aside(t)
	lay(t, "tests/a.case.json", `{"template": "x", "output": "x"}`)
	for _, args := range [][]string{{"eval", "-e", "x"}, {"eval", "-e", "x", "--format", "json"}, {"test"}, {"test", "--format", "json"}, {"new", "sqs"}} {
		if code := run(context.Background(), append([]string{"template"}, args...), fullDisk{}, io.Discard); code != exitFailed {
			t.Errorf("template %s on a full disk: exit code %d", args, code)
		}
	}
}

// The session in README goes as it says.
func TestTemplateReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	aside(t)
	_, section, found := strings.Cut(string(text), "## Try a mapping template\n")
	if !found {
		t.Fatal("README.md has no section about templates")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	played := 0
	for i, block := range strings.Split(section, "```") {
		if i%2 == 0 || !strings.HasPrefix(block, "\n$ ") {
			continue
		}
		for _, step := range strings.Split(block, "\n$ ")[1:] {
			line, want, _ := strings.Cut(strings.TrimSuffix(step, "\n")+"\n", "\n")
			words := shellWords(line)
			if words[0] == "cat" {
				lay(t, words[1], want)
				continue
			}
			if words[0] != "postern" {
				t.Fatalf("README.md shows %q, which isn't postern", line)
			}
			var both bytes.Buffer
			run(t.Context(), words[1:], &both, &both)
			if both.String() != want {
				t.Errorf("$ %s\n got:\n%s\nwant:\n%s", line, both.String(), want)
			}
			played++
		}
	}
	if played < 3 {
		t.Errorf("%d commands found: is the search right?", played)
	}
}

// shellWords takes a command line apart; words may be in single quotes.
func shellWords(line string) []string {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

package workbench

import (
	"errors"
	"strings"
	"testing"
)

// render renders a template with what a case's JSON gives it.
func render(t *testing.T, template, input string) *Outcome {
	t.Helper()
	c, err := ParseCase("input.json", []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse("x.vtl", template, c.Profile)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Explain(&c.Input)
}

// A template sees what the input gives it.
func TestRender(t *testing.T) {
	f := func(template, input, want string) {
		t.Helper()
		o := render(t, template, input)
		if o.Failure != nil || o.Output != want {
			t.Errorf("%s: got %q, %v, want %q", template, o.Output, o.Failure, want)
		}
	}
	f("$input.body|$input.path('$.a[1]')", `{"body": {"a": [1, "x"]}}`, `{"a": [1, "x"]}|x`)
	f("$input.params()", `{"path": {"b": "1"}, "querystring": {"c": ["2", "3"]}, "header": {"d": "4"}}`, "{path={b=1}, querystring={c=3}, header={d=4}}")
	f("$context.authorizer.claims.sub $context.n $context.identity", `{"context": {"authorizer": {"claims": {"sub": "s"}}, "n": 1.50, "identity": {"a": "b"}}}`, "s 1.5 ")
	f("$context.keySet() $stageVariables", `{"context": {"z": 1, "a": 2}, "stageVariables": {"v": "w"}}`, "[z, a, requestOverride, responseOverride] {v=w}")
	f("$mine.x$input.body", `{"variables": {"mine": {"x": [1]}}}`, "[1]{}")
	f("$x", `{"profile": "velocity"}`, "$x")
}

// What a request template sets is there in the response template after it.
func TestAfter(t *testing.T) {
	const after = `{"after": {"template": "#set($context.requestOverride.header.A = $input.path('$.n'))#set($context.responseOverride.mine = 'm')", "body": {"n": 7}}, "side": "response", "body": "b"`
	o := render(t, "$context.requestOverride.header.A $context.responseOverride.mine $input.body", after+"}")
	if o.Output != "7 m b" || string(o.Overrides) != `{"requestOverride":{"header":{"A":7}},"responseOverride":{"mine":"m"}}` || len(o.Warnings) != 0 {
		t.Errorf("got %+v", o)
	}
	// What the gateway would refuse is told, and what came of it shown.
	o = render(t, "#set($context.responseOverride.status = 1)#set($context.responseOverride.status = 2)", `{"side": "response"}`)
	if string(o.Overrides) != `{"responseOverride":{"status":2}}` || len(o.Warnings) != 1 || !strings.Contains(o.Warnings[0], "$context.responseOverride.status is set twice") {
		t.Errorf("got %+v", o)
	}
	o = render(t, "x", `{"after": {"template": "\n#if"}}`)
	if o.Failed != ParseError || !strings.HasPrefix(o.Failure.Error(), "input.json: after:2:") {
		t.Errorf("got %+v", o)
	}
	o = render(t, "x", `{"after": {"template": "$input.body.substring(9)"}}`)
	if o.Failed != EvalError || !strings.HasPrefix(o.Failure.Error(), "input.json: after:1:") {
		t.Errorf("got %+v", o)
	}
	// Nothing came before: what is for the request comes too late.
	o = render(t, "#set($context.requestOverride.path.a = 1)", `{"side": "response"}`)
	if len(o.Warnings) != 1 || !strings.Contains(o.Warnings[0], "requestOverride changes nothing") {
		t.Errorf("got %+v", o)
	}
}

// An explanation says of each reference what it was, and why it was empty.
func TestExplain(t *testing.T) {
	const input = `{"body": {"n": 1.5, "s": "é", "o": {"a": null}, "l": [1, 2, 3, 4, 5, 6, 7], "e": "", "t": true}, "header": {"Accept": "a/b"}, "querystring": {"empty": ""}}`
	f := func(template string, want ...string) {
		t.Helper()
		o := render(t, template, input)
		var all []string
		for i := range o.References {
			r := &o.References[i]
			text := r.String()
			if !strings.HasPrefix(text, "x.vtl:1:") || !strings.Contains(text, "\n     1 | "+template+"\n") {
				t.Errorf("%s: got\n%s", template, text)
			}
			text = r.Source + " " + strings.Join(r.Values, ", ")
			if r.Why != "" {
				text += " because " + r.Why
			}
			all = append(all, text)
		}
		if got := strings.Join(all, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", template, got, strings.Join(want, "\n"))
		}
	}
	f("$input.path('$.n') ${nope} $!input.body.x",
		"$input.path('$.n') number 1.5", "${nope}  because $nope isn't set", "$!input.body.x  because a string has no x")
	f("$input.path('$.o').a $input.path('$.o').b $input.path('$.z').c",
		"$input.path('$.o').a  because a is null", "$input.path('$.o').b  because a map has no b: it has a", "$input.path('$.z').c  because the body has nothing, or null, at this path")
	f("#foreach($x in $input.path('$.l'))$x#end",
		"$input.path('$.l') list of 7: [1,2,3,4,5,6,7]", "$x number 1, number 2, number 3, number 4, number 5, …")
	f("$input.path('$.e')$input.params('empty')$input.params('accept')$input.params('none')$input.json('$.z')$input.path('$.t')",
		"$input.path('$.e')  because it is an empty text", "$input.params('empty')  because it is an empty text", `$input.params('accept') text "a/b"`,
		`$input.params('none')  because no parameter of path, query string or header is called "none"`,
		`$input.json('$.z') text "\"\"" because the body has nothing, null or an empty text at this path, and json() quotes that`, "$input.path('$.t') true")
}

// What looks like a directive and isn't one is told; what only has the sign isn't.
func TestDoubts(t *testing.T) {
	f := func(profile, template, want string) {
		t.Helper()
		file := &file{"x", []byte(template)}
		var got []string
		for _, d := range file.doubts(profile) {
			line, _, _ := strings.Cut(d, "\n")
			if _, hint, found := strings.Cut(d, "hint: "); found {
				line += " " + hint
			}
			got = append(got, strings.TrimPrefix(line, "x:"))
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%s\n got %s\nwant %s", template, s, want)
		}
	}
	f("", "#set($a = 1)#if($a)#elseif($a)#{else}#end#foreach($i in [])#break#end#define($d)#end#stop#literal()#end", "")
	f("", "#ff8000 #owner = :owner a#foo ## #foo()\n#* #foo() *##[[#foo()]]#\\#foo() #1 #{foo}", "")
	f("", "#forech($x in $y)", "1:1: warning: #forech is no directive: it is printed as it stands did you mean #foreach?")
	f("", " #frobnicate()", "1:2: warning: #frobnicate is no directive: it is printed as it stands")
	f("", "\n#IF(true)", "2:1: warning: #IF is no directive: it is printed as it stands directives are in small letters: #if")
	f("", "#if(true)a#endif", "1:11: warning: #endif is no directive: it is printed as it stands to have text right behind #end write #{end}if")
	f("", "#parse('x')", "1:1: warning: #parse is no directive: it is printed as it stands AWS doesn't know it")
	f("", "#macro(m)#end", "1:1: warning: #macro defines nothing here, and its calls are printed as they stand AWS knows no macros of one's own: use #define, or repeat the text")
	f(VelocityProfile, "#macro(m $x)$x#end#m(1)#evaluate('x')#n(1)", "1:38: warning: #n is no directive: it is printed as it stands")
	_, err := Parse("x", "#forech($i in [1])a#end", "")
	var m *Mistake
	if !errors.As(err, &m) || len(m.Doubts) != 1 || !strings.Contains(m.Error(), "did you mean #foreach?") {
		t.Errorf("got %v", err)
	}
}

// Coverage counts what any case reaches, and lists the rest.
func TestCoverage(t *testing.T) {
	t.Chdir(t.TempDir())
	lay(t, "a.vtl", "#if($input.params('x') == \"1\")\none\n#elseif($input.params('x') == \"2\")\ntwo\n#end\n#foreach($i in [])\n  $i\n#end\nend\n")
	lay(t, "tests/one.case.json", `{"template_file": "../a.vtl", "querystring": {"x": "1"}, "output": "one\nend\n"}`)
	run := func() Coverage {
		t.Helper()
		report, err := new(Suite).Run([]string{"."})
		if err != nil || report.Failed > 0 || report.Skipped > 0 || len(report.Coverage) != 1 {
			t.Fatalf("got %+v, %v", report, err)
		}
		return report.Coverage[0]
	}
	c := run()
	if got := c.String(); got != "a.vtl: 66% (4/6) of lines, 40% (2/5) of branches" {
		t.Errorf("got %s", got)
	}
	var missed []string
	for i := range c.Missed {
		line, _, _ := strings.Cut(c.Missed[i].String(), "\n")
		missed = append(missed, line)
	}
	if got, want := strings.Join(missed, "\n"), `a.vtl:1:1: missed: in no case no condition holds
a.vtl:3:1: missed: in no case the condition holds
a.vtl:4:1: missed: no case reaches this line
a.vtl:6:1: missed: in no case there is something to loop over
a.vtl:7:3: missed: no case reaches this line`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	lay(t, "tests/two.case.json", `{"template_file": "../a.vtl", "querystring": {"x": "2"}, "output": "two\nend\n"}`)
	lay(t, "tests/none.case.json", `{"template_file": "../a.vtl", "output": "end\n"}`)
	if c := run(); c.LinesHit != 5 || c.BranchesHit != 4 {
		t.Errorf("got %s", c.String())
	}
}

// Every job's files are there, and a place that is taken is left alone.
func TestCreate(t *testing.T) {
	for _, job := range Jobs() {
		dir := t.TempDir()
		files, err := job.Create(dir)
		if err != nil || len(files) < 3*len(job.templates) {
			t.Fatalf("%s: got %v, %v", job.Name, files, err)
		}
		report, err := new(Suite).Run([]string{dir})
		if err != nil || report.Failed+report.Skipped > 0 || len(report.Coverage) != len(job.templates) {
			t.Errorf("%s: got %+v, %v", job.Name, report, err)
			continue
		}
		for _, c := range report.Coverage {
			if c.LinesHit < c.Lines {
				t.Errorf("%s: its cases leave lines out: %s", job.Name, c.String())
			}
		}
		lay(t, files[0], "mine")
		if _, err := job.Create(dir); err == nil || read(t, files[0]) != "mine" {
			t.Errorf("%s: a file that was there is %q, %v", job.Name, read(t, files[0]), err)
		}
	}
}

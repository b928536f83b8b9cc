package integration

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// A template that fails, or makes what can't be sent, costs its request, and the
// cause says where.
func TestTemplateFails(t *testing.T) {
	f := func(request, response, want string) {
		t.Helper()
		in := config.Integration{URL: "http://b/", Template: texts(map[string]string{"application/json": request})}
		s := newSetup(t, HTTP(), "/", in, map[string]config.Response{"default": {Template: texts(map[string]string{"application/json": response})}})
		s.backend.answer = func(back *proxy.Response) { back.Content = []byte(`{"n":1}`) }
		ex := s.compile().do("POST /")
		if ex.Fault == nil || ex.Fault.Kind != proxy.APIConfigurationError || !strings.Contains(ex.Fault.Error(), want) ||
			string(ex.Reply.Content) != `{"message":"Internal server error"}` || ex.Reply.Status != 500 {
			t.Errorf("got %d %s, %v", ex.Reply.Status, ex.Reply.Content, ex.Fault)
		}
	}
	f("\n $input.body.substring(9)", "", "template.application/json:2:14: substring()")
	f("x", "$input.body.substring(99)", "response.default.template.application/json:1:13: substring()")
	f("#foreach($a in [1..1000])#foreach($b in [1..1000])#foreach($c in [1..1000])1234567890#end#end#end", "", "template.application/json:1")
	f(`#set($context.requestOverride.header.X-Amzn-Trace-Id = "x")`, "", "requestOverride: X-Amzn-Trace-Id is the gateway's own")
	f(`#set($context.requestOverride.header["a b"] = "x")`, "", `requestOverride: "a b" isn't a header name`)
	f(`#set($context.requestOverride.header.X = $util.urlDecode("a%0d%0ab"))`, "", "control character")
	f("x", `#set($context.responseOverride.header.X = $util.urlDecode("a%0ab"))`, "responseOverride.header.X: the value holds a control character")
}

// Overrides: what wins, and what counts for nothing.
func TestOverride(t *testing.T) {
	f := func(response string, wantStatus int, wantFields string) {
		t.Helper()
		s := newSetup(t, HTTP(), "/", config.Integration{URL: "http://b/"}, map[string]config.Response{"default": {
			Headers: map[string]string{"X-A": "1"}, Template: texts(map[string]string{"application/json": response + "x"})}})
		ex := s.compile().do("GET /")
		got := strings.ReplaceAll(strings.Replace(withoutOurs(ex.Reply.Fields), ex.TraceID(), "T", 1), "\n", " | ")
		if got != wantFields || ex.Reply.Status != wantStatus {
			t.Errorf("%s: got %d %s, %v", response, ex.Reply.Status, got, ex.Fault)
		}
	}
	const rest = " | Content-Type: application/json | X-Amzn-Trace-Id: T"
	f("", 200, "X-A: 1"+rest)
	f("#set($context.responseOverride.status = 418)", 418, "X-A: 1"+rest)
	f(`#set($context.responseOverride.status = "418")`, 418, "X-A: 1"+rest)
	for _, status := range []string{`"x"`, "99", "600", "418.5", "101", "true", "[418]"} {
		f("#set($context.responseOverride.status = "+status+")", 200, "X-A: 1"+rest)
	}
	f(`#set($context.responseOverride.header.x-a = "2")`, 200, "x-a: 2"+rest)
	f(`#set($context.responseOverride.header.X-B = ["1", "2"])`, 200, "X-A: 1"+rest[:len(rest)-len(" | X-Amzn-Trace-Id: T")]+" | X-B: 1,2 | X-Amzn-Trace-Id: T")
	f(`#set($context.responseOverride.header.Content-Type = "a/b")`, 200, "X-A: 1 | Content-Type: a/b | X-Amzn-Trace-Id: T")
	f(`#set($context.responseOverride.header.Transfer-Encoding = "x")#set($context.responseOverride.header.x-amzn-RequestId = "x")`, 200, "X-A: 1"+rest)
	f("#set($context.responseOverride.status = 204)", 204, "X-A: 1"+rest)
}

// What a mock takes for its status.
func TestMockStatus(t *testing.T) {
	f := func(template string, want int) {
		t.Helper()
		in := config.Integration{Template: texts(map[string]string{"application/json": template})}
		s := newSetup(t, Mock(), "/", in, map[string]config.Response{"ok": {Pattern: "2..", Status: 201}, "gone": {Pattern: "4..", Status: 410}})
		if ex := s.compile().do("GET /"); ex.Reply.Status != want {
			t.Errorf("%s: got %d, want %d: %v", template, ex.Reply.Status, want, ex.Fault)
		}
	}
	f(`{"statusCode": 200}`, 201)
	f(` {"statusCode": 404, "more": {}}`, 410)
	// AWS, recorded: it is lenient.
	f(`{statusCode: 200}`, 201)
	f(`{'statusCode': 200,}`, 201)
	f(`{"statusCode": "200"}`, 201)
	for _, bad := range []string{"", "{}", "200", "[200]", `{"statusCode": 99}`, `{"statusCode": 600}`, `{"statusCode": 200.5}`, `{"statusCode": null}`, `{"statuscode": 200}`, "{", `{"statusCode": 500}`} {
		f(bad, 500)
	}
	// What passes through without a template gets the default.
	in := config.Integration{Template: texts(map[string]string{"application/json": `{"statusCode": 404}`})}
	s := newSetup(t, Mock(), "/", in, map[string]config.Response{"ok": {Status: 201}, "gone": {Pattern: "4..", Status: 410}}).compile()
	if ex := s.do("POST /", "Content-Type: text/plain"); ex.Reply.Status != 201 {
		t.Errorf("passed through: %d", ex.Reply.Status)
	}
	if ex := s.do("POST /"); ex.Reply.Status != 410 || len(ex.Reply.Content) != 0 {
		t.Errorf("mapped: %d %q", ex.Reply.Status, ex.Reply.Content)
	}
}

// fakePlugin stands for a template.
type fakePlugin struct{ err error }

func (p fakePlugin) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if ex.Reply.Status == 0 {
		ex.Out.Content = append([]byte("plugin:"), ex.Out.Content...)
		ex.Out.Fields.Add("X-Plugin", "yes")
		return proxy.Continue, p.err
	}
	ex.Reply.Content = []byte("replied")
	return proxy.Continue, p.err
}

func TestPluginForTemplate(t *testing.T) {
	in := config.Integration{URL: "http://b/", Parameters: map[string]string{"integration.request.header.X-Plugin": "'no'"},
		Template: map[string]config.Template{"application/json": {Plugin: "p"}}}
	var roles []proxy.Role
	run := func(p fakePlugin, missing error) (*setup, proxy.Steps, error) {
		s := newSetup(t, HTTP(), "/", in, map[string]config.Response{"default": {Template: map[string]config.Template{"application/json": {Plugin: "q"}}}})
		steps, err := s.kind.New(proxy.Build{
			Route:   &s.route,
			Backend: func(string, *config.Backend) (proxy.Backend, error) { return &s.backend, nil },
			Plugin: func(role proxy.Role, name string) (proxy.Steps, error) {
				roles = append(roles, role)
				if role == proxy.RequestMapperKind {
					return proxy.Steps{proxy.IntegrationRequest: p}, missing
				}
				return proxy.Steps{proxy.IntegrationResponse: p}, missing
			},
		}, s.options)
		return s, steps, err
	}
	s, steps, err := run(fakePlugin{}, nil)
	if err != nil || len(roles) != 2 || roles[0] != proxy.RequestMapperKind || roles[1] != proxy.ResponseMapperKind {
		t.Fatalf("%v, roles %v", err, roles)
	}
	s.line = proxy.NewPipeline(steps)
	ex := s.begin(&proxy.Exchange{}, "POST /")
	ex.In.Body, ex.In.Length = bodyText{strings.NewReader("x")}, 1
	s.run(ex)
	if string(s.backend.sent.Content) != "plugin:x" || s.backend.sent.Fields.Get("X-Plugin") != "no" || string(ex.Reply.Content) != "replied" {
		t.Errorf("sent %q %v, reply %q, %v", s.backend.sent.Content, s.backend.sent.Fields, ex.Reply.Content, ex.Fault)
	}
	s, steps, _ = run(fakePlugin{proxy.Fault{Kind: proxy.PluginFailure}}, nil)
	s.line = proxy.NewPipeline(steps)
	if ex := s.do("POST /"); ex.Fault == nil || ex.Fault.Kind != proxy.PluginFailure {
		t.Errorf("a failing plugin: %v", ex.Fault)
	}
	_, _, err = run(fakePlugin{}, &config.KeyError{Text: "no plugin"})
	wantErrors(t, err, "template.application/json.plugin: no plugin | ", "response.default.template.application/json.plugin: no plugin | ")
}

func TestTemplateErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.vtl")
	if err := os.WriteFile(file, []byte("ok\n#end"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(all map[string]config.Template, want ...string) {
		t.Helper()
		_, err := newSetup(t, HTTP(), "/", config.Integration{URL: "http://b/", Template: all}, map[string]config.Response{"default": {}}).steps()
		wantErrors(t, err, want...)
	}
	f(map[string]config.Template{"application/json": {File: file}}, "template.application/json: "+file+":2:1: ")
	f(map[string]config.Template{"application/json": {File: file + "x"}}, "template.application/json.file: read the template | ")
	f(map[string]config.Template{"application/json": {Text: "a\n\n  #set($x"}}, "template.application/json: line 3, column ")
	f(map[string]config.Template{"json": {}}, "template.json: isn't a media type | ")
	f(map[string]config.Template{"a/b": {}, "A/B": {}}, "template.a/b: is there twice | ")
	f(map[string]config.Template{"a/b": {Text: strings.Repeat("x", 301<<10)}}, "template.a/b: at most 307200 | ")
	f(map[string]config.Template{"a/b": {Plugin: "p"}}, "template.a/b.plugin: plugins can't be used here | ")
	_, err := newPlain(t, config.Integration{}, map[string]config.Response{"default": {Template: texts(map[string]string{"$default": ""})}}).steps()
	wantErrors(t, err, `response.default.template.$default: is for request templates | application/json`)
}

// Many requests at once see nothing of one another.
func TestTemplatesAtOnce(t *testing.T) {
	s := newSetup(t, Mock(), "/{id}", config.Integration{Template: texts(map[string]string{
		"application/json": `{"statusCode":200}#set($context.requestOverride.path.kept = $input.params("id"))`})},
		map[string]config.Response{"default": {Template: texts(map[string]string{"application/json": `$context.requestOverride.path.kept $input.params("id") $input.params("X-Id") $context.requestId`})}}).compile()
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			ex := &proxy.Exchange{}
			for i := range 200 {
				id := strings.Repeat(string(rune('a'+n)), i%30+1)
				s.begin(ex, "GET /"+id, "X-Id: "+id)
				ex.ID = id
				ex.Params = append(ex.Params, proxy.Param{Name: "id", Value: id})
				s.run(ex)
				if want := id + " " + id + " " + id + " " + id; string(ex.Reply.Content) != want {
					t.Errorf("got %q (%v), want %q", ex.Reply.Content, ex.Fault, want)
					return
				}
				ex.End()
			}
		})
	}
	all.Wait()
}

// Functions: which answer their errorMessage chooses.
func TestCustom(t *testing.T) {
	f := func(answer string, want int, wantContent string) {
		t.Helper()
		s := newSetup(t, Custom(), "/", config.Integration{Plugin: "p"}, map[string]config.Response{
			"a default": {Status: 201},
			"b missing": {Pattern: "Not Found.*", Status: 404, Template: texts(map[string]string{"application/json": `$input.path("$.errorMessage")`})},
			"c other":   {Pattern: ".+", Status: 502, Parameters: map[string]string{"method.response.header.X-Code": "integration.response.body.errorMessage.code"}},
		})
		var got string
		steps, err := s.kind.New(proxy.Build{Route: &s.route, Plugin: func(proxy.Role, string) (proxy.Steps, error) {
			return proxy.Steps{proxy.Integration: stepFunc(func(ex *proxy.Exchange) error {
				got = string(ex.Out.Content)
				ex.Back = proxy.Response{Status: 200, Content: []byte(answer)}
				return nil
			})}, nil
		}}, s.options)
		if err != nil {
			t.Fatal(err)
		}
		s.line = proxy.NewPipeline(steps)
		ex := s.do("POST /")
		if ex.Reply.Status != want || string(ex.Reply.Content) != wantContent || got != "{}" || !ex.Reply.Fields.HasKnown(http1.XAmznTraceID) {
			t.Errorf("%s: got %d %q for %q, %v", answer, ex.Reply.Status, ex.Reply.Content, got, ex.Fault)
		}
		if strings.Contains(answer, "E7") && ex.Reply.Fields.Get("X-Code") != "E7" {
			t.Errorf("%s: %v", answer, ex.Reply.Fields)
		}
	}
	f(`{"a":1}`, 201, `{"a":1}`)
	f(`plain`, 201, `plain`)
	f(``, 201, ``)
	f(`{"errorMessage":"Not Found: x"}`, 404, "Not Found: x")
	f(`{"errorMessage":"It's Not Found"}`, 502, `{"errorMessage":"It's Not Found"}`)
	// AWS: "." doesn't match a line end.
	f(`{"errorMessage":"two\nlines"}`, 201, `{"errorMessage":"two\nlines"}`)
	f(`{"errorMessage":"{\"code\":\"E7\"}"}`, 502, `{"errorMessage":"{\"code\":\"E7\"}"}`)
	f(`{"errorMessage":5}`, 201, `{"errorMessage":5}`)
}

type stepFunc func(ex *proxy.Exchange) error

func (f stepFunc) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	return proxy.Continue, f(ex)
}

// A pattern that would take for ever ends at its limit.
func TestCustomPatternLimit(t *testing.T) {
	s := newSetup(t, Custom(), "/", config.Integration{}, map[string]config.Response{"a": {Pattern: "(x+x+)+y"}})
	steps, err := s.kind.New(proxy.Build{Route: &s.route, Plugin: func(proxy.Role, string) (proxy.Steps, error) { return proxy.Steps{}, nil }}, s.options)
	if err != nil {
		t.Fatal(err)
	}
	ex := s.begin(&proxy.Exchange{}, "GET /")
	ex.Back.Content = []byte(`{"errorMessage":"` + strings.Repeat("x", 5000) + `"}`)
	_, err = steps[proxy.IntegrationResponse].Run(t.Context(), ex)
	if !errors.Is(err, proxy.Fault{Kind: proxy.APIConfigurationError}) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkTemplates(b *testing.B) {
	s := newSetup(b, HTTP(), "/pets/{id}", config.Integration{URL: "http://b/pets", Template: texts(map[string]string{
		"application/json": `{"id":"$input.params('id')","name":$input.json('$.name'),"age":$input.path('$.age'),"stage":"$context.stage"}`})},
		map[string]config.Response{"default": {Template: texts(map[string]string{"application/json": `{"ok":$input.json('$.ok')}`})}}).compile()
	s.backend.answer = func(back *proxy.Response) { back.Content = []byte(`{"ok":true}`) }
	content := []byte(`{"name":"Rex","age":7,"owner":{"name":"Ann"}}`)
	made := s.begin(&proxy.Exchange{}, "POST /pets/7?max=10", "Host: a", "Content-Type: application/json", "Accept: */*", "User-Agent: curl/8")
	ex, start := &proxy.Exchange{}, time.Now()
	b.ReportAllocs()
	for b.Loop() {
		ex.Begin(start, nil)
		ex.ID, ex.ExtendedID, ex.Route, ex.Method = made.ID, made.ExtendedID, made.Route, made.Method
		ex.In.Method, ex.In.Content, ex.In.Whole = "POST", content, true
		ex.In.Fields = append(ex.In.Fields, made.In.Fields...)
		ex.Params = append(ex.Params, proxy.Param{Name: "id", Value: "7"})
		s.line.Run(b.Context(), ex, 1<<20)
		if ex.Fault != nil {
			b.Fatal(ex.Fault)
		}
		ex.End()
	}
}

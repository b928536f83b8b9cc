package gatewayresponse

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// newStage returns a stage with these responses.
func newStage(t testing.TB, responses map[string]config.GatewayResponse) *proxy.Stage {
	t.Helper()
	stage := &proxy.Stage{API: &proxy.API{Name: "pets", ID: "a1b2c3"}, Name: "dev", Variables: map[string]string{"color": "red"}}
	cfg := &config.Config{API: map[string]config.API{"pets": {GatewayResponse: responses}}}
	if _, err := newRefusal(proxy.Build{Route: &proxy.Route{Stage: stage}}, proxy.Options{Config: cfg}); err != nil {
		t.Fatal(err)
	}
	return stage
}

// fail ends an exchange of stage, without a route, with f.
func fail(stage *proxy.Stage, f proxy.Fault, fields ...http1.Field) *proxy.Exchange {
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	ex.Stage, ex.ID, ex.In.Fields, ex.FullPath = stage, "id", fields, "/dev/x"
	ex.Fail(f)
	return ex
}

// Every type of AWS can be customised, and is then used alone; what isn't falls back
// to its class.
func TestEveryType(t *testing.T) {
	types := strings.Fields(`ACCESS_DENIED API_CONFIGURATION_ERROR AUTHORIZER_CONFIGURATION_ERROR AUTHORIZER_FAILURE
		BAD_REQUEST_PARAMETERS BAD_REQUEST_BODY EXPIRED_TOKEN INTEGRATION_FAILURE INTEGRATION_TIMEOUT INVALID_API_KEY
		INVALID_SIGNATURE MISSING_AUTHENTICATION_TOKEN QUOTA_EXCEEDED REQUEST_TOO_LARGE RESOURCE_NOT_FOUND THROTTLED
		UNAUTHORIZED UNSUPPORTED_MEDIA_TYPE WAF_FILTERED`)
	own := map[string]config.GatewayResponse{}
	for i, name := range types {
		own[name] = config.GatewayResponse{Status: 450 + i, Template: map[string]config.Document{"text/plain": {Text: "$context.error.responseType"}}}
	}
	classes := map[string]config.GatewayResponse{
		"DEFAULT_4XX": {Parameters: map[string]string{"gatewayresponse.header.X-Class": "'4'"}},
		"DEFAULT_5XX": {Parameters: map[string]string{"gatewayresponse.header.X-Class": "'5'"}},
	}
	customised, fallen := newStage(t, own), newStage(t, classes)
	seen := 0
	for kind := proxy.NoFault + 1; kind < proxy.FaultKinds; kind++ {
		plain := fail(&proxy.Stage{}, proxy.Fault{Kind: kind})
		ex := fail(fallen, proxy.Fault{Kind: kind})
		class := fmt.Sprint(kind.Status() / 100)
		if ex.Reply.Status != kind.Status() || ex.Reply.Fields.Get("X-Class") != class || string(ex.Reply.Content) != string(plain.Reply.Content) {
			t.Errorf("%v falls back to %+v", kind, ex.Reply)
		}
		ex = fail(customised, proxy.Fault{Kind: kind})
		for i, name := range types {
			if name != kind.String() {
				continue
			}
			seen++
			if ex.Reply.Status != 450+i || string(ex.Reply.Content) != name || ex.Reply.Fields.Get("x-amzn-ErrorType") != plain.Reply.Fields.Get("x-amzn-ErrorType") {
				t.Errorf("%v is %+v", kind, ex.Reply)
			}
		}
		if ex.Route != nil {
			t.Errorf("%v: a route where none matched", kind)
		}
	}
	if seen != len(types)+2 { // INTEGRATION_FAILURE and EXPIRED_TOKEN are two kinds of fault each
		t.Errorf("%d types of %d seen", seen, len(types))
	}
}

func TestTemplate(t *testing.T) {
	stage := &proxy.Stage{API: &proxy.API{Name: "pets", ID: "a1b2c3"}, Name: "dev", Variables: map[string]string{"color": "red"}}
	f := func(mediaType, text, want string) {
		t.Helper()
		parsed, err := parseTemplate(text, mediaType, stage)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		ex := fail(stage, proxy.Fault{Kind: proxy.BadRequestBody, Message: `say "no"`, Detail: `[a ("b")]`}, http1.NewField("User-Agent", `<"&'>`))
		ex.Route = &proxy.Route{Stage: stage}
		got := string(parsed.append(nil, &failure{ex, *ex.Fault, "BAD_REQUEST_BODY"}))
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	const json, html = "application/json", "text/html"
	f(json, `{"a":$context.error.messageString}`, `{"a":"say \"no\""}`)
	f(json, `{"a":"$context.error.validationErrorString","b":"\"$context.requestId"}`, `{"a":"[a (\"b\")]","b":"\"id"}`)
	f("application/problem+json", `"$context.identity.userAgent"`, `"<\"&'>"`)
	f(html, `<b>$context.identity.userAgent`, `<b>&lt;&#34;&amp;&#39;&gt;`)
	f("text/plain", `$context.identity.userAgent`, `<"&'>`)
	f("text/plain", `${context.stage}x $context.stage. $context.apiId, ${stageVariables.color}!`, `devx dev. a1b2c3, red!`)
	f("text/plain", `$method.request.header.User-Agent`, `<"&'>`)
	f("text/plain", `$5 #1 #fff $ $contextual ${x} #end $context.wafResponseCode|`, `$5 #1 #fff $ $contextual ${x} #end |`)
}

func TestTemplateErrors(t *testing.T) {
	stage := &proxy.Stage{API: &proxy.API{}, Name: "dev"}
	f := func(text, want string) {
		t.Helper()
		if _, err := parseTemplate(text, "application/json", stage); err == nil || err.Text != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	f("{\n  \"ä\": $util.x", "line 2, column 8: $util isn't known to gateway responses")
	f("$input.body", "line 1, column 1: $input isn't known to gateway responses")
	f("$context", "line 1, column 1: $context as a whole can't be printed")
	f("$context.nothing", `line 1, column 1: there is no context variable "nothing"`)
	f("$stageVariables.nothing", `line 1, column 1: stage "dev" has no variable "nothing"`)
	f("$method.request.body", `line 1, column 1: a gateway response can't have the request's content`)
	f("#set($x = 1)", "line 1, column 1: the directive #set")
	f("a#foreach ($x in $y)", "line 1, column 2: the directive #foreach")
	f(strings.Repeat("x", maxTemplate+1), "a template of 307201 bytes; at most 307200")
}

// Nothing that a client sends gets into a header as another one.
func TestHeadersAreSafe(t *testing.T) {
	stage := newStage(t, map[string]config.GatewayResponse{"DEFAULT_4XX": {Parameters: map[string]string{"gatewayresponse.header.X-Page": "method.request.querystring.page"}}})
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	ex.Stage, ex.In.RawQuery = stage, "page=1%0d%0aSet-Cookie:%20x=y"
	ex.Fail(proxy.Fault{Kind: proxy.Throttled})
	if value, found := ex.Reply.Fields.Lookup("X-Page"); found {
		t.Errorf("X-Page: %q", value)
	}
}

// A content that grows past its bound leaves the default.
func TestContentIsBounded(t *testing.T) {
	text := strings.Repeat("$method.request.header.X-Long ", 9000)
	stage := newStage(t, map[string]config.GatewayResponse{"DEFAULT_4XX": {Template: map[string]config.Document{"application/json": {Text: text}}}})
	ex := fail(stage, proxy.Fault{Kind: proxy.Throttled}, http1.NewField("X-Long", strings.Repeat("x", 8000)))
	if string(ex.Reply.Content) != `{"message":"Too Many Requests"}` {
		t.Errorf("%d bytes", len(ex.Reply.Content))
	}
}

func TestFilesAreRead(t *testing.T) {
	cfg := &config.Config{API: map[string]config.API{"pets": {GatewayResponse: map[string]config.GatewayResponse{
		"THROTTLED": {Template: map[string]config.Document{"text/plain": {File: t.TempDir() + "/none"}}}}}}}
	_, err := newRefusal(proxy.Build{Route: &proxy.Route{Stage: &proxy.Stage{API: &proxy.API{Name: "pets"}}}}, proxy.Options{Config: cfg})
	var key *config.KeyError
	if !errors.As(err, &key) || strings.Join(key.Path, ".") != "gateway_response.THROTTLED.template.text/plain.file" {
		t.Errorf("%v, %+v", err, key)
	}
}

func BenchmarkRefuse(b *testing.B) {
	stage := newStage(b, map[string]config.GatewayResponse{"DEFAULT_4XX": {
		Parameters: map[string]string{"gatewayresponse.header.X-Type": "context.error.responseType"},
		Template:   map[string]config.Document{"application/json": {Text: `{"message":$context.error.messageString,"id":"$context.requestId"}`}},
	}})
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	ex.Stage, ex.ID = stage, "5f6c0b0e"
	b.ReportAllocs()
	for b.Loop() {
		ex.Fail(proxy.Fault{Kind: proxy.Throttled})
	}
}

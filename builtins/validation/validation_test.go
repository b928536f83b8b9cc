package validation

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// newStep compiles the validator of a route "POST /{id}" with models.
func newStep(t testing.TB, models map[string]string, route config.Route) (proxy.Step, error) {
	t.Helper()
	api := config.API{Model: map[string]config.Model{}}
	for name, text := range models {
		api.Model[name] = config.Model{Schema: config.Document{Text: text}}
	}
	shared := map[any]any{}
	b := proxy.Build{
		Route: &proxy.Route{Stage: &proxy.Stage{API: &proxy.API{Name: "pets", ID: "a1b2c3"}, Name: "dev"}, Resource: "/{id}"},
		Shared: func(key any, build func() any) any {
			if shared[key] == nil {
				shared[key] = build()
			}
			return shared[key]
		},
	}
	o := proxy.Options{Config: &config.Config{API: map[string]config.API{"pets": api}}, Route: &route}
	if _, err := Models().New(b, o); err != nil {
		return nil, err
	}
	steps, err := Validator().New(b, o)
	return steps[proxy.MethodRequest], err
}

// exchange is a POST with content.
func exchange(contentType, content string) *proxy.Exchange {
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	if contentType != "" {
		ex.In.Fields.Add("Content-Type", contentType)
	}
	ex.In.Content, ex.In.Whole = []byte(content), true
	return ex
}

func TestModelIsChosenByMediaType(t *testing.T) {
	step, err := newStep(t, map[string]string{"No": `{"not":{}}`, "A": `{"type":"array"}`}, config.Route{
		Validator:     &config.Validator{Body: true},
		RequestModels: map[string]string{"application/JSON": "A", "text/plain": "Empty", "$default": "No"},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := func(contentType, content string, good bool) {
		t.Helper()
		_, err := step.Run(context.Background(), exchange(contentType, content))
		var fault proxy.Fault
		if (err == nil) != good || !good && (!errors.As(err, &fault) || fault.Kind != proxy.BadRequestBody || fault.Detail == "") {
			t.Errorf("%s %s: %v", contentType, content, err)
		}
	}
	f("application/json", `[]`, true)
	f("Application/Json;charset=utf-8", `[]`, true)
	f("application/json", `{}`, false)
	f("", `[]`, true)
	f("", ``, false) // it counts as {}
	f("text/plain", ``, true)
	f("text/plain", `7`, false)
	f("image/png", `7`, false)
}

func TestReferencesBetweenModels(t *testing.T) {
	const url = "https://apigateway.amazonaws.com/restapis/"
	route := config.Route{Validator: &config.Validator{Body: true}, RequestModels: map[string]string{"application/json": "A"}}
	f := func(text string, good bool) {
		t.Helper()
		_, err := newStep(t, map[string]string{"A": text, "B": `{"definitions":{"c":{}},"properties":{"a":{"$ref":"` + url + `a1b2c3/models/A"}}}`}, route)
		var key *config.KeyError
		if (err == nil) != good || !good && (!errors.As(err, &key) || strings.Join(key.Path, ".") != "model.A.schema" || key.Hint == "") {
			t.Errorf("%s: %v", text, err)
		}
	}
	f(`{"properties":{"b":{"$ref":"`+url+`a1b2c3/models/B"}}}`, true)
	f(`{"$ref":"`+url+`a1b2c3/models/B#/definitions/c"}`, true)
	f(`{"$ref":"`+url+`a1b2c3/models/Error"}`, true)
	f(`{"$ref":"`+url+`zzzzzz/models/B"}`, false) // another API
	f(`{"$ref":"`+url+`a1b2c3/models/C"}`, false)
	f(`{"$ref":"http://example.com/x.json"}`, false)
	f(`{"allOf":[{"$ref":"`+url+`a1b2c3/models/A"}]}`, false) // without an end
}

// Content that is too long is no content for the model.
func TestContentIsRead(t *testing.T) {
	step, err := newStep(t, nil, config.Route{Validator: &config.Validator{Body: true}, RequestModels: map[string]string{"$default": "Empty"}})
	if err != nil {
		t.Fatal(err)
	}
	line := proxy.NewPipeline(proxy.Steps{proxy.MethodRequest: step})
	for length, want := range map[int]proxy.FaultKind{100: proxy.NoFault, 101: proxy.RequestTooLarge} {
		ex := exchange("application/json", "")
		ex.In.Body, ex.In.Whole, ex.In.Length = body{strings.NewReader(`{"a":"` + strings.Repeat("x", length-8) + `"}`)}, false, http1.Unknown
		line.Run(context.Background(), ex, 100)
		if got := ex.Fault; (got == nil) != (want == proxy.NoFault) || got != nil && got.Kind != want {
			t.Errorf("%d bytes: %v", length, got)
		}
	}
}

// body is a proxy.Body.
type body struct{ *strings.Reader }

func (body) Trailers() http1.Fields { return nil }

func BenchmarkParameters(b *testing.B) {
	step, err := newStep(b, nil, config.Route{
		Validator:         &config.Validator{Parameters: true},
		RequestParameters: map[string]bool{"method.request.header.X-Id": true, "method.request.querystring.page": true, "method.request.path.id": true},
	})
	if err != nil {
		b.Fatal(err)
	}
	ex := exchange("application/json", "")
	ex.In.Fields.Add("X-Id", "4711")
	ex.In.RawQuery = "size=10&page=7"
	ex.Params = append(ex.Params, proxy.Param{Name: "id", Value: "rex"})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := step.Run(context.Background(), ex); err != nil {
			b.Fatal(err)
		}
	}
}

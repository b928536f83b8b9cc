package config

import (
	"reflect"
	"testing"
	"time"
)

// An HTTP API has defaults of its own, also as a deployment has it.
func TestHTTPAPI(t *testing.T) {
	cfg, findings := Parse("postern.toml", []byte(`
[listen.public]
address = "127.0.0.1:0"
[plugin.fn]
module = "http_api_test.go"
[api.web]
type = "http"
[api.web.stage."$default"]
[api.web.route."$default"]
integration = { type = "http_proxy", url = "http://127.0.0.1/" }
response.404.parameters = { "overwrite:statuscode" = "200" }
[api.web.route."GET /ping"]
integration = { type = "wasm", plugin = "fn" }
[api.web.route."GET /old/{a}"]
integration = { type = "wasm", plugin = "fn", payload_format = "1.0", timeout = "29s" }
[api.rest]
type = "rest"
[api.rest.stage.prod]
[api.rest.route."GET /"]
integration = { type = "wasm", plugin = "fn" }
`))
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	f := func(api, route, payload string, timeout time.Duration) {
		t.Helper()
		in := cfg.API[api].Route[route].Integration
		if in.PayloadFormat != payload || time.Duration(in.Timeout) != timeout {
			t.Errorf("%s %s: %q, %v; want %q, %v", api, route, in.PayloadFormat, time.Duration(in.Timeout), payload, timeout)
		}
	}
	check := func() {
		t.Helper()
		f("web", "$default", "", 30*time.Second)
		f("web", "GET /ping", "2.0", 30*time.Second)
		f("web", "GET /old/{a}", "1.0", 29*time.Second)
		f("rest", "GET /", "", 29*time.Second)
	}
	check()
	before := cfg.API
	for _, api := range []string{"web", "rest"} {
		d, err := cfg.Definition(api)
		if err != nil {
			t.Fatal(err)
		}
		if cfg, findings = cfg.With(api, reread(t, d)); findings.Failed() {
			t.Fatal(findings.Text())
		}
	}
	check()
	if !reflect.DeepEqual(cfg.API, before) {
		t.Errorf("got\n%+v\nwant\n%+v", cfg.API, before)
	}
}

package config

import (
	"reflect"
	"testing"
	"time"
)

// A WebSocket API has its defaults, and a deployment keeps what it is.
func TestWebSocketAPI(t *testing.T) {
	cfg, findings := Parse("postern.toml", []byte(`
listen.public.address = "127.0.0.1:0"
authorizer.signed.type = "iam"
principal.ann.access_keys = [{ id = "AKIDANN", secret = "0123456789abcdef" }]
[api.chat]
type = "websocket"
connections = "signed"
socket.idle = "1m"
stage.prod = {}
[api.chat.route."$connect"]
authorizer = "signed"
[api.chat.route."$disconnect"]
[api.chat.route.join]
integration = { type = "http_proxy", url = "http://127.0.0.1/" }
route_response = true
[api.rest]
type = "rest"
stage.prod = {}
route."GET /".integration = { type = "http_proxy", url = "http://127.0.0.1/" }
`))
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	check := func() {
		t.Helper()
		api := cfg.API["chat"]
		want := Socket{Message: 128 << 10, Frame: 32 << 10, Idle: Duration(time.Minute), Life: Duration(2 * time.Hour), Queue: 16, SendBuffer: 256 << 10}
		if api.Socket != want || api.RouteSelectionExpression != "$request.body.action" || api.Connections.Authorizer != "signed" {
			t.Errorf("got %+v, %q, %+v", api.Socket, api.RouteSelectionExpression, api.Connections)
		}
		if api.Route["join"].Integration.Upgrade || !cfg.API["rest"].Route["GET /"].Integration.Upgrade {
			t.Error("upgrades are for other APIs' integrations")
		}
	}
	check()
	before := cfg.API
	d, err := cfg.Definition("chat")
	if err != nil {
		t.Fatal(err)
	}
	if cfg, findings = cfg.With("chat", reread(t, d)); findings.Failed() {
		t.Fatal(findings.Text())
	}
	check()
	if !reflect.DeepEqual(cfg.API, before) {
		t.Errorf("got\n%+v\nwant\n%+v", cfg.API, before)
	}
}

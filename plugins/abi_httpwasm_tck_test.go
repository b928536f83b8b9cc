package plugins_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/http-wasm/http-wasm-host-go/tck"

	"github.com/postern-gateway/postern/plugins"
	"github.com/postern-gateway/postern/proxy/proxytest"
)

// The ABI's own test kit: its guest filters, its backend answers, and its client
// asks the whole gateway.
func TestHTTPWasmTCK(t *testing.T) {
	dir := t.TempDir()
	module, file := filepath.Join(dir, "tck.wasm"), filepath.Join(dir, "postern.toml")
	backend := tck.StartBackend("")
	t.Cleanup(backend.Close)
	text := fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"
[plugin.tck]
module = %q
timeout = "1m"
[api.tck]
type = "rest"
filters = ["tck"]
[api.tck.route."ANY /"]
integration = { type = "http_proxy", url = "%[2]s/" }
[api.tck.route."ANY /{proxy+}"]
integration = { type = "http_proxy", url = "%[2]s/{proxy}" }
[api.tck.stage.prod]
[domain."127.0.0.1".map]
"/" = "tck:prod"
`, module, backend.URL)
	for name, content := range map[string][]byte{module: tck.GuestWASM, file: []byte(text)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gateway := proxytest.Start(t)
	t.Cleanup(gateway.Close)
	if refused := gateway.Apply(file); refused != "" {
		t.Fatal(refused)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	alone := plugins.HTTPWasmAlone(t, module)
	client := &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == "TRACE" { // which gets no further than the gateway, for it would show a client what only backends are told
			return alone(r)
		}
		return transport.RoundTrip(r)
	})}
	tck.Run(t, client, "http://"+gateway.Addr("public"))
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

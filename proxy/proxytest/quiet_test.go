package proxytest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/net/http2"
)

// The head of an answer reaches the client before there is any content, whatever
// the two sides speak: a source of server-sent events may be quiet for long.
func TestHeadBeforeContent(t *testing.T) {
	quiet := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	backend := httptest.NewServer(http.HandlerFunc(quiet))
	defer backend.Close()
	clear := httptest.NewUnstartedServer(http.HandlerFunc(quiet))
	clear.Config.Protocols = new(http.Protocols)
	clear.Config.Protocols.SetUnencryptedHTTP2(true)
	clear.Start()
	defer clear.Close()
	file := filepath.Join(t.TempDir(), "postern.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, `
[listen.public]
address = "127.0.0.1:0"
h2c = true
[backend.h2]
protocol = "h2c"
[api.events]
type = "rest"
[api.events.route."GET /h1"]
integration = { type = "http_proxy", url = %q }
[api.events.route."GET /h2"]
integration = { type = "http_proxy", url = %q, backend = "h2" }
[api.events.stage.prod]
[domain."127.0.0.1".map]
"/" = "events:prod"
`, backend.URL, clear.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	g := Start(t)
	defer g.Close()
	if complaint := g.Apply(file); complaint != "" {
		t.Fatal(complaint)
	}
	both := map[string]http.RoundTripper{
		"HTTP/1.1": &http.Transport{},
		"HTTP/2.0": &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}},
	}
	for proto, transport := range both {
		for _, path := range []string{"/h1", "/h2"} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			r, err := http.NewRequestWithContext(ctx, "GET", "http://"+g.Addr("public")+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := transport.RoundTrip(r)
			if err != nil {
				t.Errorf("%s %s: %v", proto, path, err)
			} else {
				if response.Proto != proto || response.Header.Get("Content-Type") != "text/event-stream" {
					t.Errorf("%s %s: got %s with %v", proto, path, response.Proto, response.Header)
				}
				response.Body.Close()
			}
			cancel()
		}
		transport.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	}
}

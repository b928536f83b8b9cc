package proxytest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// vouching are the fields by which a backend would take a client's word for the
// gateway's.
var vouching = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-Prefix",
	"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-Real-IP",
	"X-Client-Cert", "X-Client-Certificate", "X-Client-Cert-Chain", "Client-Cert", "Client-Cert-Chain", "SSL-Client-Verify", "SSL-Client-Subject-DN",
	"X-SSL-Client-Cert", "X-SSL-Client-Verify", "X-SSL-Client-S-DN",
	"X-Amzn-Trace-Id", "X-Amzn-Apigateway-Api-Id", "X-Amzn-RequestId", "X-Amz-Apigw-Id",
	"X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken", "X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Subject",
	"X-Amzn-Lattice-Identity", "X-Postern-Principal", "X-Postern-Certificate",
	"X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method", "X-Method-Override", "X-HTTP-Method-Override",
	"Proxy-Authorization", "Proxy",
}

// spellings are how a client can write a name that a backend may take for it.
func spellings(name string) []string {
	return []string{
		name, strings.ToLower(name), strings.ToUpper(name),
		strings.ReplaceAll(name, "-", "_"), strings.ToLower(strings.ReplaceAll(name, "-", "_")),
		strings.Replace(name, "-", "_", 1),
	}
}

// evil is what a client says; its last word tells its requests apart.
const evil = "evil.example"

// What clients say in the gateway's name never gets to a backend: in no spelling, not
// doubled, not hidden behind Connection, not as a trailer, by no protocol.
func TestIdentityHeaders(t *testing.T) {
	b, err := startBackend("b", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	dir := t.TempDir()
	if err := WriteCertificate(dir, "site", []string{"a.localhost"}); err != nil {
		t.Fatal(err)
	}
	g := Start(t)
	defer g.Close()
	apply(t, g, fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"
h2c = true
[api.a]
type = "rest"
[api.a.stage.s]
[api.a.route."ANY /set"]
integration = { type = "http_proxy", url = "http://%[1]s/" }
[api.a.route."ANY /off"]
integration = { type = "http_proxy", url = "http://%[1]s/", forwarded = "off" }
[api.a.route."ANY /mapped"]
response.default.status = 200
[api.a.route."ANY /mapped".integration]
type = "http"
url = "http://%[1]s/"
[api.a.route."ANY /mapped".integration.parameters]
"integration.request.header.X-Forwarded-For" = "method.request.header.X-Forwarded-For"
"integration.request.header.X-Taken" = "method.request.header.X-Real-IP"
"integration.request.header.X-Control" = "method.request.header.X-Control"
`, b.addr()))

	clients := map[string]func(t *testing.T, path string, fields, trailers [][2]string){
		"HTTP/1.1": func(t *testing.T, path string, fields, trailers [][2]string) {
			sendPlain(t, g.Addr("public"), path, fields, trailers)
		},
		"HTTP/2": func(t *testing.T, path string, fields, trailers [][2]string) {
			sendHTTP2(t, g.Addr("public"), path, fields, trailers)
		},
	}
	for protocol, send := range clients {
		for _, name := range vouching {
			for _, spelt := range spellings(name) {
				value := evil
				if strings.EqualFold(spelt, "X-HTTP-Method-Override") {
					value = "PUT" // which is heeded; what isn't a method is refused
				}
				for _, path := range []string{"/s/set", "/s/off", "/s/mapped"} {
					forms := map[string]struct{ fields, trailers [][2]string }{
						"once":    {fields: [][2]string{{spelt, value}}},
						"trailer": {trailers: [][2]string{{spelt, evil}}},
					}
					if value == evil {
						forms["twice"] = struct{ fields, trailers [][2]string }{fields: [][2]string{{spelt, value}, {strings.ToLower(spelt), evil}}}
					}
					if protocol == "HTTP/1.1" {
						forms["listed"] = struct{ fields, trailers [][2]string }{fields: [][2]string{{"Connection", "close, " + spelt}, {spelt, value}}}
					}
					for form, f := range forms {
						send(t, path, append([][2]string{{"X-Control", "passes"}}, f.fields...), f.trailers)
						m := b.request(patience)
						if m == nil {
							t.Fatalf("%s %s %s %s: the backend got nothing", protocol, path, spelt, form)
						}
						told(t, fmt.Sprintf("%s %s %s %s", protocol, path, spelt, form), name, m)
					}
				}
			}
		}
	}
}

// told fails if the backend was told what the client said in the gateway's name.
func told(t *testing.T, what, name string, m *message) {
	t.Helper()
	control := false
	for _, f := range append(m.fields[:len(m.fields):len(m.fields)], m.trailers...) {
		control = control || f.name == "X-Control" && f.value == "passes" || f.name == "x-control" && f.value == "passes"
		if strings.Contains(f.value, "evil") {
			t.Errorf("%s: the backend got %s: %s", what, f.name, f.value)
		}
		if strings.EqualFold(strings.ReplaceAll(f.name, "_", "-"), "X-HTTP-Method-Override") {
			t.Errorf("%s: the backend got %s", what, f.name)
		}
	}
	if !control {
		t.Errorf("%s: the backend didn't get what may pass:\n%s", what, m)
	}
}

// sendPlain sends a request as HTTP/1.1.
func sendPlain(t *testing.T, addr, path string, fields, trailers [][2]string) {
	t.Helper()
	c, err := dial(addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	var b strings.Builder
	b.WriteString("POST " + path + " HTTP/1.1\r\nHost: a.localhost\r\nTransfer-Encoding: chunked\r\n")
	for _, f := range fields {
		b.WriteString(f[0] + ": " + f[1] + "\r\n")
	}
	b.WriteString("\r\n1\r\nx\r\n0\r\n")
	for _, f := range trailers {
		b.WriteString(f[0] + ": " + f[1] + "\r\n")
	}
	b.WriteString("\r\n")
	if err := c.send(b.String()); err != nil {
		t.Fatal(err)
	}
	reply, _, err := c.receive("POST")
	if err != nil {
		t.Fatal(err)
	}
	if reply.status() != 200 {
		t.Fatalf("%s with %q: the reply was\n%s", path, fields, reply)
	}
}

// sendHTTP2 sends a request as HTTP/2 in the clear, frame by frame, for a client's
// library would correct names.
func sendHTTP2(t *testing.T, addr, path string, fields, trailers [][2]string) {
	t.Helper()
	transport := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, _ string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "POST", "http://a.localhost"+path, io.NopCloser(strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = -1
	for _, f := range fields {
		request.Header[f[0]] = append(request.Header[f[0]], f[1])
	}
	if len(trailers) > 0 {
		request.Trailer = http.Header{}
		for _, f := range trailers {
			request.Trailer[f[0]] = append(request.Trailer[f[0]], f[1])
		}
	}
	reply, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatalf("%v: %v", fields, err)
	}
	defer reply.Body.Close()
	content, err := io.ReadAll(reply.Body)
	if reply.StatusCode != 200 || err != nil {
		t.Fatalf("%s with %q: the reply was %s %q, %v", path, fields, reply.Status, content, err)
	}
}

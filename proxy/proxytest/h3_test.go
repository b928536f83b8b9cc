package proxytest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

// Clients of HTTP/3 are asked for certificates, and judged, as those of HTTP/2 are:
// by the name that the connection was opened for, and anew after each reload.
func TestCertificatesOverHTTP3(t *testing.T) {
	g := newGuarded(t)
	over := func(serverName, own string) func(host, want string) {
		c := g.client(serverName, own)
		c.NextProtos = nil
		transport := &http3.Transport{TLSClientConfig: c}
		t.Cleanup(func() { _ = transport.Close() })
		return func(host, want string) {
			t.Helper()
			request, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+g.gateway.Addr("public")+"/", nil)
			request.Host = host
			got := ""
			if reply, err := transport.RoundTrip(request); err == nil {
				defer reply.Body.Close()
				body, err := io.ReadAll(reply.Body)
				if got = fmt.Sprintf("%d %s", reply.StatusCode, body); err != nil {
					t.Error(err)
				}
			}
			if want == "" && got != "" || !strings.HasPrefix(got, want) {
				t.Errorf("%s over %s: got %q, want %q", host, serverName, got, want)
			}
		}
	}
	const misdirected = `421 {"message":"Misdirected Request"}`
	over("shut.example", "")("shut.example", "") // the handshake fails
	over("shut.example", "olaf")("shut.example", `403 {"message":"Forbidden"}`)
	over("shut.example", "old")("shut.example", `403 {"message":"Forbidden"}`)
	over("a.wild.example", "")("a.wild.example", "")
	wild := over("a.wild.example", "ann")
	wild("a.wild.example", `200 "C=ZZ,O=Clients,CN=ann"`)
	wild("b.wild.example", misdirected) // a name of the same domain is another name
	wild("shut.example", misdirected)
	over("a.wild.example", "olaf")("a.wild.example", "403")
	over("other.example", "olaf")("other.example", `200 "C=ZZ,O=Clients,CN=olaf"`)
	open := over("open.example", "ann")
	open("open.example", `200 ""`)
	open("shut.example", misdirected)
	shut := over("shut.example", "ann")
	shut("shut.example", `200 "C=ZZ,O=Clients,CN=ann"`)
	shut("a.wild.example", misdirected)
	over("other.example", "")("other.example", `200 ""`)
	over("other.example", "ann")("other.example", "403")
	// The connection lives on, and what it showed counts no more.
	g.apply(`, revoked = ["revoked.txt"]`)
	shut("shut.example", `403 {"message":"Forbidden"}`)
	shut("open.example", `200 ""`)
}

package server

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// secure starts a gateway with a certificate and returns a client that speaks
// HTTP/2 to it over one connection, and the gateway's URL.
func secure(t *testing.T) (g *gateway, client *http.Client, url string) {
	t.Helper()
	cert, key := certificate(t)
	g = start(t, fmt.Sprintf("tls = { certificates = [{ cert = %q, key = %q }] }", cert, key))
	g.release()
	transport := &http2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return g, &http.Client{Transport: transport}, "https://localhost:" + strings.Split(g.addr(), ":")[1]
}

// The compressor of headers remembers what it sent before. An exchange's strings
// are gone by then: with views of them one answer's fields came in another's.
func TestHTTP2FieldsOfOthers(t *testing.T) {
	_, client, url := secure(t)
	for i := range 3000 {
		want := fmt.Sprintf("value-%02d", i*7919%31)
		response, err := client.Get(url + "/field?" + want)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		response.Body.Close()
		if got := response.Header.Get("X-Value"); got != want {
			t.Fatalf("request %d: got X-Value %q, want %q", i, got, want)
		}
	}
}

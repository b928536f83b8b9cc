package server

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/explain"
)

// A live request is traced in whatever protocol it comes, also if nobody takes it; and
// the trace says why.
func TestLiveTrace(t *testing.T) {
	g, http3, url := alternative(t, `limits = { body = "8B" }`)
	g.release()
	good, err := g.desk.Mint(explain.Scope{API: "a", Stage: "s", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := g.desk.Mint(explain.Scope{API: "b", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	over := func(protocols ...string) *http.Client {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}, ForceAttemptHTTP2: len(protocols) == 2}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	for _, client := range []struct {
		proto string
		*http.Client
	}{{"HTTP/1.1", over("http/1.1")}, {"HTTP/2.0", over("h2", "http/1.1")}, {"HTTP/3.0", http3}} {
		t.Run(client.proto, func(t *testing.T) {
			send := func(host, path, content, token string) (id string) {
				t.Helper()
				r, err := http.NewRequest("POST", url+path, strings.NewReader(content))
				if err != nil {
					t.Fatal(err)
				}
				r.Host = host
				r.Header.Set(explain.Header, token)
				answer, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				if text, err := io.ReadAll(answer.Body); err != nil || answer.Proto != client.proto || strings.Contains(string(text), token) {
					t.Fatalf("%s: %v, %s, %s", path, err, answer.Proto, text)
				}
				return answer.Header.Get("x-amzn-RequestId")
			}
			f := func(host, path, content, token, fault, cause string, status int) {
				t.Helper()
				id := send(host, path, content, token)
				var found *explain.Trace
				for until := time.Now().Add(time.Minute); found == nil; time.Sleep(time.Millisecond) {
					if found = g.desk.Find(id); found == nil && time.Now().After(until) {
						t.Fatalf("%s %s: no trace", host, path)
					}
				}
				got := explain.Fault{}
				if found.Fault != nil {
					got = *found.Fault
				}
				if got.Kind != fault || !strings.Contains(got.Cause, cause) || found.Reply.Status != status || found.Request.Host != host {
					t.Errorf("%s %s: %+v, status %d; want %s because %q, status %d", host, path, got, found.Reply.Status, fault, cause, status)
				}
				for _, field := range found.Request.Fields {
					if strings.Contains(field.Value, token) {
						t.Errorf("the trace has the token: %+v", field)
					}
				}
				var text strings.Builder
				if err := found.WriteText(&text); err != nil || !strings.Contains(text.String(), cause) {
					t.Errorf("%v: %s", err, text.String())
				}
			}
			f("localhost", "/nothing", "", good, "", "", 204)
			f("localhost", "/echo", "123456789", good, "REQUEST_TOO_LARGE", "limit 8", 413)
			f("localhost", "/", "", good, "MISSING_AUTHENTICATION_TOKEN", "no route of the API takes POST /", 403)
			f("a.localhost", "/dev/x", "", good, "FORBIDDEN", `no stage or base path of the host "a.localhost" begins /dev/x`, 403)
			f("a.localhost", "/dev/x", "", elsewhere, "FORBIDDEN", "/dev/x", 403)
			f("nobody.test", "/echo", "", good, "UNKNOWN_API", `no API or domain answers to the host "nobody.test"`, 404)
			for _, token := range []string{elsewhere, good[:len(good)-3] + "AAA"} {
				id := send("localhost", "/", "", token)
				f("localhost", "/nothing", "", good, "", "", 204) // which ends after that one
				if g.desk.Find(id) != nil {
					t.Error("a trace for somebody without a token of the stage")
				}
			}
			if id := send("nobody.test", "/", "", "x.y"); g.desk.Find(id) != nil {
				t.Error("a trace for somebody without a token")
			}
		})
	}
}

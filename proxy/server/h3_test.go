package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/postern-gateway/postern/proxy"
)

// alternative starts a gateway that offers HTTP/3 and returns a client that speaks it,
// and the gateway's URL.
func alternative(t *testing.T, more string) (g *gateway, client *http.Client, url string) {
	t.Helper()
	g = start(t, offering(t, more))
	g.waitHTTP3()
	return g, newHTTP3(t), g.url()
}

// offering returns what a listener has that offers HTTP/3.
func offering(t *testing.T, more string) string {
	cert, key := selfSigned(t)
	return fmt.Sprintf("tls = { certificates = [{ cert = %q, key = %q }], alpn = [\"h3\", \"h2\", \"http/1.1\"] }\n%s", cert, key, more)
}

func (g *gateway) url() string { return "https://localhost:" + strings.Split(g.addr(), ":")[1] }

// newHTTP3 returns a client with connections of its own.
func newHTTP3(t *testing.T) *http.Client {
	transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, QUICConfig: &quic.Config{MaxIdleTimeout: time.Minute}}
	t.Cleanup(func() { transport.Close() })
	return &http.Client{Transport: transport}
}

// waitHTTP3 waits until the gateway tells clients of HTTP/3.
func (g *gateway) waitHTTP3() {
	g.t.Helper()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(time.Millisecond) {
		g.mu.Lock()
		d := g.listeners["public"].datagrams.Load()
		g.mu.Unlock()
		if d != nil && d.up.Load() {
			return
		}
	}
	g.t.Fatal("HTTP/3 isn't there")
}

func TestHTTP3(t *testing.T) {
	g, client, url := alternative(t, "")
	g.release()
	f := func(method, path, content, want string, status int) {
		t.Helper()
		var body io.Reader
		if content != "" {
			body = strings.NewReader(content)
		}
		r, err := http.NewRequest(method, url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		defer response.Body.Close()
		got, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != status || !strings.Contains(string(got), want) {
			t.Errorf("%s: got %d %q, %v, want %d %q", path, response.StatusCode, got, err, status, want)
		}
		if path == "/stream" && response.Trailer.Get("X-Sum") != "abc" {
			t.Errorf("got trailers %v", response.Trailer)
		}
		if got := response.Header.Get("Alt-Svc"); got != "" {
			t.Errorf("Alt-Svc: %s over HTTP/3", got)
		}
	}
	f("POST", "/echo", "hello", "POST /echo host=localhost proto=HTTP/3.0 trailers= body=hello", 200)
	f("GET", "/echo", "", "GET /echo host=localhost proto=HTTP/3.0 trailers= body=", 200)
	f("GET", "/stream", "", "one two three", 200)
	f("GET", "/panic", "", "Internal server error", 500)
	f("GET", "/big", "", strings.Repeat("0123456789", 100_000), 200)
	f("HEAD", "/echo", "", "", 200)
	f("GET", "/nothing", "", "", 204)
	f("GET", "/teapot", "", "Too Many Requests", 429)
	f("GET", "/"+strings.Repeat("a", 11_000), "", "URI Too Long", 414)
	for _, path := range []string{"/cut", "/cutlength"} {
		response, err := client.Get(url + path)
		if err != nil {
			continue // the reset has overtaken the head
		}
		if _, err := io.ReadAll(response.Body); err == nil {
			t.Errorf("%s: a reply that broke off looks complete", path)
		}
		response.Body.Close()
	}
	if n := g.Stats().HTTP3; n == 0 {
		t.Error("no connection is counted")
	}
}

// Clients of HTTP/1.1 and HTTP/2 are told of HTTP/3, by the port that they took, in
// place of what a backend says; and only while it is there.
func TestAltSvc(t *testing.T) {
	g, _, url := alternative(t, "")
	f := func(protocols []string, host, want string) {
		t.Helper()
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}, ForceAttemptHTTP2: len(protocols) == 2}
		defer transport.CloseIdleConnections()
		r, err := http.NewRequest("GET", url+"/echo", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		response, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.Header.Get("Alt-Svc"); got != want {
			t.Errorf("%v, %s: got Alt-Svc %q, want %q", protocols, host, got, want)
		}
	}
	f([]string{"http/1.1"}, "localhost", `h3=":443"; ma=86400`)
	f([]string{"h2", "http/1.1"}, "localhost:8443", `h3=":8443"; ma=86400`)
	g.mu.Lock()
	g.listeners["public"].datagrams.Load().stop()
	g.mu.Unlock()
	f([]string{"h2", "http/1.1"}, "localhost:8443", "")
}

// What a client can't say in the header it can't say in a trailer; and informational
// answers arrive.
func TestHTTP3Fields(t *testing.T) {
	_, client, url := alternative(t, "")
	r, err := http.NewRequest("POST", url+"/echo", io.MultiReader(strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	r.Trailer = http.Header{"X-Forwarded-For": {"6.6.6.6"}, "Forwarded": {"for=6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"}, "X-Sum": {"17"}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(content), "trailers=X-Sum=17 body=x") {
		t.Errorf("got %q, %v", content, err)
	}
	response.Body.Close()
	hints := ""
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
		hints += fmt.Sprint(status, h.Get("Link"))
		return nil
	}})
	if r, err = http.NewRequestWithContext(ctx, "GET", url+"/hints", nil); err != nil {
		t.Fatal(err)
	}
	if response, err = client.Do(r); err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if want := "103</a.css>"; hints != want {
		t.Errorf("got %q before the reply, want %q", hints, want)
	}
	for i := range 300 {
		want := fmt.Sprintf("value-%02d", i*7919%31)
		response, err := client.Get(url + "/field?" + want)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.Header.Get("X-Value"); got != want {
			t.Fatalf("request %d: got X-Value %q, want %q", i, got, want)
		}
	}
}

// Content that goes both ways at once, many windows of it, arrives as it was sent.
func TestHTTP3Uploads(t *testing.T) {
	_, client, url := alternative(t, "")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			content := bytes.Repeat([]byte{'a' + byte(i)}, 3<<20+i*1000)
			response, err := client.Post(url+"/echo", "text/plain", io.MultiReader(bytes.NewReader(content))) // of unknown length
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			got, err := io.ReadAll(response.Body)
			if _, body, _ := bytes.Cut(got, []byte("body=")); err != nil || !bytes.Equal(body, content) {
				t.Errorf("got %d bytes, %v, want %d", len(got), err, len(content))
			}
		})
	}
	all.Wait()
	response, err := client.Post(url+"/echo", "text/plain", bytes.NewReader(make([]byte, 11<<20)))
	if err == nil {
		response.Body.Close()
		if response.StatusCode != 413 {
			t.Errorf("11 MiB: got %d, want 413", response.StatusCode)
		}
	}
}

// A client that gives up is noticed, and what works for it ends.
func TestHTTP3Cancelled(t *testing.T) {
	g, client, url := alternative(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/wait", nil)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		_, err := client.Do(r)
		failed <- err
	}()
	for g.Stats().InFlight == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if record := g.records.wait(0); record.fault != proxy.ClientGone {
		t.Errorf("recorded %+v", record)
	}
}

// In a drain requests under way are answered, connections end, and the port is free.
func TestHTTP3Drain(t *testing.T) {
	g, client, url := alternative(t, "")
	answers := make(chan string, 1)
	go func() {
		response, err := client.Get(url + "/hold")
		if err != nil {
			answers <- err.Error()
			return
		}
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		answers <- fmt.Sprint(string(content), err)
	}()
	for g.Stats().InFlight == 0 {
		time.Sleep(time.Millisecond)
	}
	drained := make(chan error)
	go func() { drained <- g.Drain(t.Context()) }()
	for !g.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	if _, err := newHTTP3(t).Get(url + "/echo"); err == nil {
		t.Error("a new connection was taken")
	}
	g.release()
	if got := <-answers; got != "held<nil>" {
		t.Errorf("got %q, want the answer", got)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	socket, err := net.ListenPacket("udp", g.addr())
	if err != nil {
		t.Fatalf("the port isn't free: %v", err)
	}
	socket.Close()
}

// After limits.requests requests a connection ends, and the client goes on on another.
func TestHTTP3Requests(t *testing.T) {
	g, client, url := alternative(t, "limits = { requests = 2 }")
	for i := range 2 {
		response, err := client.Get(url + "/nothing")
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		response.Body.Close()
	}
	until(t, "the connection ends", func() bool { return g.Stats().Connections == 0 })
	for i := range 4 {
		response, err := client.Get(url + "/nothing")
		if err != nil {
			t.Fatalf("later request %d: %v", i, err)
		}
		response.Body.Close()
	}
}

// While the UDP port is another's, clients use TCP, and aren't told of HTTP/3; it
// begins when the port is free.
func TestHTTP3PortInUse(t *testing.T) {
	var socket net.PacketConn
	for range 20 { // another test may have the port
		l, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", l.LocalAddr().String())
		if err == nil {
			tcp.Close()
			socket = l
			break
		}
		l.Close()
	}
	if socket == nil {
		t.Skip("no port is free for both")
	}
	g := &gateway{t: t, gate: make(chan struct{}), records: new(records), Server: New(Options{})}
	t.Cleanup(func() { g.Close() })
	g.apply(strings.Replace(fmt.Sprintf(plain, offering(t, "")), "127.0.0.1:0", socket.LocalAddr().String(), 1))
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := (&http.Client{Transport: transport}).Get(g.url() + "/echo")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := response.Header.Get("Alt-Svc"); got != "" || response.ProtoMajor != 2 {
		t.Errorf("got Alt-Svc %q over %s", got, response.Proto)
	}
	socket.Close()
	g.waitHTTP3()
	answer, err := newHTTP3(t).Get(g.url() + "/echo")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}

// Sessions are resumed, also after a reload, and without 0-RTT.
func TestHTTP3Resumption(t *testing.T) {
	more := offering(t, "")
	g := start(t, more)
	g.waitHTTP3()
	cache := tls.NewLRUClientSessionCache(4)
	for i := range 3 {
		cfg := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}, ServerName: "localhost", ClientSessionCache: cache}
		c, err := quic.DialAddrEarly(t.Context(), g.addr(), cfg, &quic.Config{})
		if err != nil {
			t.Fatal(err)
		}
		<-c.HandshakeComplete()
		transport := &http3.Transport{}
		client := transport.NewClientConn(c)
		r, _ := http.NewRequest("GET", "https://localhost/echo", nil)
		response, err := client.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		state := c.ConnectionState()
		if state.TLS.DidResume != (i > 0) || state.Used0RTT {
			t.Errorf("connection %d: resumed %t, 0-RTT %t", i, state.TLS.DidResume, state.Used0RTT)
		}
		c.CloseWithError(0x100, "")
		g.apply(fmt.Sprintf(plain, more))
	}
}

// Under load clients have to show that their address is theirs, which costs them a
// round trip.
func TestHTTP3Retry(t *testing.T) {
	g, client, url := alternative(t, "limits.client.connection_rate = 1000")
	if !g.listeners["public"].wary(0) {
		t.Error("not wary where connections of addresses are counted")
	}
	response, err := client.Get(url + "/echo")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	other, _, _ := alternative(t, "")
	l := other.listeners["public"]
	if l.wary(0) || !l.wary(calmHandshakes+1) {
		t.Error("want a client to be believed unless many come at once")
	}
}

// The bounds of a listener hold for its connections by UDP, too.
func TestHTTP3Bounds(t *testing.T) {
	g, client, url := alternative(t, "limits = { connections = 1, in_flight = 1 }")
	held := make(chan error)
	go func() {
		response, err := client.Get(url + "/hold")
		if err == nil {
			response.Body.Close()
		}
		held <- err
	}()
	for g.Stats().InFlight == 0 {
		time.Sleep(time.Millisecond)
	}
	response, err := client.Get(url + "/echo")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 503 {
		t.Errorf("a second request: got %d, want 503", response.StatusCode)
	}
	if _, err := newHTTP3(t).Get(url + "/echo"); err == nil {
		t.Error("a second connection was taken")
	}
	if n := g.Stats().Refused["connections"]; n == 0 {
		t.Error("nobody counts the connection that was refused")
	}
	g.release()
	if err := <-held; err != nil {
		t.Error(err)
	}
}

// Names and policies hold for clients of HTTP/3 as for others.
func TestHTTP3Names(t *testing.T) {
	g := start(t, offering(t, ""))
	g.release()
	g.apply(fmt.Sprintf(plain, offering(t, "")) + `
[domain."strict.test"]
access_mode = "strict"
map."/" = "a:s"
`)
	g.waitHTTP3()
	f := func(serverName, host string, want int) {
		t.Helper()
		transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: serverName}}
		defer transport.Close()
		r, err := http.NewRequest("GET", g.url()+"/echo", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		response, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("SNI %s, host %s: got %d, want %d", serverName, host, response.StatusCode, want)
		}
	}
	f("strict.test", "strict.test", 200)
	f("strict.test", "STRICT.test:8443", 200)
	f("localhost", "strict.test", 421)
	f("strict.test", "localhost", 200)
	f("localhost", "nobody.test", 404)
}

// A reload keeps connections and requests under way; one that takes HTTP/3 away asks
// its clients to go, and one that brings it back serves them again.
func TestHTTP3Reload(t *testing.T) {
	more := offering(t, "")
	g := start(t, more)
	g.waitHTTP3()
	client := newHTTP3(t)
	answers := make(chan string, 1)
	go func() {
		response, err := client.Get(g.url() + "/hold")
		if err != nil {
			answers <- err.Error()
			return
		}
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		answers <- fmt.Sprint(string(content), err)
	}()
	for g.Stats().InFlight == 0 {
		time.Sleep(time.Millisecond)
	}
	get := func(client *http.Client) error {
		response, err := client.Get(g.url() + "/echo")
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	for range 3 {
		g.apply(fmt.Sprintf(plain, more))
		if err := get(client); err != nil || g.Stats().HTTP3 != 1 {
			t.Fatalf("after a reload: %v, %d connections", err, g.Stats().HTTP3)
		}
	}
	g.apply(fmt.Sprintf(plain, strings.Replace(more, `"h3", `, "", 1)))
	if err := get(newHTTP3(t)); err == nil {
		t.Error("HTTP/3 goes on though the configuration doesn't offer it")
	}
	g.release()
	if got := <-answers; got != "held<nil>" {
		t.Errorf("what was under way: %q", got)
	}
	g.apply(fmt.Sprintf(plain, more))
	g.waitHTTP3()
	if err := get(newHTTP3(t)); err != nil {
		t.Errorf("when it is back: %v", err)
	}
}

package server

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/postern-gateway/postern/proxy"
)

// secure starts a gateway with a certificate and returns a client that speaks
// HTTP/2 to it over one connection, and the gateway's URL.
func secure(t *testing.T) (g *gateway, client *http.Client, url string) {
	t.Helper()
	cert, key := selfSigned(t)
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

// What a client can't say in the header it can't say in a trailer.
func TestTrailersPassing(t *testing.T) {
	_, client, url := secure(t)
	plain := start(t, "")
	plain.release()
	const want = "trailers=X-Sum=17 "
	got := plain.talk("POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close, X-Secret\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" +
		"X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\nX-Secret: 1\r\nX-Amzn-Trace-Id: Root=1\r\nCookie: a=b\r\nX-Sum: 17\r\n\r\n")
	if !strings.Contains(got, want) {
		t.Errorf("HTTP/1.1: got %q, want %q in it", got, want)
	}
	r, err := http.NewRequest("POST", url+"/echo", io.MultiReader(strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	r.Trailer = http.Header{"X-Forwarded-For": {"6.6.6.6"}, "Forwarded": {"for=6.6.6.6"}, "Cookie": {"a=b"}, "X-Real-Ip": {"6.6.6.6"}, "X-Sum": {"17"}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if content, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(content), want) {
		t.Errorf("HTTP/2: got %q, %v, want %q in it", content, err, want)
	}
}

// What HTTP/1.1 would read differently is refused.
func TestHTTP2Malformed(t *testing.T) {
	g, _, _ := secure(t)
	asked := 0
	f := func(method, value string, want string) {
		t.Helper()
		c, err := tls.Dial("tcp", g.addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		io.WriteString(c, http2.ClientPreface)
		framer := http2.NewFramer(c, c)
		framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		framer.WriteSettings()
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		for _, f := range []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/ignore"},
			{Name: ":authority", Value: "localhost"}, {Name: "x-http-method-override", Value: "GET"}, {Name: "x-value", Value: value}} {
			encoder.WriteField(f)
		}
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				t.Fatalf("%q, %q: %v", method, value, err)
			}
			if answer, ok := frame.(*http2.MetaHeadersFrame); ok {
				if got := answer.PseudoValue("status"); got != want {
					t.Errorf("%q, %q: got %s, want %s", method, value, got, want)
				}
				known := false
				for _, field := range answer.RegularFields() {
					known = known || field.Name == "x-amzn-requestid" && field.Value != ""
				}
				status, _ := strconv.Atoi(want)
				if r := g.records.wait(asked); r.status != status || !known {
					t.Errorf("%q, %q: recorded %+v, the client knows the request's id: %t", method, value, r, known)
				}
				asked++
				return
			}
		}
	}
	f("GET", "a b", "200")
	f("GET /evil HTTP/1.1", "a", "400")
	f("GET", " a", "400")
	f("GET", "a\t", "400")
	// Whoever looks into the log finds them all.
	for i, want := range []int{200, 400, 400, 400} {
		if r := g.records.wait(i); r.status != want || want == 400 && r.fault != proxy.BadRequest {
			t.Errorf("record %d is %+v, want status %d", i, r, want)
		}
	}
}

// A client that waits for 100 (Continue) gets it when its content is wanted, and
// one that is refused doesn't send it.
func TestHTTP2Expect(t *testing.T) {
	_, client, url := secure(t)
	for path, want := range map[string]bool{"/echo": true, "/ignore": false} {
		informed := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(status int, _ textproto.MIMEHeader) error {
			informed = status == 100
			return nil
		}})
		r, err := http.NewRequestWithContext(ctx, "POST", url+path, strings.NewReader("content"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Expect", "100-continue")
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if informed != want || response.StatusCode != 200 {
			t.Errorf("%s: got %d, 100 before: %t, want %t", path, response.StatusCode, informed, want)
		}
	}
}

// Content that goes both ways at once, many windows of it, arrives as it was sent.
func TestHTTP2Uploads(t *testing.T) {
	_, client, url := secure(t)
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
}

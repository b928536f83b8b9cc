package proxytest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// llhttpCases are the request cases of llhttp's own tests, outside the project.
const llhttpCases = "../../../shared/oracles/http1-requests/cases.json"

// served are the strict error cases whose first request is served, with why.
// The codec's own oracle test judges every case; this one looks at what becomes
// of the errors on the way through a whole gateway.
var served = map[string]string{
	"connection: `keep-alive` / No restart when keep-alive is off (1.0)":            "the first request is good and ends the connection; what follows is never read",
	"connection: `close` / CRLF between requests, explicit `close`":                 "the first request is good and ends the connection; what follows is never read",
	"connection: `close` / CRLF between requests, explicit `close` followed by tab": "the first request is good and ends the connection; what follows is never read",
}

// begun are the strict error cases whose content ends too early, so that the
// backend has heard of the request; it never gets to the content's end.
var begun = map[string]string{
	"transfer-encoding: Missing last-chunk": "content that is still to come is streamed",
}

// No request that a strict parser refuses reaches a backend, and the connection
// ends with an error.
func TestStrictErrorsAreNotForwarded(t *testing.T) {
	text, err := os.ReadFile(llhttpCases)
	if err != nil {
		t.Skipf("without llhttp's cases: %v", err)
	}
	var cases []struct {
		File, Name, Type, Verdict string
		Input                     []byte `json:"input_b64"`
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	forwarded := make(chan string, 100)
	gateway, _ := serveTraffic(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		forwarded <- fmt.Sprintf("%s %s, content %v", r.Method, r.URL, err)
	}), "limits = { header_timeout = \"200ms\", body_timeout = \"200ms\" }")
	seen := map[string]bool{}
	for _, c := range cases {
		if c.Type != "request" || c.Verdict != "error" {
			continue
		}
		name := strings.TrimSuffix(c.File, ".md")
		name = name[strings.LastIndexByte(name, '/')+1:] + ": " + c.Name
		_, known := served[name]
		seen[name] = true
		status, rest := exchangeRaw(t, gateway.Addr("public"), readdress(c.Input))
		refused := status == 400 || status == 408 || status == 501 || status == 505
		if known == refused {
			t.Errorf("%s: status %d, listed as served: %v\n%q", name, status, known, c.Input)
		}
		if !known && rest != "" {
			t.Errorf("%s: the connection went on after the refusal: %q", name, rest)
		}
		switch {
		case known:
			<-forwarded
		case begun[name] != "":
			if request := <-forwarded; !strings.HasSuffix(request, "unexpected EOF") {
				t.Errorf("%s: the backend got %s, want it cut", name, request)
			}
		}
		select {
		case request := <-forwarded:
			t.Errorf("%s: the backend got %s\n%q", name, request, c.Input)
		default:
		}
	}
	for name := range served {
		if !seen[name] {
			t.Errorf("%s: no such case", name)
		}
	}
}

// readdress gives raw a Host that the gateway has a route for, so that nothing
// but the mistake under test keeps it from the backend.
func readdress(raw []byte) []byte {
	text := regexp.MustCompile(`(?i)\nHost: [^\r\n]*`).ReplaceAllString(string(raw), "\nHost: 127.0.0.1")
	line, fields, found := strings.Cut(text, "\r\n")
	if found && !strings.Contains(text, "\nHost: ") && !strings.HasPrefix(fields, " ") {
		text = line + "\r\nHost: 127.0.0.1\r\n" + fields
	}
	return []byte(text)
}

// exchangeRaw sends raw and returns the first answer's status and what came
// after that answer.
func exchangeRaw(t *testing.T, addr string, raw []byte) (status int, rest string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(raw); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("%q: no answer: %v", raw, err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	after, _ := io.ReadAll(r)
	return response.StatusCode, string(after)
}

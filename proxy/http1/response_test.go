package http1

import (
	"fmt"
	"strings"
	"testing"
)

func (r *Response) text() string {
	s := fmt.Sprintf("%d %q 1.%d %s", r.Status, r.Reason, r.Minor, r.Framing.text())
	if r.KeepAlive {
		s += " keep"
	}
	if r.Upgrade != "" {
		s += " upgrade=" + r.Upgrade
	}
	return s
}

// expectResponse parses in with a Response that has seen another one before.
func expectResponse(t *testing.T, method, in, want string) {
	t.Helper()
	var r Response
	if _, err := r.Parse([]byte("HTTP/1.1 200 Old\r\nTransfer-Encoding: chunked\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), nil, "GET"); err != nil {
		t.Fatal(err)
	}
	n, err := r.Parse([]byte(in), nil, method)
	if err == nil {
		want += fmt.Sprintf(" (%d bytes)", len(in))
	}
	if got := outcome(n, err, r.text()); got != want {
		t.Errorf("%s %.200q\n got %.200s\nwant %.200s", method, in, got, want)
	}
}

func TestResponseLine(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		expectResponse(t, "GET", line+"Content-Length: 0\r\n\r\n", want)
	}
	f("HTTP/1.1 200 OK\r\n", `200 "OK" 1.1 length 0 keep`)
	f("HTTP/1.0 200 OK\r\n", `200 "OK" 1.0 length 0`)
	f("HTTP/1.1 200 \r\n", `200 "" 1.1 length 0 keep`)
	f("HTTP/1.1 200\r\n", `200 "" 1.1 length 0 keep`)
	f("HTTP/1.1 599 \tNot \xfcsual at all \r\n", `599 "\tNot \xfcsual at all " 1.1 length 0 keep`)
	f("HTTP/1.1 404 Not\x00Found\r\n", "502 control character in a field value")
	f("HTTP/1.1 404 Not\x7fFound\r\n", "502 control character in a field value")
	f("HTTP/1.1 200 OK\n", "502 LF without CR")
	f("HTTP/1.1 200\n", "502 LF without CR")
	f("HTTP/1.1 200 OK\rX\r\n", "502 CR without LF")
	f("HTTP/1.1 099 OK\r\n", "502 invalid status")
	f("HTTP/1.1 600 OK\r\n", "502 invalid status")
	f("HTTP/1.1 20 OK\r\n", "502 invalid status")
	f("HTTP/1.1 2000 OK\r\n", "502 invalid status")
	f("HTTP/1.1 +20 OK\r\n", "502 invalid status")
	f("HTTP/1.1  200 OK\r\n", "502 invalid status")
	f("HTTP/1.1\t200 OK\r\n", "502 invalid status")
	f("HTTP/1.1 200\tOK\r\n", "502 invalid status")
	f("HTTP/1.1\r\n", "502 invalid status")
	f("HTTP/1.2 200 OK\r\n", "502 unsupported HTTP version")
	f("HTTP/2 200 OK\r\n", "502 invalid HTTP version")
	f("ICY 200 OK\r\n", "502 invalid HTTP version")
	f("\r\nHTTP/1.1 200 OK\r\n", "502 invalid HTTP version")
	f(" HTTP/1.1 200 OK\r\n", "502 invalid HTTP version")
	f("<html>", "502 invalid HTTP version")
	long := strings.Repeat("x", DefaultLine-len("HTTP/1.1 200 "))
	f("HTTP/1.1 200 "+long+"\r\n", `200 "`+long+`" 1.1 length 0 keep`)
	f("HTTP/1.1 200 "+long+"x\r\n", "502 status line exceeds the limit")
}

func TestResponseFields(t *testing.T) {
	f := func(fields, want string) {
		t.Helper()
		expectResponse(t, "GET", "HTTP/1.1 200 OK\r\n"+fields+"\r\n", want)
	}
	f("Content-Length: 1\r\nA : b\r\n", "502 white space before the colon of a field line")
	f("A: b\r\n c\r\n", "502 white space at the start of a field line")
	f("A: b\nC: d\r\n", "502 LF without CR")
	f("A: \x01\r\n", "502 control character in a field value")
	f(strings.Repeat("A: b\r\n", DefaultFields+1), "502 more field lines than the limit")
	f(strings.Repeat("A: b\r\n", DefaultHead/6+1), "502 more field lines than the limit")
	f("A: "+strings.Repeat("b", DefaultHead)+"\r\n", "502 field lines exceed the limit")
}

func TestResponseFraming(t *testing.T) {
	f := func(method string, status, minor int, fields, want string) {
		t.Helper()
		if !strings.HasPrefix(want, "502") {
			want = fmt.Sprintf("%d \"R\" 1.%d %s", status, minor, want)
		}
		expectResponse(t, method, fmt.Sprintf("HTTP/1.%d %d R\r\n%s\r\n", minor, status, fields), want)
	}
	const cl, te = "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"
	const keep = "Connection: keep-alive\r\n"
	f("GET", 200, 1, cl, "length 5 keep")
	f("GET", 200, 0, cl, "length 5")
	f("GET", 200, 0, cl+keep, "length 5 keep")
	f("GET", 200, 1, cl+"Connection: close\r\n", "length 5")
	f("GET", 200, 1, te, "chunked keep")
	f("GET", 500, 1, te, "chunked keep")
	// Until the connection ends, whatever the server says about keeping it.
	f("GET", 200, 1, "", "until close")
	f("GET", 200, 1, keep, "until close")
	f("GET", 200, 0, keep, "until close")
	// No content.
	f("HEAD", 200, 1, cl, "length 0 keep")
	f("HEAD", 200, 1, te, "length 0 keep")
	f("HEAD", 200, 1, "", "length 0 keep")
	f("HEAD", 200, 1, "Connection: close\r\n", "length 0")
	f("GET", 304, 1, cl, "length 0 keep")
	f("GET", 304, 1, te, "length 0 keep")
	f("GET", 304, 0, "", "length 0")
	f("GET", 204, 1, "", "length 0 keep")
	f("GET", 204, 1, "Content-Length: 0\r\n", "length 0 keep")
	f("GET", 204, 1, cl, "length 0")
	f("GET", 204, 1, te, "length 0")
	f("GET", 205, 1, "", "until close")
	f("CONNECT", 200, 1, cl, "length 0 keep")
	f("CONNECT", 404, 1, cl, "length 5 keep")
	// Informational.
	f("GET", 100, 1, "", "length 0 keep")
	f("GET", 103, 1, "Link: </x>\r\n", "length 0 keep")
	f("GET", 101, 1, "Connection: Upgrade\r\nUpgrade: websocket\r\n", "length 0 keep upgrade=websocket")
	f("GET", 101, 1, "Content-Length: 0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", "length 0 keep upgrade=websocket")
	f("GET", 101, 0, "Connection: Upgrade\r\nUpgrade: websocket\r\n", "length 0")
	f("GET", 103, 1, cl, "502 content in an informational response")
	f("GET", 101, 1, te, "502 content in an informational response")
	// What nobody repairs.
	f("GET", 200, 1, cl+cl, "502 several Content-Length fields")
	f("HEAD", 200, 1, cl+cl, "502 several Content-Length fields")
	f("GET", 304, 1, cl+te, "502 Content-Length with Transfer-Encoding")
	f("GET", 200, 1, cl+te, "502 Content-Length with Transfer-Encoding")
	f("GET", 200, 0, te, "502 Transfer-Encoding in HTTP/1.0")
	f("GET", 200, 1, "Transfer-Encoding: gzip, chunked\r\n", "502 unsupported Transfer-Encoding")
	f("GET", 200, 1, "Transfer-Encoding: identity\r\n", "502 unsupported Transfer-Encoding")
	f("GET", 200, 1, "Content-Length: -1\r\n", "502 invalid Content-Length")
	f("GET", 200, 1, "Content-Length: 5, 5\r\n", "502 invalid Content-Length")
}

func TestResponseInPieces(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 5000) + "\r\n" + strings.Repeat("C: d\r\n", 100) + "\r\n"
	b := []byte(head + "content")
	var r Response
	for i := range len(head) {
		if n, err := r.Parse(b[:i], nil, "GET"); n != 0 || err != ErrIncomplete {
			t.Fatalf("after %d bytes: %d, %v", i, n, err)
		}
		if i > 0 && r.progress.seen < i-1 {
			t.Fatalf("after %d bytes only %d need not be looked at again", i, r.progress.seen)
		}
	}
	if n, err := r.Parse(b, nil, "GET"); n != len(head) || err != nil || len(r.Fields) != 101 {
		t.Errorf("the whole: %d, %v, %d fields", n, err, len(r.Fields))
	}
	if _, err := r.Parse([]byte("SSH"), nil, "GET"); err == nil || err == ErrIncomplete {
		t.Errorf("SSH: %v", err)
	}
	if _, err := r.Parse(b[:100], nil, "GET"); err != ErrIncomplete {
		t.Error(err)
	}
	r.Reset()
	if n, err := r.Parse([]byte("HTTP/1.1 204 \r\n\r\n"), nil, "GET"); n != 17 || err != nil {
		t.Errorf("after Reset: %d, %v", n, err)
	}
}

const responseHead = "HTTP/1.1 200 OK\r\nServer: nginx/1.28.0\r\nDate: Sat, 22 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json\r\n" +
	"Content-Length: 1024\r\nConnection: keep-alive\r\nETag: \"65f1c2d3-400\"\r\nCache-Control: max-age=60\r\nVary: Accept-Encoding\r\n\r\n"

func BenchmarkResponse(b *testing.B) {
	f := func(name string, last func(*lines)) {
		b.Run(name, func(b *testing.B) {
			var r Response
			head := []byte(responseHead)
			b.ReportAllocs()
			b.SetBytes(int64(len(head)))
			for b.Loop() {
				last(&r.lines)
				if n, err := r.Parse(head, nil, "GET"); n != len(head) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
	f("plain", func(l *lines) { l.all = l.all[:0] })
	f("again", func(*lines) {})
	other := strings.IndexByte(responseHead, ',') // in Date
	f("another date", func(l *lines) {
		if len(l.text) > 0 {
			l.text[other-len("HTTP/1.1 200 OK\r\n")]++
		}
	})
}

func TestResponseAllocates(t *testing.T) {
	var r Response
	head := []byte(responseHead)
	if allocs := testing.AllocsPerRun(100, func() { _, _ = r.Parse(head, nil, "GET") }); allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// small limits let the fuzzer reach them.
var small = Limits{Line: 60, Head: 120, Fields: 5}

// checkHead checks what holds for every head that was accepted: it says the same
// when it is written anew.
func checkHead(t *testing.T, line string, fs Fields) {
	t.Helper()
	again := []byte(line)
	for i := range fs {
		if !ValidFieldName(fs[i].Name) || !ValidFieldValue(fs[i].Value) {
			t.Fatalf("accepted the field %q: %q", fs[i].Name, fs[i].Value)
		}
		if fs[i].known != plainKnownName(fs[i].Name) {
			t.Fatalf("%q got the number %d", fs[i].Name, fs[i].known)
		}
		again = AppendField(again, fs[i].Name, fs[i].Value)
	}
	again = append(again, "\r\n"...)
	if strings.Count(string(again), "\n") != len(fs)+2 || strings.Count(string(again), "\r") != len(fs)+2 {
		t.Fatalf("a line got in: %q", again)
	}
}

// FuzzRequest: a head in pieces is the head as a whole, and net/http reads the
// same out of every request that is accepted.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{shortHead, browserHead, "\r\nPOST http://a:80/b?c HTTP/1.1\r\nhost:a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
		"PUT / HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive, x\r\n\r\nabc", "OPTIONS * HTTP/1.1\r\nHost: [::1]:1\r\nA:\t\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\nExpect: 100-continue\r\n\r\n"} {
		f.Add([]byte(s), uint16(len(s)/2))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		for _, lim := range []*Limits{nil, &small} {
			var whole, pieces Request
			n, err := whole.Parse(b, lim)
			want := outcome(n, err, whole.text()) + fmt.Sprint(whole.Fields)

			// Cut once, and cut everywhere.
			cut := b[:min(int(at), len(b))]
			check := func(m int, e error) {
				t.Helper()
				got := outcome(m, e, pieces.text()) + fmt.Sprint(pieces.Fields)
				if e == ErrIncomplete && err != nil {
					// It may wait with an error for the end of the head, but not more.
					m, e = pieces.Parse(append(bytes.Clone(b), "\r\n\r\n"...), lim)
					if got = outcome(m, e, ""); err == ErrIncomplete || e != nil && got == outcome(n, err, "") {
						return
					}
				}
				if got != want {
					t.Fatalf("%q cut at %d: got %s\nwant %s", b, at, got, want)
				}
			}
			if m, e := pieces.Parse(cut, lim); e == ErrIncomplete {
				m, e = pieces.Parse(b, lim)
				check(m, e)
			} else {
				check(m, e)
			}
			pieces = Request{}
			m, e := 0, ErrIncomplete
			for i := 0; i <= len(b) && e == ErrIncomplete; i++ {
				m, e = pieces.Parse(b[:i], lim)
			}
			check(m, e)

			if err != nil {
				continue
			}
			checkHead(t, string(AppendRequestLine(nil, whole.Method, whole.Target)), whole.Fields)
			compareRequest(t, &whole, b[:n])

			// What a Request has seen before makes no difference.
			host, port, err := ParseHost(whole.Host)
			if (err != nil) != (whole.Host == "") {
				t.Fatalf("%q: Host %q: %v", b, whole.Host, err)
			}
			var used Request
			for _, before := range []string{shortHead, "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n", string(b)} {
				_, _ = used.Parse([]byte(before), nil)
				if _, err := used.Parse(bytes.Clone(b), lim); err != nil || used.Name != host || used.Port != port {
					t.Fatalf("%q after %q: host %q and port %q, %v, want %q and %q", b, before, used.Name, used.Port, err, host, port)
				}
			}
		}
	})
}

// compareRequest compares r with what net/http reads out of head.
func compareRequest(t *testing.T, r *Request, head []byte) {
	t.Helper()
	head = bytes.TrimPrefix(head, []byte("\r\n"))
	theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		// It also parses the target as a URL, and has its own view of them.
		if strings.Contains(err.Error(), "parse \"") || strings.Contains(err.Error(), "invalid URL") {
			return
		}
		t.Fatalf("accepted what net/http doesn't: %q: %v", head, err)
	}
	length := theirs.ContentLength
	chunked := len(theirs.TransferEncoding) == 1 && theirs.TransferEncoding[0] == "chunked"
	if theirs.Method != r.Method || theirs.RequestURI != r.Target || theirs.ProtoMinor != r.Minor ||
		length != r.Length || chunked != r.Chunked || theirs.Close == r.KeepAlive {
		t.Fatalf("%q: net/http reads %+v, we read %+v", head, theirs, r)
	}
	host, _, err := ParseHost(r.Host)
	target, targetErr := ParseTarget(r.Method, r.Target)
	if targetErr != nil || err != nil && r.Host != "" {
		t.Fatalf("%q: host %v, target %v", head, err, targetErr)
	}
	if h, _, err := ParseHost(theirs.Host); r.Host != "" && target.Form != AuthorityForm && (err != nil || h != host) {
		t.Fatalf("%q: net/http has host %q, we %q", head, theirs.Host, r.Host)
	}
	count := 0
	for _, values := range theirs.Header {
		count += len(values)
	}
	for i := range r.Fields {
		if k := r.Fields[i].Known(); k == Host || k == TransferEncoding || k == Trailer {
			count++ // net/http takes these out
		}
	}
	if strings.EqualFold(theirs.Header.Get("Pragma"), "no-cache") {
		return // net/http adds Cache-Control
	}
	if count != len(r.Fields) {
		t.Fatalf("%q: net/http has %d fields, we %d", head, count, len(r.Fields))
	}
}

// FuzzResponse: a head in pieces is the head as a whole, and net/http frames
// every response that is accepted in the same way.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{responseHead, "HTTP/1.1 204 \r\n\r\n", "HTTP/1.0 200\r\nA: b\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n", "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n"} {
		for _, method := range []string{"GET", "HEAD", "CONNECT"} {
			f.Add([]byte(s), uint16(len(s)/2), method)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16, method string) {
		for _, lim := range []*Limits{nil, &small} {
			var whole, pieces Response
			n, err := whole.Parse(b, lim, method)
			want := outcome(n, err, whole.text()) + fmt.Sprint(whole.Fields)
			if _, e := pieces.Parse(b[:min(int(at), len(b))], lim, method); e == ErrIncomplete {
				m, e := pieces.Parse(b, lim, method)
				got := outcome(m, e, pieces.text()) + fmt.Sprint(pieces.Fields)
				if got != want && !(e == ErrIncomplete && err != nil) {
					t.Fatalf("%q cut at %d: got %s\nwant %s", b, at, got, want)
				}
			} else if e == nil != (err == nil) {
				t.Fatalf("%q cut at %d: %v, whole %v", b, at, e, err)
			}
			again := whole // which remembers lines of b, and of b with one byte changed
			if i := int(at); i < len(b) {
				other := bytes.Clone(b)
				other[i] ^= 1
				_, _ = again.Parse(other, lim, method)
			}
			again.Fields, again.progress = nil, progress{}
			if m, e := again.Parse(b, lim, method); e != ErrIncomplete || err != ErrIncomplete {
				if got := outcome(m, e, again.text()) + fmt.Sprint(again.Fields); got != want {
					t.Fatalf("%q once more: got %s\nwant %s", b, got, want)
				}
			}
			if err != nil {
				var refused *Error
				if errors.As(err, &refused) && refused.Status != 502 {
					t.Fatalf("%q: status %d", b, refused.Status)
				}
				continue
			}
			checkHead(t, string(AppendStatusLine(nil, whole.Status)), whole.Fields)
			if method != "GET" && method != "HEAD" {
				continue
			}
			theirs, e := http.ReadResponse(bufio.NewReader(bytes.NewReader(b[:n])), &http.Request{Method: method})
			if e != nil {
				t.Fatalf("accepted what net/http doesn't: %q: %v", b[:n], e)
			}
			length, chunked := theirs.ContentLength, len(theirs.TransferEncoding) > 0
			if method == "HEAD" || whole.Status < 200 || whole.Status == 204 || whole.Status == 304 {
				length, chunked = 0, false // theirs is what the fields say
			}
			if theirs.StatusCode != whole.Status || length != whole.Length || chunked != whole.Chunked {
				t.Fatalf("%q: net/http reads %+v, we read %+v", b[:n], theirs, whole)
			}
		}
	})
}

// FuzzChunked: however content is cut, the same comes out, and it is what
// net/http takes it for.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{"5\r\nhello\r\n0\r\n\r\n", "a;b=c;d=\"e\\\"\"\r\n0123456789\r\n00\r\nA: b\r\nHost: c\r\n\r\nrest",
		"1\r\nx\r\n7fffffffffffffff\r\ny", "0\r\nA: b\nC: d\r\n\r\n", "3;\r\nabc\r\n0\r\n\r\n"} {
		f.Add(s, uint16(3), uint8(5))
	}
	f.Fuzz(func(t *testing.T, in string, at uint16, destination uint8) {
		var c Chunked
		c.Reset(&small)
		content, rest, how := decode(&c, in, len(in)+1, len(in)+1)
		if how != "end" && !strings.HasPrefix(how, "end ") {
			rest = "" // of an error or of an unfinished coding nothing follows
		}
		for _, pieces := range [][]int{{1}, {int(at), len(in)}, {int(at)}} {
			c.Reset(&small)
			gotContent, gotRest, gotHow := decode(&c, in, 1+int(destination), pieces...)
			if !strings.HasPrefix(gotHow, "end") {
				gotRest = ""
			}
			if gotContent != content || gotRest != rest || gotHow != how {
				t.Fatalf("%q in pieces %v into %d: got %q, rest %q, %s\nwant %q, rest %q, %s",
					in, pieces, destination, gotContent, gotRest, gotHow, content, rest, how)
			}
		}
		// In place.
		c.Reset(&small)
		b := []byte(in)
		nd, _, _ := c.Decode(b, b)
		if string(b[:nd]) != content {
			t.Fatalf("%q in place: got %q, want %q", in, b[:nd], content)
		}
		if !strings.HasPrefix(how, "end") {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(strings.NewReader(
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+in[:len(in)-len(rest)])), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(theirs.Body)
		if string(got) != content || err != nil {
			t.Fatalf("%q: net/http reads %q, %v; we read %q", in, got, err, content)
		}
	})
}

// FuzzChunkedRoundTrip: what is encoded comes out again, in chunks of any size.
func FuzzChunkedRoundTrip(f *testing.F) {
	f.Add([]byte("hello, world"), uint8(5), uint8(3), "A", "b")
	f.Fuzz(func(t *testing.T, content []byte, chunk, piece uint8, name, value string) {
		var trailers Fields
		want := "end"
		field := NewField(name, value)
		if ValidFieldName(name) && ValidFieldValue(value) {
			trailers.Add(name, value)
			if !ForbiddenTrailer(&field) {
				want += fmt.Sprintf(" %s=%q", name, value)
			}
		}
		var coded []byte
		for rest := content; len(rest) > 0; {
			n := min(len(rest), 1+int(chunk))
			coded = AppendChunkSize(coded, n)
			coded = append(append(coded, rest[:n]...), "\r\n"...)
			rest = rest[n:]
		}
		coded = append(AppendLastChunk(coded, trailers), "rest"...)
		var c Chunked
		c.Reset(&Limits{Head: len(name) + len(value) + 4})
		got, rest, how := decode(&c, string(coded), 1+int(chunk), 1+int(piece))
		if got != string(content) || rest != "rest" || how != want {
			t.Fatalf("%q came out as %q, rest %q, %s; want %s", content, got, rest, how, want)
		}
	})
}

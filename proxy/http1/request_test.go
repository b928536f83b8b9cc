package http1

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// outcome says in a line what Parse made of a request or response head.
func outcome(n int, err error, rest string) string {
	var refused *Error
	switch {
	case errors.As(err, &refused):
		return fmt.Sprintf("%d %s", refused.Status, refused.Reason)
	case err != nil:
		return err.Error()
	}
	return fmt.Sprintf("%s (%d bytes)", rest, n)
}

func (f Framing) text() string {
	switch {
	case f.Chunked && f.Length == Unknown:
		return "chunked"
	case f.Length == Unknown:
		return "until close"
	case f.Chunked:
		return "chunked with a length?"
	}
	return fmt.Sprintf("length %d", f.Length)
}

func (r *Request) text() string {
	s := fmt.Sprintf("%s %s 1.%d host=%s %s", r.Method, r.Target, r.Minor, r.Host, r.Framing.text())
	if r.KeepAlive {
		s += " keep"
	}
	if r.ExpectContinue {
		s += " expect"
	}
	if r.Upgrade != "" {
		s += " upgrade=" + r.Upgrade
	}
	return s
}

// expectRequest parses in with a Request that has seen another one before.
func expectRequest(t *testing.T, in, want string) {
	t.Helper()
	var r Request
	if _, err := r.Parse([]byte("POST http://old/ HTTP/1.1\r\nHost: old\r\nTransfer-Encoding: chunked\r\n"+
		"Expect: 100-continue\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), nil); err != nil {
		t.Fatal(err)
	}
	n, err := r.Parse([]byte(in), nil)
	if got := outcome(n, err, r.text()); got != want {
		t.Errorf("%.200q\n got %.200s\nwant %.200s", in, got, want)
	}
}

func TestRequestLine(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		in := line + "Host: a\r\n\r\n"
		if !strings.HasPrefix(want, "4") && !strings.HasPrefix(want, "5") {
			want += fmt.Sprintf(" (%d bytes)", len(in))
		}
		expectRequest(t, in, want)
	}
	f("GET / HTTP/1.1\r\n", "GET / 1.1 host=a length 0 keep")
	f("GET / HTTP/1.0\r\n", "GET / 1.0 host=a length 0")
	// RFC 9112, 2.2: one empty line before.
	f("\r\nGET / HTTP/1.1\r\n", "GET / 1.1 host=a length 0 keep")
	f("\r\n\r\nGET / HTTP/1.1\r\n", "400 invalid method")
	f("\nGET / HTTP/1.1\r\n", "400 invalid method")
	f("\rGET / HTTP/1.1\r\n", "400 CR without LF")
	// Methods are tokens, in any case.
	f("m-search|'! / HTTP/1.1\r\n", "m-search|'! / 1.1 host=a length 0 keep")
	f(strings.Repeat("M", 32)+" / HTTP/1.1\r\n", strings.Repeat("M", 32)+" / 1.1 host=a length 0 keep")
	f(strings.Repeat("M", 33)+" / HTTP/1.1\r\n", "501 method too long")
	f(" GET / HTTP/1.1\r\n", "400 invalid method")
	f("GE(T / HTTP/1.1\r\n", "400 invalid method")
	f("GET\t/ HTTP/1.1\r\n", "400 invalid method")
	f("GET:/ HTTP/1.1\r\n", "400 invalid method")
	f("\x16\x03\x01\x02\x00\x01\x00", "400 invalid method") // TLS
	// One space, no tab, nothing at the end.
	f("GET  / HTTP/1.1\r\n", "400 invalid request target")
	f("GET /\t HTTP/1.1\r\n", "400 invalid request target")
	f("GET /  HTTP/1.1\r\n", "400 invalid HTTP version")
	f("GET /a b HTTP/1.1\r\n", "400 invalid HTTP version")
	f("GET / HTTP/1.1 \r\n", "400 invalid request line")
	f("GET / HTTP/1.1\t\r\n", "400 invalid request line")
	f("GET / HTTP/1.1\n", "400 LF without CR")
	f("GET / HTTP/1.1\r", "400 CR without LF")
	f("GET /\r\n", "400 invalid request target")
	f("GET\r\n", "400 invalid method")
	// Versions.
	f("GET / HTTP/1.2\r\n", "505 unsupported HTTP version")
	f("GET / HTTP/2.0\r\n", "505 unsupported HTTP version")
	f("GET / HTTP/0.9\r\n", "505 unsupported HTTP version")
	f("PRI * HTTP/2.0\r\n", "505 unsupported HTTP version")
	f("GET / HTTP/1.11\r\n", "400 invalid request line")
	f("GET / HTTP/01.1\r\n", "400 invalid HTTP version")
	f("GET / HTTP/1,1\r\n", "400 invalid HTTP version")
	f("GET / http/1.1\r\n", "400 invalid HTTP version")
	f("GET / HTTP/1.\r\n", "400 invalid HTTP version")
	f("GET / HTTPS/1.1\r\n", "400 invalid HTTP version")
	// Targets.
	f("GET /%zz\"<>\\^`{|}?a=b?c HTTP/1.1\r\n", "GET /%zz\"<>\\^`{|}?a=b?c 1.1 host=a length 0 keep")
	f("GET /a#b HTTP/1.1\r\n", "400 invalid request target")
	f("GET /\x80 HTTP/1.1\r\n", "400 invalid request target")
	f("GET /\x7f HTTP/1.1\r\n", "400 invalid request target")
	f("GET /\x00 HTTP/1.1\r\n", "400 invalid request target")
	f("GET a HTTP/1.1\r\n", "400 invalid request target")
	f("GET ?a HTTP/1.1\r\n", "400 invalid request target")
	f("GET * HTTP/1.1\r\n", "400 invalid request target")
	f("OPTIONS * HTTP/1.1\r\n", "OPTIONS * 1.1 host=a length 0 keep")
	f("CONNECT a:443 HTTP/1.1\r\n", "CONNECT a:443 1.1 host=a length 0 keep")
	f("CONNECT / HTTP/1.1\r\n", "400 invalid request target")
	f("GET a:443 HTTP/1.1\r\n", "400 invalid request target")
	// Absolute-form and Host.
	f("GET http://a/ HTTP/1.1\r\n", "GET http://a/ 1.1 host=a length 0 keep")
	f("GET HTTP://A:80?x HTTP/1.1\r\n", "GET HTTP://A:80?x 1.1 host=a length 0 keep")
	f("GET https://a:443/ HTTP/1.1\r\n", "GET https://a:443/ 1.1 host=a length 0 keep")
	f("GET http://b/ HTTP/1.1\r\n", "400 request target and Host differ")
	f("GET http://a:81/ HTTP/1.1\r\n", "400 request target and Host differ")
	f("GET http://a:443/ HTTP/1.1\r\n", "400 request target and Host differ")
	f("GET http://a@a/ HTTP/1.1\r\n", "400 invalid request target")
	f("GET ftp://a/ HTTP/1.1\r\n", "400 invalid request target")
	// The limit.
	long := "/" + strings.Repeat("a", DefaultLine-len("GET / HTTP/1.1"))
	f("GET "+long+" HTTP/1.1\r\n", "GET "+long+" 1.1 host=a length 0 keep")
	f("GET "+long+"a HTTP/1.1\r\n", "414 request line exceeds the limit")
	f("GET "+long+"aaaaaaaaaaaaaaaaaa\x00", "414 request line exceeds the limit")
}

func TestRequestFields(t *testing.T) {
	f := func(fields, want string) {
		t.Helper()
		in := "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"
		if want == "" {
			want = fmt.Sprintf("GET / 1.1 host=a length 0 keep (%d bytes)", len(in))
		}
		expectRequest(t, in, want)
	}
	f("", "")
	f("A:\r\nB: \t \r\nC:c\r\n", "")
	f("A: \x80\xff \t b\r\n", "")
	f("!#$%&'*+-.^_`|~09azAZ: x\r\n", "")
	// Names.
	f(": x\r\n", "400 empty field name")
	f("A : x\r\n", "400 white space before the colon of a field line")
	f("A\t: x\r\n", "400 white space before the colon of a field line")
	f("A B: x\r\n", "400 white space before the colon of a field line")
	f("A\x00: x\r\n", "400 invalid character in a field name")
	f("\xc3\xa4: x\r\n", "400 invalid character in a field name")
	f("A\"B: x\r\n", "400 invalid character in a field name")
	f("A\r\n", "400 field line without colon")
	f("A\n", "400 LF without CR")
	// Line ends and folding.
	f("A: b\n", "400 LF without CR")
	f("A: b\nC: d\r\n", "400 LF without CR")
	f("A: b\rC: d\r\n", "400 CR without LF")
	f("A: b\r\r\n", "400 CR without LF")
	f("A: b\r\n c\r\n", "400 white space at the start of a field line")
	f("A: b\r\n\tc: d\r\n", "400 white space at the start of a field line")
	f("\rA: b\r\n", "400 CR without LF")
	f("\nA: b\r\n", "400 LF without CR")
	// Control characters in values.
	for c := range 0x80 {
		switch {
		case c == '\n' || c == '\r':
		case c == '\t' || c >= 0x20 && c != 0x7f:
			f("A: b"+string(rune(c))+"c\r\n", "")
		default:
			f("A: b"+string(rune(c))+"c\r\n", "400 control character in a field value")
			f("A: 12345678901234567890"+string(rune(c))+"\r\n", "400 control character in a field value")
		}
	}
	// Limits.
	rest := DefaultHead - len("Host: a\r\n") - len("A: \r\n")
	f("A: "+strings.Repeat("b", rest)+"\r\n", "")
	f("A: "+strings.Repeat("b", rest+1)+"\r\n", "431 field lines exceed the limit")
	f(strings.Repeat("A: b\r\n", DefaultFields-1), "")
	f(strings.Repeat("A: b\r\n", DefaultFields), "431 more field lines than the limit")
	// What lies behind the limit doesn't matter.
	f("A: "+strings.Repeat("b", rest+2)+"\x00\r\n", "400 control character in a field value")
	f("A: "+strings.Repeat("b", rest+4)+"\x00\r\n", "431 field lines exceed the limit")
}

func TestRequestFieldsAsSent(t *testing.T) {
	in := "GET / HTTP/1.1\r\nhOST: \t a:8080 \r\nx-A:1\r\nX-a: 2\t\r\nCookie:\r\n\r\n"
	var r Request
	if _, err := r.Parse([]byte(in), nil); err != nil {
		t.Fatal(err)
	}
	want := []Field{{"hOST", "a:8080", Host}, {"x-A", "1", Other}, {"X-a", "2", Other}, {"Cookie", "", Cookie}}
	if fmt.Sprint([]Field(r.Fields)) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", r.Fields, want)
	}
	if got := r.Fields.Get("X-A"); got != "1" {
		t.Errorf("Get gives %q, want the first", got)
	}
	if r.Host != "a:8080" {
		t.Errorf("Host is %q", r.Host)
	}
}

func TestRequestHost(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		in += "\r\n"
		if !strings.HasPrefix(want, "4") {
			want += fmt.Sprintf(" (%d bytes)", len(in))
		}
		expectRequest(t, in, want)
	}
	f("GET / HTTP/1.1\r\n", "400 missing Host")
	f("GET / HTTP/1.0\r\n", "GET / 1.0 host= length 0")
	f("GET http://b:81/ HTTP/1.0\r\n", "GET http://b:81/ 1.0 host=b:81 length 0")
	f("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", "400 several Host fields")
	f("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n", "400 several Host fields")
	f("GET / HTTP/1.1\r\nHost:\r\n", "400 invalid Host")
	f("GET / HTTP/1.0\r\nHost:\r\n", "400 invalid Host")
	f("GET / HTTP/1.1\r\nHost: a b\r\n", "400 invalid Host")
	f("GET / HTTP/1.1\r\nHost: a, b\r\n", "400 invalid Host")
	f("GET / HTTP/1.1\r\nHost: a/b\r\n", "400 invalid Host")
	f("GET / HTTP/1.1\r\nHost: u@a\r\n", "400 invalid Host")
	f("GET / HTTP/1.1\r\nHost: A.B:80\r\n", "GET / 1.1 host=A.B:80 length 0 keep")
}

func TestRequestFraming(t *testing.T) {
	f := func(minor int, fields, want string) {
		t.Helper()
		in := fmt.Sprintf("PUT / HTTP/1.%d\r\nHost: a\r\n%s\r\n", minor, fields)
		if !strings.HasPrefix(want, "4") && !strings.HasPrefix(want, "5") {
			keep := ""
			if minor == 1 {
				keep = " keep"
			}
			want = fmt.Sprintf("PUT / 1.%d host=a %s%s (%d bytes)", minor, want, keep, len(in))
		}
		expectRequest(t, in, want)
	}
	const cl, te = "Content-Length: ", "Transfer-Encoding: "
	f(1, "", "length 0")
	f(1, cl+"0\r\n", "length 0")
	f(1, cl+"42\r\n", "length 42")
	f(0, cl+"42\r\n", "length 42")
	f(1, cl+" \t 0042 \r\n", "length 42")
	f(1, cl+"9223372036854775807\r\n", "length 9223372036854775807")
	f(1, cl+"9223372036854775808\r\n", "400 invalid Content-Length")
	f(1, cl+"9999999999999999999\r\n", "400 invalid Content-Length")
	f(1, cl+"18446744073709551617\r\n", "400 invalid Content-Length")
	f(1, cl+"00000000000000000001\r\n", "400 invalid Content-Length")
	for _, bad := range []string{"", "+1", "-1", "1 2", "1,1", "1, 1", "0x1", "1.0", "1e1", "a", "١", "1_0", "\"1\"", "1;"} {
		f(1, cl+bad+"\r\n", "400 invalid Content-Length")
	}
	// Even when they agree.
	f(1, cl+"1\r\n"+cl+"1\r\n", "400 several Content-Length fields")
	f(1, cl+"1\r\n"+cl+"2\r\n", "400 several Content-Length fields")
	f(1, te+"chunked\r\n", "chunked")
	f(1, te+"\t CHUNKed \r\n", "chunked")
	f(0, te+"chunked\r\n", "400 Transfer-Encoding in HTTP/1.0")
	f(1, te+"chunked\r\n"+cl+"1\r\n", "400 Content-Length with Transfer-Encoding")
	f(1, cl+"0\r\n"+te+"identity\r\n", "400 Content-Length with Transfer-Encoding")
	f(1, te+"chunked\r\n"+te+"chunked\r\n", "400 several Transfer-Encoding fields")
	f(1, te+"chunked\r\n"+te+"identity\r\n", "400 several Transfer-Encoding fields")
	for _, bad := range []string{"", ",", "chunked, chunked", "chunked, gzip", "chunked;a=b", "\"chunked\"", "chun\xe2\x84\xaaed", "chunked gzip"} {
		f(1, te+bad+"\r\n", "400 invalid Transfer-Encoding")
	}
	for _, bad := range []string{"gzip, chunked", "gzip", "identity", "xchunked", "chunkedchunked", "chunked,", ", chunked", "'chunked'"} {
		f(1, te+bad+"\r\n", "501 unsupported Transfer-Encoding")
	}
}

func TestRequestConnection(t *testing.T) {
	f := func(minor int, fields, want string) {
		t.Helper()
		in := fmt.Sprintf("PUT / HTTP/1.%d\r\nHost: a\r\nContent-Length: 1\r\n%s\r\n", minor, fields)
		if !strings.HasPrefix(want, "4") {
			want = strings.TrimSuffix(fmt.Sprintf("PUT / 1.%d host=a length 1 %s", minor, want), " ")
			want += fmt.Sprintf(" (%d bytes)", len(in))
		}
		expectRequest(t, in, want)
	}
	f(1, "", "keep")
	f(0, "", "")
	f(1, "Connection: close\r\n", "")
	f(1, "Connection: , a ,\t CLOSE ,\r\n", "")
	f(1, "Connection: a\r\nConnection: close\r\n", "")
	f(1, "Connection: closed, not-close\r\n", "keep")
	f(0, "Connection: Keep-Alive\r\n", "keep")
	f(0, "Connection: keep-alive, close\r\n", "")
	f(0, "Connection: \xe2\x84\xaaeep-alive\r\n", "") // the Kelvin sign is no K
	f(1, "Proxy-Connection: close\r\n", "keep")
	f(1, "Connection: upgrade\r\nUpgrade: websocket\r\n", "keep upgrade=websocket")
	f(1, "Upgrade: websocket\r\n", "keep")
	f(1, "Connection: upgrade\r\n", "keep")
	f(0, "Connection: upgrade\r\nUpgrade: websocket\r\n", "")
	f(1, "Expect: 100-Continue\r\n", "keep expect")
	f(0, "Expect: 100-continue\r\n", "")
	f(1, "Expect: 200-ok\r\n", "keep")
	f(1, "Connection: "+strings.Repeat("a,", maxOptions)+"\r\n", "keep")
	f(1, "Connection: "+strings.Repeat("a,", maxOptions+1)+"\r\n", "400 too many connection options")
	// Nothing to continue with.
	in := "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"
	expectRequest(t, in, fmt.Sprintf("GET / 1.1 host=a length 0 keep (%d bytes)", len(in)))
}

// A head that comes byte by byte ends like one that comes whole, after a bounded
// number of attempts, and what can't become a request is refused at once.
func TestRequestInPieces(t *testing.T) {
	head := "\r\nPOST /" + strings.Repeat("p", 3000) + " HTTP/1.1\r\nHost: a\r\nA: \tb\t\tc\r\n" +
		strings.Repeat("Field: "+strings.Repeat("v\t", 30)+"\r\n", 100) + "\r\n"
	var r Request
	attempts := 0
	b := []byte(head)
	for i := range len(head) {
		before := r.progress
		n, err := r.Parse(b[:i], nil)
		if n != 0 || err != ErrIncomplete {
			t.Fatalf("after %d bytes: %d, %v", i, n, err)
		}
		if before.due(b[:i]) {
			attempts++
		}
		if i > 0 && r.progress.seen < i-1 {
			t.Fatalf("after %d bytes only %d need not be looked at again", i, r.progress.seen)
		}
	}
	if limit := earlyBytes + 5; attempts > limit {
		t.Errorf("%d attempts, want %d at most", attempts, limit)
	}
	n, err := r.Parse([]byte(head+"more"), nil)
	if n != len(head) || err != nil {
		t.Errorf("the whole: %d, %v", n, err)
	}

	early := func(in, want string) {
		t.Helper()
		var r Request
		b := []byte(in)
		for i := range len(in) + 1 {
			n, err := r.Parse(b[:i], nil)
			if err == ErrIncomplete && i < len(in) {
				continue
			}
			if got := outcome(n, err, "ok"); i < len(in) || got != want {
				t.Errorf("%.60q: after %d of %d bytes: %s, want %s", in, i, len(in), got, want)
			}
			return
		}
	}
	early("\x16", "400 invalid method")
	early("SSH-2.0-OpenSSH_9.2p1 Debian X", "400 invalid HTTP version")
	early("GET / HTTX", "400 invalid HTTP version")
	early("GET /"+strings.Repeat("a", 100)+"\n", "400 invalid request target")
	early("GET / HTTP/1.1\r\nHost: a\r\n"+strings.Repeat("A: b\r\n", 20)+"B\n", "400 LF without CR")
	early("GET / HTTP/1.1\r\nHost: a\r\n"+strings.Repeat("A: b\r\n", 20)+"B: \rc", "400 CR without LF")
	early("GET / HTTP/1.1\r\nHost: a\r\n"+strings.Repeat("A: b\r\n", 20)+"B: \x00", "400 control character in a field value")
	early("GET /"+strings.Repeat("a", 100)+" HTTP/1.1\r\nHost: a\r\n@: b\r\n", "incomplete head") // only at its end
	early("GET /"+strings.Repeat("a", 100)+" HTTP/2.0\r\n", "505 unsupported HTTP version")
	early(strings.Repeat("A", 33), "501 method too long")
	early("GET /"+strings.Repeat("a", DefaultLine+2-5), "414 request line exceeds the limit")
	early("GET / HTTP/1.1\r\nA: "+strings.Repeat("a", DefaultHead+2-3), "431 field lines exceed the limit")
}

func TestRequestReset(t *testing.T) {
	var r Request
	partial := "GET / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("b", 500)
	if _, err := r.Parse([]byte(partial), nil); err != ErrIncomplete {
		t.Fatal(err)
	}
	r.Reset()
	whole := "GET / HTTP/1.1\r\nHost: b\r\n\r\n" + strings.Repeat("x", 600)
	if n, err := r.Parse([]byte(whole), nil); n != 27 || err != nil || r.Host != "b" {
		t.Errorf("after Reset: %d, %v, host %q", n, err, r.Host)
	}
	// A shorter head can't be the same one.
	if _, err := r.Parse([]byte(partial), nil); err != ErrIncomplete {
		t.Fatal(err)
	}
	if n, err := r.Parse([]byte(whole)[:27], nil); n != 27 || err != nil {
		t.Errorf("a shorter head: %d, %v", n, err)
	}
	// After an error, method and target are there for the log, and nothing else is.
	_, err := r.Parse([]byte("PUT /x HTTP/1.1\r\nHost: c\r\nA B: c\r\n\r\n"), nil)
	if err == nil || r.Method != "PUT" || r.Target != "/x" || r.Host != "" || len(r.Fields) != 0 {
		t.Errorf("after an error: %+v, %v", r, err)
	}
	_, err = r.Parse([]byte("\x00"), nil)
	if err == nil || r.Method != "" || r.Target != "" {
		t.Errorf("after an error: %+v, %v", r, err)
	}
}

func TestLimits(t *testing.T) {
	f := func(lim *Limits, in, want string) {
		t.Helper()
		var r Request
		n, err := r.Parse([]byte(in), lim)
		if got := outcome(n, err, "ok"); got != want {
			t.Errorf("%+v %q: got %s, want %s", lim, in, got, want)
		}
	}
	in := "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n"
	f(&Limits{Line: 14, Head: 15, Fields: 2}, in, "ok (33 bytes)")
	f(&Limits{Line: 14, Head: 15, Fields: 2}, "\r\n"+in, "ok (35 bytes)")
	f(&Limits{Line: 13, Head: 15, Fields: 2}, in, "414 request line exceeds the limit")
	f(&Limits{Line: 13}, "\r\n"+in, "414 request line exceeds the limit")
	f(&Limits{Line: 14, Head: 14, Fields: 2}, in, "431 field lines exceed the limit")
	f(&Limits{Line: 14, Head: 15, Fields: 1}, in, "431 more field lines than the limit")
	f(&Limits{Head: -1}, in, "ok (33 bytes)")
	f(&Limits{}, in, "ok (33 bytes)")
}

const (
	shortHead = "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: wrk\r\n\r\n"

	browserHead = "GET /pets/42/photos?size=large&page=2 HTTP/1.1\r\nHost: api.example.com\r\nConnection: keep-alive\r\n" +
		"sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\nsec-ch-ua-platform: \"Linux\"\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
		"Accept: application/json, text/plain, */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n" +
		"Referer: https://www.example.com/gallery/2026/summer\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\nCookie: session=c2Vzc2lvbi1pZC0wMTIzNDU2Nzg5YWJjZGVm; theme=dark; seen=1,2,3,5,8\r\n\r\n"
)

func BenchmarkRequest(b *testing.B) {
	for _, c := range []struct{ name, head string }{{"short", shortHead}, {"browser", browserHead}} {
		b.Run(c.name, func(b *testing.B) {
			var r Request
			head := []byte(c.head)
			lim := &Limits{Line: DefaultLine, Head: DefaultHead, Fields: DefaultFields}
			b.ReportAllocs()
			b.SetBytes(int64(len(head)))
			for b.Loop() {
				if n, err := r.Parse(head, lim); n != len(head) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
	b.Run("bytewise", func(b *testing.B) {
		var r Request
		head := []byte(browserHead)
		b.ReportAllocs()
		for b.Loop() {
			for i := range len(head) {
				_, _ = r.Parse(head[:i], nil) // incomplete
			}
			if _, err := r.Parse(head, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestRequestAllocates(t *testing.T) {
	var r Request
	head := []byte(browserHead)
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := r.Parse(head, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Parse(head[:200], nil); err != ErrIncomplete {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

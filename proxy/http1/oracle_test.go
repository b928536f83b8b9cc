package http1

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// llhttpCases are the request cases of llhttp's own tests, outside the project.
const llhttpCases = "../../../shared/oracles/http1-requests/cases.json"

// difference is a case that is judged differently: what becomes of it here, and
// why that is right.
type difference struct{ got, why string }

// stricter are the cases that llhttp takes in its strict mode and this package
// refuses, although they got a Host.
var stricter = map[string]difference{
	"connection: `keep-alive` / CRLF between requests, implicit `keep-alive`": {"read 1, refused 400 invalid method",
		"one empty line before a request is what RFC 9112, 2.2 asks for; two are nobody's habit"},
	"method: M-SEARCH request": {"read 0, refused 400 invalid request target",
		"RFC 9112, 3.2.4: the asterisk is for OPTIONS"},
	"method: SOURCE request with ICE": {"read 0, refused 400 invalid HTTP version",
		"not HTTP"},
	"method: OPTIONS request with RTSP": {"read 0, refused 400 invalid HTTP version",
		"not HTTP"},
	"method: ANNOUNCE request with RTSP": {"read 0, refused 400 invalid HTTP version",
		"not HTTP"},
	"method: PRI request HTTP2": {"read 0, refused 400 invalid request target",
		"RFC 9112, 3.2.4: the asterisk is for OPTIONS; HTTP/2 begins with PRI * HTTP/2.0"},
	"sample: curl GET": {"read 0, refused 400 invalid Host",
		"a Host that no name in the DNS can be"},
	"sample: Firefox GET": {"read 0, refused 400 invalid Host",
		"a Host that no name in the DNS can be"},
	"sample: No HTTP version": {"read 0, refused 400 invalid request target",
		"HTTP/0.9"},
	"transfer-encoding: POST with `chunked` as last transfer-encoding": {"read 0, refused 501 unsupported Transfer-Encoding",
		"RFC 9112, 6.1: codings that aren't implemented"},
	"transfer-encoding: POST with `chunked` as last transfer-encoding (multiple headers)": {"read 0, refused 400 several Transfer-Encoding fields",
		"exactly one chunked: some parsers look at the first field only, some at the last"},
	"uri: Fragment in URI": {"read 0, refused 400 invalid request target",
		"RFC 9112, 3.2: no form of a target has a fragment, and what some cut off others route by"},
	"uri: `host:port` and basic auth": {"read 0, refused 400 invalid request target",
		"RFC 9110, 4.2.4: user information is to be treated as an error"},
}

// looser are the cases that llhttp refuses, if only in its strict mode, and this
// package doesn't.
var looser = map[string]difference{
	"connection: `keep-alive` / No restart when keep-alive is off (1.0)": {"read 1, then closes",
		"what follows is never read"},
	"connection: `keep-alive` / Resetting flags when keep-alive is off (1.0, lenient)": {"read 1, then closes",
		"what follows is never read"},
	"connection: `close` / CRLF between requests, explicit `close`": {"read 1, then closes",
		"what follows is never read"},
	"connection: `close` / CRLF between requests, explicit `close` followed by tab": {"read 1, then closes",
		"what follows is never read"},
	"connection: `close` / CRLF between requests, explicit `close` (lenient)": {"read 1, then closes",
		"what follows is never read"},
	"invalid: HTTP protocol and ANNOUNCE method": {"read 1, then closes",
		"RFC 9110, 9.1: methods are an open set; no route has this one"},
	"invalid: Invalid method": {"read 1",
		"RFC 9110, 9.1: methods are an open set; no route has this one"},
}

// hostless are the cases that llhttp takes in its strict mode and that this
// package refuses only because they are HTTP/1.1 without Host. RFC 9112, 3.2.
var hostless = []string{
	"connection: `keep-alive` / Setting flag",
	"connection: `keep-alive` / Restarting when keep-alive is explicitly",
	"connection: `close` / Setting flag on `close`",
	"connection: `close` / Setting flag on `close` followed by tab",
	"connection: Parsing multiple tokens / Sample",
	"connection: Parsing multiple tokens / Multiple tokens with folding and LWS",
	"connection: `upgrade` / Setting a flag and pausing",
	"connection: `upgrade` / Emitting part of body and pausing",
	"content-length: `Content-Length` with zeroes",
	"content-length: `Content-Length` with follow-up headers",
	"content-length: Spaces in `Content-Length` (surrounding)",
	"content-length: Spaces in `Content-Length` (surrounding) / Tabs in `Content-Length` (surrounding)",
	"content-length: Content-Length reset when no body is received",
	"finish: It should be safe to finish after GET request",
	"method: REPORT request",
	"method: PRI request HTTP2",
	"pausing: on_message_begin",
	"pausing: on_message_complete",
	"pausing: on_protocol_complete",
	"pausing: on_method_complete",
	"pausing: on_url_complete",
	"pausing: on_version_complete",
	"pausing: on_header_field_complete",
	"pausing: on_header_value_complete",
	"pausing: on_headers_complete",
	"pausing: on_chunk_header",
	"pausing: on_chunk_extension_name",
	"pausing: on_chunk_extension_value",
	"pausing: on_chunk_complete",
	"pipelining: Should parse multiple events",
	"sample: Simple request",
	"sample: Request with method starting with `H`",
	"sample: DUMBPACK",
	"sample: No headers and no body",
	"sample: One header and no body",
	"sample: Prefix newline",
	"sample: Request starting with CRLF",
	"sample: Extended Characters",
	"sample: 255 ASCII in header value",
	"transfer-encoding: `chunked` / Parsing and setting flag",
	"transfer-encoding: `chunked` / Parse chunks with lowercase size",
	"transfer-encoding: `chunked` / Parse chunks with uppercase size",
	"transfer-encoding: `chunked` / POST with `Transfer-Encoding: chunked`",
	"transfer-encoding: `chunked` / Two chunks and triple zero prefixed end chunk",
	"transfer-encoding: `chunked` / Trailing headers",
	"transfer-encoding: `chunked` / Chunk extensions",
	"transfer-encoding: `chunked` / Chunk extensions quoting",
	"uri: Quotes in URI",
	"uri: Query URL with question mark",
	"uri: Host terminated by a query string",
	"uri: `host:port` terminated by a query string",
	"uri: Query URL with vertical bar character",
	"uri: `host:port` terminated by a space",
	"uri: `host:port` and basic auth",
}

// TestOracle compares with llhttp: nothing that it refuses is accepted, and
// nothing that it accepts is refused, but for the lists, which are exact.
func TestOracle(t *testing.T) {
	text, err := os.ReadFile(llhttpCases)
	if err != nil {
		t.Skipf("the oracle isn't here: %v", err)
	}
	var cases []struct {
		File, Name, Verdict string
		Lenient             bool
		Input               []byte `json:"input_b64"`
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 150 {
		t.Fatalf("only %d cases", len(cases))
	}
	seen := map[string]int{}
	used := map[string]bool{}
	for _, c := range cases {
		name := strings.TrimSuffix(strings.TrimPrefix(c.File, "test/request/"), ".md") + ": " + c.Name
		if seen[name]++; seen[name] > 1 {
			name += fmt.Sprintf(" (%d)", seen[name])
		}
		taken := c.Verdict == "ok" && !c.Lenient
		got := play(c.Input, !taken)
		if strings.Contains(got, "missing Host") {
			if taken != slices.Contains(hostless, name) {
				t.Errorf("%s: refused only for want of Host: %t", name, taken)
			}
			used["hostless "+name] = true
		}
		// Repaired, so that what the case is about decides.
		got = play(repaired(c.Input), !taken)
		refused := strings.Contains(got, "refused")
		list, title := stricter, "stricter "
		if !taken {
			list, title = looser, "looser "
		}
		want, listed := list[name]
		if refused == taken != listed || listed && got != want.got {
			t.Errorf("%s: %s, want %q (listed %t)\n%q", name, got, want.got, listed, c.Input)
		}
		used[title+name] = true
	}
	for _, name := range hostless {
		if !used["hostless "+name] {
			t.Errorf("hostless is out of date: %s", name)
		}
	}
	for name := range stricter {
		if !used["stricter "+name] {
			t.Errorf("stricter is out of date: %s", name)
		}
	}
	for name := range looser {
		if !used["looser "+name] {
			t.Errorf("looser is out of date: %s", name)
		}
	}
}

// repaired inserts a Host field into every head of input without one, and takes
// fragments off its targets where another case is about them.
func repaired(input []byte) []byte {
	var out strings.Builder
	text := strings.ReplaceAll(string(input), "#hey HTTP/1.1", " HTTP/1.1")
	lacks := !strings.Contains(strings.ToLower(text), "host:")
	for _, line := range strings.SplitAfter(text, "\r\n") {
		out.WriteString(line)
		if !lacks || !strings.HasSuffix(line, " HTTP/1.1\r\n") {
			continue
		}
		host := "oracle"
		if _, rest, absolute := strings.Cut(line, "http://"); absolute {
			host = rest[strings.Index(rest, "@")+1 : strings.IndexAny(rest, "/? ")]
		}
		out.WriteString("Host: " + host + "\r\n")
	}
	return []byte(out.String())
}

// play reads message after message and says how that ended. llhttp's texts have
// lost the last of their line ends, so it is added; with finish, the last line
// gets one too.
func play(input []byte, finish bool) string {
	messages := 0
	rest := append([]byte(nil), input...)
	ends := 0
	if strings.HasSuffix(string(rest), "\r\n") {
		ends = 1
	}
	if finish {
		ends = 2
	}
	var r Request
	var c Chunked
	more := func() bool {
		rest = append(rest, "\r\n"...)
		ends--
		return ends >= 0
	}
	for len(rest) > 0 && string(rest) != "\r\n" {
		n, err := r.Parse(rest, nil)
		if errors.Is(err, ErrIncomplete) {
			if !more() {
				return fmt.Sprintf("read %d, then incomplete head", messages)
			}
			continue
		}
		if err != nil {
			return fmt.Sprintf("read %d, refused %d %v", messages, err.(*Error).Status, err)
		}
		rest = rest[n:]
		c.Reset(nil)
		for r.Chunked {
			_, n, err = c.Decode(make([]byte, len(rest)), rest)
			rest = rest[n:]
			if err == io.EOF {
				break
			}
			if err != nil {
				return fmt.Sprintf("read %d, refused content %v", messages, err)
			}
			if !more() {
				return fmt.Sprintf("read %d, then incomplete content", messages)
			}
		}
		if r.Length > int64(len(rest)) {
			return fmt.Sprintf("read %d, then incomplete content", messages)
		}
		if r.Length > 0 {
			rest = rest[r.Length:]
		}
		messages++
		if r.Method == "CONNECT" || r.Upgrade != "" {
			return fmt.Sprintf("read %d, then switches", messages)
		}
		if !r.KeepAlive {
			return fmt.Sprintf("read %d, then closes", messages)
		}
	}
	return fmt.Sprintf("read %d", messages)
}

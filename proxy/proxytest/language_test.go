package proxytest

import (
	"bufio"
	"strings"
	"testing"
)

func TestReadScript(t *testing.T) {
	script, err := readScript("# comment\n\nget /a\nsend <<END\nGET / HTTP/1.1\n\nEND\nsaw pets headers <<X\na: b\nX\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []line{
		{3, "get", "/a", false},
		{4, "send", "GET / HTTP/1.1\n", true},
		{8, "saw", "pets headers a: b", true},
	}
	if len(script) != len(want) {
		t.Fatalf("got %v, want %v", script, want)
	}
	for i := range want {
		if script[i] != want[i] {
			t.Errorf("line %d: got %v, want %v", i, script[i], want[i])
		}
	}
	if _, err := readScript("get /a\nsend <<END\nGET /"); err == nil || !strings.HasPrefix(err.Error(), "2: ") {
		t.Errorf("a block without an end: got error %v, want one that begins with its line", err)
	}
}

func TestExact(t *testing.T) {
	f := func(block, want string) {
		t.Helper()
		if got, err := exact(block); err != nil || got != want {
			t.Errorf("exact(%q) = %q, %v; want %q", block, got, err, want)
		}
	}
	f("a\n\nb", "a\r\n\r\nb\r\n")
	// A backslash at the end leaves the line open.
	f("a\nb\\", "a\r\nb")
	f(`a\r\n\t\x00\\`, "a\r\n\t\x00\\\r\n")
	for _, wrong := range []string{`\q`, `\x0`, `\xzz`} {
		if got, err := exact(wrong); err == nil {
			t.Errorf("exact(%q) = %q, want an error", wrong, got)
		}
	}
	if got := repeat("a${3*xy}b${1*}$c"); got != "axyxyxyb$c" {
		t.Errorf("repeat: got %q", got)
	}
}

// parse returns the judge of an answer, whose bytes are text with \n for CRLF.
func parse(t *testing.T, text string) *judge {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n")))
	m, err := readMessage(r, func(*message) bool { return false }, true)
	if err != nil {
		t.Fatal(err)
	}
	return newJudge(m)
}

// A judge that can't say no would make every scenario pass.
func TestJudge(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\nX-A: 1\nx-a: 2\nContent-Length: 21\n\n" + `{"a":[{"b c":null}]}` + " "
	yes := func(word, text string) {
		t.Helper()
		j := parse(t, answer)
		if err := j.check(word, text); err != nil {
			t.Errorf("%s %s: got %v, want agreement", word, text, err)
		}
	}
	no := func(word, text string) {
		t.Helper()
		j := parse(t, answer)
		err := j.check(word, text)
		if err == nil {
			err = j.finish()
		}
		if err == nil {
			t.Errorf("%s %s: got agreement, want a difference", word, text)
		}
	}
	yes("header", "X-A: 1")
	yes("header", "X-A ~ [0-9]")
	no("header", "X-A: 2")
	no("header", "X-A: 1") // there is a second one
	no("header", "x-a: 1") // the spelling counts
	no("header", "X-B: 1")
	no("header", "Content-Length ~ 2") // the whole value
	yes("no-header", "X-B X-C")
	no("no-header", "X-B X-a")
	yes("headers", "x-a: 2\nX-A: 1\nContent-Length ~ \\d+")
	no("headers", "X-A: 1\nContent-Length: 21")
	no("headers", "X-A: 1\nx-a: 2\nContent-Length: 21\nX-B: 1")
	yes("body", `{"a":[{"b c":null}]} `)
	yes("body", `~ \{.*\} `)
	no("body", "")
	no("body", "~ .")
	yes("json", `$.a[0] {"b c":null}`)
	yes("json", `$.a[0]['b c'] null`)
	yes("json", `$.a[1] absent`)
	yes("json", `$.b absent`)
	no("json", `$.a absent`)
	no("json", `$.a[0]['b c'] 1`)
	no("json", `$.b null`)
	no("json", `$.a ~ .*`)
	no("trailer", "X-T: 1")
}

func TestReadMessage(t *testing.T) {
	chunked := parse(t, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\nX-T: 1\n\n")
	if string(chunked.body) != "ok" || chunked.broken != nil || chunked.check("trailer", "X-T: 1") != nil {
		t.Errorf("chunked: got %q, %v, %v", chunked.body, chunked.broken, chunked.trailers)
	}
	for _, cut := range []string{
		"HTTP/1.1 200 OK\nContent-Length: 3\n\nok",
		"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n",
		"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\no",
	} {
		if m := parse(t, cut); m.broken == nil {
			t.Errorf("%q: got %q as whole content, want it broken off", cut, m.body)
		}
	}
	for _, wrong := range []string{
		"HTTP/1.1 200 OK\nContent-Length: 3\nTransfer-Encoding: chunked\n\n",
		"HTTP/1.1 200 OK\nno colon\n\n",
	} {
		r := bufio.NewReader(strings.NewReader(strings.ReplaceAll(wrong, "\n", "\r\n")))
		if m, err := readMessage(r, func(*message) bool { return false }, true); err == nil {
			t.Errorf("%q: got %v, want an error", wrong, m)
		}
	}
}

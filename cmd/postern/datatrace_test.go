package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Content that streams through passes whole, whichever way it comes, and the execution
// log has how it begins.
func TestDataTraceStreams(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body) // whole: net/http's servers don't read on while they answer
		if err != nil {
			return
		}
		for len(content) > 0 {
			n := min(len(content), 50_000)
			_, _ = w.Write(content[:n]) // a caller that left needs no answer
			w.(http.Flusher).Flush()
			content = content[n:]
		}
	}))
	t.Cleanup(backend.Close)
	log := filepath.Join(t.TempDir(), "execution.log")
	r := startChild(t, write(t, fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"
[api.hello]
type = "rest"
[api.hello.route."POST /{proxy+}"]
integration = { type = "http_proxy", url = "%s/" }
[api.hello.stage.prod]
log.execution = { level = "info", data_trace = true, output = %q }
`, backend.URL, log)), nil, "--no-watch")
	large := strings.Repeat("0123456789abcdef", 20_000)
	f := func(name, content string, length int64, expect bool) {
		t.Helper()
		text := fmt.Sprintf(`{"password":"hunter2","name":%q,"more":%q}`, name, content)
		q, err := http.NewRequest("POST", "http://"+r.addr+"/prod/"+name, io.NopCloser(strings.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		if q.ContentLength = -1; length == 0 {
			q.ContentLength = int64(len(text))
		}
		q.Host = "hello.localhost"
		q.Header.Set("Content-Type", "application/json")
		if expect {
			q.Header.Set("Expect", "100-continue")
		}
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		got, err := io.ReadAll(answer.Body)
		if err != nil || string(got) != text {
			t.Fatalf("%s: %s, %v, %d bytes come back of %d", name, answer.Status, err, len(got), len(text))
		}
		id := answer.Header.Get("x-amzn-RequestId")
		var lines []byte
		r.await("the log of "+name, func() bool {
			all, _ := os.ReadFile(log) // which isn't there at first
			_, after, _ := bytes.Cut(all, []byte("("+id+") Extended Request Id"))
			lines, _, _ = bytes.Cut(after, []byte("Method completed with status: 200\n"))
			return len(lines) < len(after)
		})
		begin := fmt.Sprintf(`before transformations: {\"password\":\"**********\",\"name\":\"%s\"`, name)
		end := fmt.Sprintf(`after transformations: {\"password\":\"**********\",\"name\":\"%s\"`, name)
		if bytes.Count(lines, []byte(begin)) != 2 || bytes.Count(lines, []byte(end)) != 2 || bytes.Contains(lines, []byte("hunter2")) {
			t.Errorf("%s: the log has %s", name, lines)
		}
		if cut := bytes.Count(lines, []byte(" [TRUNCATED]\n")); cut != 0 && content != large || cut != 4 && content == large {
			t.Errorf("%s: %d lines are cut", name, cut)
		}
	}
	const known, unknown = 0, -1
	f("small", "x", known, false)
	f("chunked", "x", unknown, false)
	f("large", large, known, false)
	f("streamed", large, unknown, false)
	f("expected", "x", known, true)
	f("awaited", large, unknown, true)
}

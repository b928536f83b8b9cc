package integration

import (
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

func newMockSetup(t testing.TB, r config.Response) *setup {
	return newSetup(t, Mock(), "/", config.Integration{}, map[string]config.Response{"default": r})
}

// Which template answers. AWS: "Integration passthrough behaviors".
func TestMockTemplate(t *testing.T) {
	f := func(accept, want string, mediaTypes ...string) {
		t.Helper()
		r := config.Response{Template: map[string]config.Template{}}
		for _, m := range mediaTypes {
			r.Template[m] = config.Template{Text: " the " + m + "\n"}
		}
		var fields []string
		if accept != "" {
			fields = []string{"Accept: " + accept}
		}
		ex := newMockSetup(t, r).compile().do("GET /", fields...)
		content, mediaType := "", "application/json"
		if want != "" {
			content, mediaType = " the "+want+"\n", want
		}
		if string(ex.Reply.Content) != content || ex.Reply.Fields.Get("Content-Type") != mediaType || ex.Reply.Length != int64(len(content)) {
			t.Errorf("Accept: %q of %v: got %q as %s, want %q", accept, mediaTypes, ex.Reply.Content, ex.Reply.Fields.Get("Content-Type"), content)
		}
	}
	const json, html, text = "application/json", "text/html", "text/plain"
	f("", json, html, json)
	f("text/html", html, json, html)
	f("TEXT/HTML;level=1, application/json", html, json, html)
	f(" text/plain ; q=0.1, text/html", text, json, html, text)
	// Only the first one counts.
	f("image/png, text/html", json, json, html)
	f("*/*", json, html, json)
	// Without application/json, whatever comes first.
	f("", html, text, html)
	f("image/png", html, text, html)
	f("text/plain", text, text, html)
	// None defined: no content.
	f("", "")
	f("text/html", "")
}

func TestMockReply(t *testing.T) {
	ex := newMockSetup(t, config.Response{Status: 418, Headers: map[string]string{"X-Tea": "green", "Content-Type": "text/tea", "Date": "never"},
		Template: texts(map[string]string{"application/json": `{"price":"$5"}`})}).compile().do("GET /")
	if got, want := withoutOurs(ex.Reply.Fields), "Content-Type: text/tea\nx-amzn-Remapped-Date: never\nX-Tea: green"; got != want || ex.Reply.Status != 418 || string(ex.Reply.Content) != `{"price":"$5"}` {
		t.Errorf("got %d\n%s\n%s", ex.Reply.Status, got, ex.Reply.Content)
	}
	// Neither a backend's field nor a trace id: AWS, recorded.
	if ex := newMockSetup(t, config.Response{}).compile().do("GET /"); ex.Reply.Status != 200 || withoutOurs(ex.Reply.Fields) != "Content-Type: application/json" {
		t.Errorf("got %d\n%s", ex.Reply.Status, withoutOurs(ex.Reply.Fields))
	}
	if ex := newMockSetup(t, config.Response{Status: 204}).compile().do("GET /"); ex.Reply.Status != 204 || withoutOurs(ex.Reply.Fields) != "" {
		t.Errorf("got %d\n%s", ex.Reply.Status, withoutOurs(ex.Reply.Fields))
	}
}

func TestMockErrors(t *testing.T) {
	f := func(responses map[string]config.Response, want ...string) {
		t.Helper()
		_, err := newSetup(t, Mock(), "/", config.Integration{}, responses).steps()
		wantErrors(t, err, want...)
	}
	f(nil, `response: needs at least one response | response.default`)
	f(map[string]config.Response{"ok": {}}, `response: needs the response "default"`, `response.ok: never with "ok"`)
	// Conversions alone choose no answer either.
	_, err := newSetup(t, Mock(), "/", config.Integration{ContentHandling: "convert_to_text"}, map[string]config.Response{"default": {}, "ok": {Pattern: "2.."}}).steps()
	wantErrors(t, err, `response.ok: never with "ok"`)
	f(map[string]config.Response{"default": {Pattern: "2.."}}, "response.default.pattern: no pattern chooses")
}

func steadyMock(t testing.TB) func() {
	s := newMockSetup(t, config.Response{Headers: map[string]string{"X-A": "b"}, Template: texts(map[string]string{"application/json": strings.Repeat("x", 1024), "text/html": "h"})}).compile()
	made, ex := s.begin(&proxy.Exchange{}, "GET /"), &proxy.Exchange{}
	return func() {
		ex.Begin(made.Start, nil)
		ex.ID, ex.ExtendedID, ex.Route = made.ID, made.ExtendedID, made.Route
		s.line.Run(t.Context(), ex, 1<<20)
		ex.End()
	}
}

func TestMockNeedsNoMemory(t *testing.T) {
	round := steadyMock(t)
	round()
	if n := testing.AllocsPerRun(200, round); n != 0 {
		t.Errorf("%v allocations an exchange, want 0", n)
	}
}

func BenchmarkMock(b *testing.B) {
	round := steadyMock(b)
	b.ReportAllocs()
	for b.Loop() {
		round()
	}
}

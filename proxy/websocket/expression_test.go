package websocket

import (
	"strings"
	"testing"
)

// AWS: "WebSocket API selection expressions", its examples and beyond.
func TestSelect(t *testing.T) {
	f := func(expression, message, want string) {
		t.Helper()
		s, err := newSelector(expression, map[string]string{"prefix": "v1"})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Select([]byte(message)); got != want {
			t.Errorf("%s of %s: got %q, want %q", expression, message, got, want)
		}
	}
	const message = `{"service":"chat","action":"join","n":7,"list":["a","b"],"deep":{"er":[{"x":true}]}}`
	f("$request.body.action", message, "join")
	f("${request.body.service}/${request.body.action}", message, "chat/join")
	f("${request.body.action}-${request.body.nope}", message, "join-")
	f("$request.body.service/$request.body.action", message, "chat/join")
	f("action", message, "action")
	f(`\$default`, message, "$default")
	f("$request.body.n", message, "7")
	f("$request.body.list", message, "[a, b]")
	f("$request.body.list[1]", message, "b")
	f("$request.body.deep.er[0].x", message, "true")
	f("${stageVariables.prefix}.${request.body.action}", message, "v1.join")
	f("$request.body.nope", message, "")
	f("$request.body.action", "no JSON at all", "")
	f("$request.body.action", "", "")
	f("$request.body.action", `[1,2]`, "")
	f("$request.body.action", `{"action":null}`, "")
	f("$request.body.action", strings.Repeat("[", 100_000), "")
	f("$request.body.action", `{"action":"`+strings.Repeat("x", 2*maxKey)+`"}`, "")
}

// What no message can be selected by is refused.
func TestSelectRefuses(t *testing.T) {
	for _, expression := range []string{"$request.header.x", "$context.connectionId", "${request.body.x", "$", "${request.body.a[}"} {
		if _, err := newSelector(expression, nil); err == nil {
			t.Errorf("%q is taken", expression)
		}
	}
}

func BenchmarkSelect(b *testing.B) {
	s, err := newSelector("$request.body.action", nil)
	if err != nil {
		b.Fatal(err)
	}
	message := []byte(`{"action":"join","room":"lobby","text":"hello there, this is a message of a hundred bytes or so"}`)
	b.ReportAllocs()
	for b.Loop() {
		s.Select(message)
	}
}

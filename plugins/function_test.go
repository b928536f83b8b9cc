package plugins

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/pausetest"
)

// A plugin is a function of whatever event it is given, in each ABI that has events.
func TestFunctionGetsOthersEvents(t *testing.T) {
	ask := func(name, do, want string) {
		t.Helper()
		h := newHost(t, Options{})
		r := newRig(t)
		f, err := begin(t, h, pluginTOML(guest(t, name))).Function(r.build(), "p")
		if err != nil {
			t.Fatal(err)
		}
		event := `{"type":"TOKEN","x-do":"` + do + `"}`
		answer, err := f.Invoke(context.Background(), r.exchange("x-do", "garbage"), []byte(event))
		if err != nil || !strings.Contains(string(answer), want) {
			t.Errorf("%s: got %s, %v", name, answer, err)
		}
		if f.Version() == "" {
			t.Errorf("%s: no version", name)
		}
	}
	ask("native", "echo", `{\"type\":\"TOKEN\"`)
	ask("command", "file", `{"body":"no files"}`)
}

// What a function says when it fails is told apart from a failure of the call.
func TestFunctionFails(t *testing.T) {
	pausetest.Run(t, 50*time.Millisecond, func(t testing.TB) {
		h := newHost(t, Options{})
		g := begin(t, h, pluginTOML(guest(t, "native"), `timeout = "200ms"`))
		r := newRig(t)
		f, err := g.Function(r.build(), "p")
		if err != nil {
			t.Fatal(err)
		}
		ask := func(do, wantNote string, says bool) {
			t.Helper()
			ex := r.exchange("x-do", do)
			_, err := f.Invoke(context.Background(), ex, []byte(`{"headers":{"x-do":"`+do+`"}}`))
			var said *proxy.FunctionError
			if err == nil || errors.As(err, &said) != says || ex.Notes.PluginFailure != wantNote {
				t.Errorf("%s: got %v, note %q", do, err, ex.Notes.PluginFailure)
			}
		}
		ask("panic", "trap", false)
		ask("loop", "deadline", false)
		ask("fail", "fail", true)
		if _, err := g.Function(r.build(), "none"); err == nil {
			t.Error("a function without a plugin")
		}
	})
}

package plugins

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/pausetest"
)

func fieldsOf(r *proxy.Response) string {
	var parts []string
	for _, f := range r.Fields {
		parts = append(parts, f.Name+": "+f.Value)
	}
	return strings.Join(parts, ", ")
}

func TestFunctionAnswers(t *testing.T) {
	h := newHost(t, Options{})
	r := integrationRig(t, begin(t, h, pluginTOML(guest(t, "native"))))
	if _, whole := r.steps[proxy.Integration].(proxy.WholeBody); !whole {
		t.Error("the integration doesn't ask for the body")
	}
	ex, err := r.integrate("echo")
	if err != nil {
		t.Fatal(err)
	}
	fields := fieldsOf(&ex.Reply)
	if ex.Reply.Status != 201 || !strings.Contains(fields, "X-One: 1") || !strings.Contains(fields, "X-Two: a, X-Two: b") {
		t.Errorf("got %d %s", ex.Reply.Status, fields)
	}
	if !strings.Contains(fields, "X-Amzn-Trace-Id: Root=1-") {
		t.Errorf("no trace id in %s", fields)
	}
	for _, part := range []string{`"httpMethod":"GET"`, `"resource":"/pets/{id}"`, `"x-do":"echo"`, `"stage":"prod"`} {
		if !strings.Contains(string(ex.Reply.Content), part) {
			t.Errorf("the event lacks %s: %s", part, ex.Reply.Content)
		}
	}
	if ex.Notes.BackendStatus != 201 || ex.Notes.Plugin != "p" {
		t.Errorf("notes are %+v", ex.Notes)
	}
	if ex, err = r.integrate("empty"); err != nil || ex.Reply.Status != 200 || len(ex.Reply.Content) != 0 {
		t.Errorf("{}: got %d %q %v", ex.Reply.Status, ex.Reply.Content, err)
	}
	if ex, err = r.integrate("big"); err != nil || len(ex.Reply.Content) != 3<<20 {
		t.Errorf("3 MiB: got %d bytes, %v", len(ex.Reply.Content), err)
	}
}

// The answer belongs to its exchange, whatever the instance does next.
func TestAnswersDoNotMix(t *testing.T) {
	h := newHost(t, Options{})
	r := integrationRig(t, begin(t, h, pluginTOML(guest(t, "native"), "max_instances = 1")))
	first, err := r.integrate("echo")
	if err != nil {
		t.Fatal(err)
	}
	before := string(first.Reply.Content) + fieldsOf(&first.Reply)
	for range 20 {
		if _, err := r.integrate("big"); err != nil {
			t.Fatal(err)
		}
	}
	if string(first.Reply.Content)+fieldsOf(&first.Reply) != before {
		t.Error("a later call changed an earlier answer")
	}
}

func TestRemappedHeaders(t *testing.T) {
	h := newHost(t, Options{})
	r := integrationRig(t, begin(t, h, pluginTOML(guest(t, "native"))))
	ex, err := r.integrate("remap")
	if err != nil {
		t.Fatal(err)
	}
	got := fieldsOf(&ex.Reply)
	for _, name := range []string{"Date: d", "Server: s", "Connection: c", "Content-Length: 5"} {
		if !strings.Contains(got, "x-amzn-Remapped-"+name) {
			t.Errorf("no x-amzn-Remapped-%s in %s", name, got)
		}
	}
	if strings.Contains(got, "Transfer-Encoding") || strings.Contains(got, "Upgrade") {
		t.Errorf("hop-by-hop fields in %s", got)
	}
}

func TestFunctionFailures(t *testing.T) {
	h := newHost(t, Options{})
	r := integrationRig(t, begin(t, h, pluginTOML(guest(t, "native"))))
	f := func(do string, kind proxy.FaultKind, failure string) {
		t.Helper()
		ex, err := r.integrate(do)
		wantFault(t, err, kind)
		if ex.Notes.PluginFailure != failure {
			t.Errorf("%s: failure %q, want %q", do, ex.Notes.PluginFailure, failure)
		}
		if ex, err := r.integrate("empty"); err != nil || ex.Reply.Status != 200 {
			t.Errorf("after %s: %v", do, err)
		}
	}
	f("garbage", proxy.BadIntegration, "answer")
	f("status", proxy.BadIntegration, "answer")
	f("split", proxy.BadIntegration, "answer")
	f("huge", proxy.BadIntegration, "fail") // the SDK reports that it wasn't taken
	f("panic", proxy.BadIntegration, "trap")
	f("fail", proxy.BadIntegration, "fail")
	r = integrationRig(t, begin(t, h, pluginTOML(guest(t, "native"), `timeout = "2s"`)))
	f("loop", proxy.IntegrationTimeout, "deadline")
}

// The integration's own timeout counts as well.
func TestIntegrationTimeout(t *testing.T) {
	h := newHost(t, Options{})
	g := begin(t, h, pluginTOML(guest(t, "native")))
	r := newRig(t)
	steps, err := g.Kinds()[1].New(r.build(), proxy.Options{
		Integration: &config.Integration{Type: "wasm", Plugin: "p", Timeout: config.Duration(60 * time.Millisecond)},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.steps = steps
	begin := time.Now()
	_, err = r.integrate("loop")
	wantFault(t, err, proxy.IntegrationTimeout)
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("stopped after %v", took)
	}
}

func TestCommand(t *testing.T) {
	pausetest.Run(t, 200*time.Millisecond, func(t testing.TB) {
		logger, logs := observed()
		h := newHost(t, Options{Logger: logger})
		r := integrationRig(t, begin(t, h, pluginTOML(guest(t, "command"), `env = { COLOR = "red" }`, `timeout = "1s"`)))
		ex, err := r.integrate("")
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(ex.Reply.Status, string(ex.Reply.Content), ex.Reply.Fields.Get("X-Color")); got != "202hellored" {
			t.Errorf("got %s", got)
		}
		if logs.FilterField(zapText("one line of log")).Len() != 1 {
			t.Error("standard error isn't in the log")
		}
		if ex, err = r.integrate("file"); err != nil || string(ex.Reply.Content) != "no files" {
			t.Errorf("files: got %q %v", ex.Reply.Content, err)
		}
		f := func(do string, kind proxy.FaultKind, failure string) {
			t.Helper()
			ex, err := r.integrate(do)
			wantFault(t, err, kind)
			if ex.Notes.PluginFailure != failure {
				t.Errorf("%s: failure %q, want %q", do, ex.Notes.PluginFailure, failure)
			}
		}
		f("exit", proxy.BadIntegration, "exit")
		f("garbage", proxy.BadIntegration, "answer")
		f("silent", proxy.BadIntegration, "answer")
		f("flood", proxy.BadIntegration, "trap")
		f("loop", proxy.IntegrationTimeout, "deadline")
		if s := stats(t, h); s.Instances != 0 || s.Memory != 0 || s.Started != 8 {
			t.Errorf("figures are %+v, want none left of the one that was tried and 7", s)
		}
	})
}

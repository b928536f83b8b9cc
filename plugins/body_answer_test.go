package plugins

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	languages "github.com/postern-gateway/postern/sdk/guests"
)

// answerRig is an integration that has content in pieces.
func answerRig(t testing.TB, options ...string) (*Host, *rig, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	h := newHost(t, Options{Logger: zap.New(core)})
	return h, integrationRig(t, begin(t, h, pluginTOML(languages.Build(t, "testdata/wasm/pieces/answer.c"), options...))), logs
}

// ask runs the integration for a request with content, nil for none, up to where the
// answer has its head.
func (r *rig) ask(do string, body proxy.Body) (*proxy.Exchange, error) {
	ex := r.exchange("x-do", do)
	ex.Method, ex.In.Method = "POST", "POST"
	if body != nil {
		ex.In.Whole, ex.In.Body, ex.In.Length = false, body, http1.Unknown
	}
	if _, err := r.steps[proxy.Integration].Run(context.Background(), ex); err != nil {
		return ex, err
	}
	_, err := r.steps[proxy.IntegrationResponse].Run(context.Background(), ex)
	return ex, err
}

// The answer begins while the request comes, and each piece of it is there before the
// guest is asked for the next.
func TestAnswerInPieces(t *testing.T) {
	h, r, _ := answerRig(t)
	if _, whole := r.steps[proxy.Integration].(proxy.WholeBody); whole {
		t.Error("the integration asks for the content whole")
	}
	body := &coming{pieces: []string{"one ", "two ", "three"}}
	ex, err := r.ask("echo", body)
	if err != nil || ex.Reply.Status != 200 || ex.Reply.Length != http1.Unknown || ex.Reply.Fields.Get("x-kind") != "echo" || ex.Notes.BackendStatus != 200 {
		t.Fatalf("got %+v, %v", ex.Reply, err)
	}
	for _, want := range []string{"one ", "two ", "three"} {
		if left := strings.Join(body.pieces, ""); want != "one " && !strings.HasPrefix(left, want) {
			t.Errorf("before %q: %q is left of the request", want, left)
		}
		b := make([]byte, 100)
		if n, err := ex.Reply.Body.Read(b); err != nil || string(b[:n]) != want {
			t.Fatalf("got %q, %v, want %q", b[:n], err, want)
		}
	}
	if n, err := ex.Reply.Body.Read(make([]byte, 9)); n != 0 || err != io.EOF {
		t.Errorf("the end: %d, %v", n, err)
	}
	ex.End()
	if s := stats(t, h); s.Calls != 1 || s.Instances != 1 {
		t.Errorf("figures are %+v", s)
	}
	f := func(do string, body proxy.Body, status int, want string) {
		t.Helper()
		ex, err := r.ask(do, body)
		if err != nil {
			t.Errorf("%s: %v", do, err)
			return
		}
		got := string(ex.Reply.Content)
		if ex.Reply.Body != nil {
			b, err := io.ReadAll(ex.Reply.Body)
			if got = string(b); err != nil {
				t.Errorf("%s: %v", do, err)
			}
		}
		if ex.Reply.Status != status || got != want {
			t.Errorf("%s: got %d %q, want %d %q", do, ex.Reply.Status, got, status, want)
		}
		ex.End()
	}
	f("echo", nil, 200, "")
	f("count", &coming{pieces: []string{"one ", "two ", "three"}}, 201, "13")
	f("count", nil, 201, "0")
	f("teapot", nil, 418, "short and POST")
	f("none", nil, 204, "")
	f("both", nil, 200, "whole")
	// Content that somebody else wanted whole.
	ex = r.exchange("x-do", "echo")
	ex.In.Content = []byte("whole")
	if _, err := r.steps[proxy.Integration].Run(context.Background(), ex); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(ex.Back.Body); err != nil || string(b) != "whole" {
		t.Errorf("got %q, %v", b, err)
	}
	ex.End()
}

// What fails before the head is a fault, what fails later ends the answer with an
// error; each piece has the time that a call has.
func TestAnswerFails(t *testing.T) {
	_, r, _ := answerRig(t, `timeout = "200ms"`)
	f := func(do, failure, want string) {
		t.Helper()
		ex, err := r.ask(do, nil)
		if err != nil {
			t.Fatal(do, err)
		}
		got, err := io.ReadAll(ex.Reply.Body)
		if string(got) != want || (err == nil) != (failure == "") || ex.Notes.PluginFailure != failure {
			t.Errorf("%s: got %q, %v, notes %+v", do, got, err, ex.Notes)
		}
		ex.End()
	}
	f("trap", "trap", "half")
	f("loop", "deadline", "half")
	f("work", "", "done done done done ")
	_, err := r.ask("nothing", nil)
	wantFault(t, err, proxy.BadIntegration)
	ex, err := r.ask("echo", &coming{pieces: []string{"one"}, err: proxy.Fault{Kind: proxy.ClientGone}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(ex.Reply.Body); string(got) != "one" || err == nil {
		t.Errorf("a client that leaves: %q, %v", got, err)
	}
	ex.End()
	// Too much content is too much, whatever the guest says.
	_, err = r.ask("count", &coming{pieces: []string{"one"}, err: proxy.Fault{Kind: proxy.RequestTooLarge}})
	wantFault(t, err, proxy.RequestTooLarge)
}

// Who doesn't take the answer to its end isn't waited for, and the guest learns it.
func TestAnswerUnread(t *testing.T) {
	h, r, logs := answerRig(t, "max_instances = 1")
	// As often as would make a plugin unhealthy that is to blame.
	for _, do := range append(slices.Repeat([]string{"deaf"}, breakerFailures), "forever") {
		ex, err := r.ask(do, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.CopyN(io.Discard, ex.Reply.Body, 1000); n != 1000 {
			t.Fatalf("%s: %d bytes, %v", do, n, err)
		}
		ex.End()
		if _, err := ex.Reply.Body.Read(make([]byte, 9)); !errors.Is(err, errUnread) {
			t.Errorf("%s: a Read afterwards: %v", do, err)
		}
	}
	if logs.FilterField(zapText("left")).Len() != 1 {
		t.Error("the guest wasn't told that nobody listens")
	}
	if ex, err := r.ask("count", nil); err != nil { // the instance's place is free
		t.Error(err)
	} else {
		ex.End()
	}
	if s := stats(t, h); s.Calls != breakerFailures+2 {
		t.Errorf("figures are %+v", s)
	}
}

// 64 MiB go in and out of a guest in the memory of a few pieces.
func TestAnswerTakesLittleMemory(t *testing.T) {
	_, r, _ := answerRig(t)
	ex, err := r.ask("echo", &endless{64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	passesInPieces(t, ex.Reply.Body)
	ex.End()
}

// BenchmarkAnswer is what an integration in pieces costs, for each MiB in and out.
func BenchmarkAnswer(b *testing.B) {
	_, r, _ := answerRig(b)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		ex, err := r.ask("echo", &endless{1 << 20})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, ex.Reply.Body); err != nil {
			b.Fatal(err)
		}
		ex.End()
	}
}

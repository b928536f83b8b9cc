package plugins

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/pausetest"
)

func TestAuthorizerDecides(t *testing.T) {
	h := newHost(t, Options{})
	r := authorizerRig(t, begin(t, h, pluginTOML(guest(t, "native"))))
	ex, err := r.authorize("allow")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(ex.Caller.Principal, ex.Caller.Context); got != "user-1[{tenant acme} {calls 1}]" {
		t.Errorf("caller is %s", got)
	}
	if ex.Notes.Plugin != "p" || ex.Notes.PluginFailure != "" {
		t.Errorf("notes are %+v", ex.Notes)
	}
	ex, err = r.authorize("deny")
	wantFault(t, err, proxy.AccessDenied)
	if ex.Caller.Principal != "" {
		t.Error("a denied caller has a principal")
	}
	_, err = r.authorize("nobody")
	wantFault(t, err, proxy.Unauthorized)
}

// Whatever isn't a decision is a failure, never an allow.
func TestAuthorizerFailsClosed(t *testing.T) {
	pausetest.Run(t, 100*time.Millisecond, func(t testing.TB) {
		h := newHost(t, Options{})
		r := authorizerRig(t, begin(t, h, pluginTOML(guest(t, "native"), `timeout = "500ms"`)))
		f := func(token, failure string) {
			t.Helper()
			ex, err := r.authorize(token)
			wantFault(t, err, proxy.AuthorizerFailure)
			if ex.Notes.PluginFailure != failure || ex.Caller.Principal != "" {
				t.Errorf("%s: failure %q, want %q; caller %v", token, ex.Notes.PluginFailure, failure, ex.Caller)
			}
			if _, err := r.authorize("allow"); err != nil {
				t.Errorf("after %s the next request got %v", token, err)
			}
		}
		f("panic", "trap")
		f("exit", "exit")
		f("loop", "deadline")
		f("sleep", "deadline")
		f("fail", "fail")
		f("bad pointer", "trap")
		f("bad length", "trap")
		f("0", "answer")
		f("4", "answer")
		f("-1", "answer")
		f("no number", "answer")
		f("wrong phase", "answer")
		if s := stats(t, h); s.Deadlines != 2 || s.Traps != 10 || s.Instances != 1 {
			t.Errorf("figures are %+v, want 2 deadlines, 10 other failures, 1 instance", s)
		}
	})
}

func TestAuthorizerSeesTheRequest(t *testing.T) {
	h := newHost(t, Options{})
	r := authorizerRig(t, begin(t, h, pluginTOML(guest(t, "native"), `config = { keys = ["a", "b"] }`)))
	long := strings.Repeat("long", 100)
	ex := r.exchange("Authorization", "deny", "authorization", "show", "X-Long", long, "X-Forwarded-For", "10.0.0.1", "Content-Length", "0")
	if _, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"GET", "/pets/a%20b", "q+a=1%2B1&q+a=x+y&z", "GET /pets/{id}", "prod", "pets", "id-1", "192.0.2.7", "pets.localhost",
		"arn:aws:execute-api:local:000000000000:pets/prod/GET/pets/a%20b",
		"x y", "", "a b", "blue", long, "true", `{"keys":["a","b"]}`,
	}, "|")
	if ex.Caller.Principal != want {
		t.Errorf("got  %s\nwant %s", ex.Caller.Principal, want)
	}
	wantContext := "[{headers Host=pets.loc;Authorization=deny;authorization=show;X-Long=longlong;} {queries q a=1+1;q a=x y;z=;}]"
	if got := fmt.Sprint(ex.Caller.Context); got != wantContext {
		t.Errorf("got  %s\nwant %s", got, wantContext)
	}
}

func TestAuthorizerLimits(t *testing.T) {
	began := time.Now()
	logger, logs := observed()
	h := newHost(t, Options{Logger: logger})
	r := authorizerRig(t, begin(t, h, pluginTOML(guest(t, "native"))))
	ex, err := r.authorize("limits")
	if err != nil {
		t.Fatal(err)
	}
	if ex.Caller.Principal != "x" || len(ex.Caller.Context) != 64 || ex.Caller.Context[0].Value != "64" {
		t.Errorf("principal %q, %d entries", ex.Caller.Principal, len(ex.Caller.Context))
	}
	// One call may write 64 lines, and all together 500 at once.
	if ex, err = r.authorize("logs"); err != nil || ex.Caller.Principal != "64" {
		t.Errorf("wrote %s lines, %v; want 64", ex.Caller.Principal, err)
	}
	for range 30 {
		if _, err := r.authorize("logs"); err != nil {
			t.Fatal(err)
		}
	}
	most := logBurst + int(logRate*time.Since(began).Seconds()) + 1
	if n := logs.Len(); n < min(logBurst, 31*64) || n > most {
		t.Errorf("%d lines got through, want %d to %d", n, int(logBurst), most)
	}
	if s := stats(t, h); int(s.LogsLost) < 31*64-most {
		t.Errorf("%d lines lost are counted", s.LogsLost)
	}
}

func TestPrintedLinesAreLogged(t *testing.T) {
	logger, logs := observed()
	h := newHost(t, Options{Logger: logger})
	r := authorizerRig(t, begin(t, h, pluginTOML(guest(t, "native"))))
	if _, err := r.authorize("print"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range logs.All() {
		got = append(got, fmt.Sprint(e.ContextMap()["plugin"], e.ContextMap()["request_id"], e.ContextMap()["text"]))
	}
	want := []string{"pid-1first line", "pid-1second \x1b[31mline", "pid-1no end"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A guest's own memory and recursion end in the guest.
func TestGuestLimits(t *testing.T) {
	h := newHost(t, Options{})
	r := authorizerRig(t, begin(t, h, pluginTOML(guest(t, "native"), `memory = "8MiB"`)))
	for _, token := range []string{"grow", "recurse"} {
		_, err := r.authorize(token)
		wantFault(t, err, proxy.AuthorizerFailure)
		if s := stats(t, h); s.Memory > 8<<20 {
			t.Errorf("%s: %d bytes of memory", token, s.Memory)
		}
		if _, err := r.authorize("allow"); err != nil {
			t.Errorf("after %s: %v", token, err)
		}
	}
}

// An instance whose memory has grown makes room for a fresh one.
func TestLeakingInstanceIsRecycled(t *testing.T) {
	h := newHost(t, Options{})
	r := authorizerRig(t, begin(t, h, pluginTOML(guest(t, "native"), `memory = "16MiB"`)))
	for range 100 {
		if _, err := r.authorize("leak"); err != nil {
			t.Fatal(err)
		}
	}
	if s := stats(t, h); s.Started < 4 || s.Memory > 16<<20 {
		t.Errorf("figures are %+v", s)
	}
}

func TestRunawayIsStoppedAtItsDeadline(t *testing.T) {
	pausetest.Run(t, 50*time.Millisecond, func(t testing.TB) {
		h := newHost(t, Options{})
		r := authorizerRig(t, begin(t, h, pluginTOML(guest(t, "native"), `timeout = "100ms"`)))
		done := make(chan struct{})
		go func() { // collections during the runaway must not wait for it
			defer close(done)
			for range 5 {
				runtime.GC()
			}
		}()
		begin := time.Now()
		_, err := r.authorize("loop")
		took := time.Since(begin)
		wantFault(t, err, proxy.AuthorizerFailure)
		if !errors.Is(err, errDeadline) {
			t.Errorf("got %v", err)
		}
		if took < 100*time.Millisecond || took > 400*time.Millisecond {
			t.Errorf("stopped after %v, want 100ms", took)
		}
		<-done
	})
}

// Runaways in parallel don't keep others from being served.
func TestRunawaysDoNotStallOthers(t *testing.T) {
	pausetest.Run(t, 100*time.Millisecond, func(t testing.TB) {
		h := newHost(t, Options{})
		text := pluginTOML(guest(t, "native"), `timeout = "1s"`, `max_instances = 20`)
		text += fmt.Sprintf("[plugin.q]\nmodule = %q\ntimeout = \"1m\"\n", guest(t, "native"))
		g := begin(t, h, text)
		bad, good := authorizerRig(t, g), newRig(t)
		steps, err := g.Kinds()[0].New(good.build(), proxy.Options{Plugin: "q"})
		if err != nil {
			t.Fatal(err)
		}
		good.steps = steps
		var wg sync.WaitGroup
		var ended atomic.Bool
		for range 20 {
			wg.Go(func() {
				_, err := bad.authorize("loop")
				wantFault(t, err, proxy.AuthorizerFailure)
				ended.Store(true)
			})
		}
		for stats(t, h).Instances < 20 && !ended.Load() { // else so many will do
			runtime.Gosched()
		}
		worst := time.Duration(0)
		for range 100 {
			begin := time.Now()
			runtime.Gosched() // behind all that can run: what a request's goroutine meets
			if _, err := good.authorize("allow"); err != nil {
				t.Error(err)
			}
			worst = max(worst, time.Since(begin))
		}
		wg.Wait()
		t.Logf("slowest of 100 calls beside 20 runaways: %v", worst)
		if worst > 500*time.Millisecond {
			t.Errorf("a call took %v beside 20 runaways", worst)
		}
	})
}

// over reports whether done is closed.
func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func TestNoInstanceInTime(t *testing.T) {
	pausetest.Run(t, 100*time.Millisecond, func(t testing.TB) {
		h := newHost(t, Options{})
		r := authorizerRig(t, begin(t, h, pluginTOML(guest(t, "native"), `timeout = "500ms"`, `max_instances = 1`, `wait = "10ms"`)))
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, err := r.authorize("sleep")
			wantFault(t, err, proxy.AuthorizerFailure)
		}()
		p := r.steps[proxy.MethodRequest].(*authorizer).plugin
		for p.working() == 0 && !over(done) {
			runtime.Gosched()
		}
		ex, err := r.authorize("allow")
		wantFault(t, err, proxy.Overloaded)
		if ex.Notes.PluginFailure != "busy" {
			t.Errorf("failure %q", ex.Notes.PluginFailure)
		}
		// A client that leaves doesn't wait on.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err = r.steps[proxy.MethodRequest].Run(ctx, r.exchange("Authorization", "allow"))
		if f, ok := err.(proxy.Fault); !ok || f.Kind != proxy.ClientGone && f.Kind != proxy.Overloaded {
			t.Errorf("got %v", err)
		}
		<-done
		if _, err := r.authorize("nap"); err != nil { // a short sleep is no trap
			t.Error(err)
		}
		if s := stats(t, h); s.Busy == 0 {
			t.Error("waiting in vain isn't counted")
		}
	})
}

func TestPoolUnderLoad(t *testing.T) {
	h := newHost(t, Options{})
	r := authorizerRig(t, begin(t, h, pluginTOML(guest(t, "native"), `max_instances = 4`)))
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for n := range 30 {
				switch (worker + n) % 10 {
				case 0:
					_, err := r.authorize("bad pointer")
					wantFault(t, err, proxy.AuthorizerFailure)
				case 1:
					_, err := r.authorize("deny")
					wantFault(t, err, proxy.AccessDenied)
				default:
					if ex, err := r.authorize("allow"); err != nil || ex.Caller.Principal != "user-1" {
						t.Errorf("got %v %v", ex.Caller, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if s := stats(t, h); s.Calls != 240 || s.Instances > 4 {
		t.Errorf("figures are %+v", s)
	}
}

func TestDecoding(t *testing.T) {
	f := func(query, name, want string, found bool) {
		t.Helper()
		raw, ok := queryValue(query, name)
		if got := string(appendDecoded(nil, raw, plusIsSpace)); got != want || ok != found {
			t.Errorf("%q in %q: got %q %v, want %q %v", name, query, got, ok, want, found)
		}
	}
	f("a=1&b=2", "b", "2", true)
	f("a=1&a=2", "a", "2", true)
	f("x=1;a=2", "a", "2", true) // as in the event
	f("a=1;a=2&x=3", "a", "2", true)
	f("x=1%3Ba=2", "a", "", false)
	f("a", "a", "", true)
	f("", "a", "", false)
	f("&&a=1&", "a", "1", true)
	f("a%3Db=c%26d", "a=b", "c&d", true)
	f("a+b=1", "a b", "1", true)
	// The raw text of a name isn't its name.
	f("a+b=1", "a+b", "", false)
	f("a%20b=1", "a%20b", "", false)
	// Broken escapes stand for themselves, and nothing is decoded twice.
	f("a=%zz%4", "a", "%zz%4", true)
	f("a=%2541", "a", "%41", true)
	if _, ok := header(&proxy.Passing{}, http1.Fields{{Name: "Transfer-Encoding", Value: "x"}}, "transfer-encoding"); ok {
		t.Error("a field of the connection is visible")
	}
}

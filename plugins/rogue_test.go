package plugins

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/pausetest"
)

// rogue builds testdata/wasm/rogue, with start as what it does at its start.
func rogue(t testing.TB, start string) string {
	t.Helper()
	for _, tool := range []string{"clang-19", "wasm-ld-19"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("no " + tool + ": sdk/toolchains.sh installs it")
		}
	}
	object := filepath.Join(t.TempDir(), "rogue.o")
	file := filepath.Join(filepath.Dir(object), "rogue.wasm")
	compile := []string{
		"clang-19", "--target=wasm32", "-O2", "-std=c11", "-mbulk-memory", "-I", "../sdk/c", "-c", "-o", object, "../testdata/wasm/rogue/rogue.c",
	}
	if start != "" {
		compile = append(compile, fmt.Sprintf("-DSTART=%q", start))
	}
	// Two commands, because clang hands what it has linked to wasm-opt, if there is
	// one, which drops the functions' names.
	link := []string{"wasm-ld-19", "--no-entry", "-z", "stack-size=65536", "--stack-first", "-o", file, object}
	for _, command := range [][]string{compile, link} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return file
}

// neighbours are a rogue plugin "p" and a plugin "good" on one host.
type neighbours struct {
	*rig
	host *Host
	good proxy.Step
	bad  proxy.Step
	bad2 proxy.Steps // the integration

	plugin *plugin // the rogue
}

func newNeighbours(t testing.TB, o Options, options ...string) *neighbours {
	t.Helper()
	h := newHost(t, o)
	text := pluginTOML(rogue(t, ""), options...) + fmt.Sprintf("[plugin.good]\nmodule = %q\ntimeout = \"1m\"\nwait = \"1m\"\n", readsHeader(t))
	g := begin(t, h, text)
	n := &neighbours{rig: newRig(t), host: h, plugin: g.plugins["p"]}
	n.plugin.breaker.failures.Store(-1 << 30) // it would soon keep the rogue from being one
	for name, step := range map[string]*proxy.Step{"p": &n.bad, "good": &n.good} {
		steps, err := g.newAuthorizer(n.build(), proxy.Options{Plugin: name})
		if err != nil {
			t.Fatal(err)
		}
		*step = steps[proxy.MethodRequest]
	}
	steps, err := g.newIntegration(n.build(), proxy.Options{Integration: &config.Integration{Type: "wasm", Plugin: "p"}})
	if err != nil {
		t.Fatal(err)
	}
	n.bad2 = steps
	return n
}

// do has the rogue authorizer do something.
func (n *neighbours) do(what string) (*proxy.Exchange, error) {
	ex := n.exchange("x-do", what)
	_, err := n.bad.Run(context.Background(), ex)
	return ex, err
}

// serve makes one request of the good plugin and returns how long it took.
func (n *neighbours) serve() time.Duration {
	ex := n.exchange("Authorization", "token")
	begin := time.Now()
	_, err := n.good.Run(context.Background(), ex)
	took := time.Since(begin)
	if err != nil || ex.Caller.Principal != "token" {
		n.t.Errorf("a request beside got %v and principal %q", err, ex.Caller.Principal)
	}
	return took
}

// beside runs f several times at once, with other requests beside all the while.
func (n *neighbours) beside(f func()) {
	n.t.Helper()
	stop := make(chan struct{})
	var others, rogues sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				n.serve()
			}
		}
	})
	for range 4 {
		rogues.Go(f)
	}
	rogues.Wait()
	close(stop)
	others.Wait()
}

const mayTake = 100 * time.Millisecond

// Whatever a guest does costs its own request, the next ones are served, and
// nobody else notices.
func TestRogueAuthorizers(t *testing.T) {
	// Those that don't end have little time, all others as much as they need.
	short := newNeighbours(t, Options{}, fmt.Sprintf("timeout = %q", mayTake), `memory = "16MiB"`)
	long := newNeighbours(t, Options{}, `memory = "16MiB"`)
	for _, c := range []struct {
		do   string
		want proxy.FaultKind // 0 is none
		what string          // of the failure
	}{
		{"loop", proxy.AuthorizerFailure, "deadline"},
		{"recurse", proxy.AuthorizerFailure, "trap"},
		{"overflow", proxy.AuthorizerFailure, "trap"},
		{"trap", proxy.AuthorizerFailure, "trap"},
		{"divide", proxy.AuthorizerFailure, "trap"},
		{"exit", proxy.AuthorizerFailure, "exit"},
		{"exit0", proxy.AuthorizerFailure, "exit"},
		{"sleep", proxy.AuthorizerFailure, "deadline"},
		{"naps", proxy.AuthorizerFailure, "deadline"},
		{"fill", proxy.AuthorizerFailure, "deadline"},
		{"move", proxy.AuthorizerFailure, "deadline"},
		{"random", proxy.AuthorizerFailure, "deadline"},
		{"calls", proxy.AuthorizerFailure, "deadline"},
		{"time", proxy.AuthorizerFailure, "deadline"},
		{"bad pointer", proxy.AuthorizerFailure, "trap"},
		{"bad length", proxy.AuthorizerFailure, "trap"},
		{"wrap", proxy.AuthorizerFailure, "trap"},
		{"null call", proxy.AuthorizerFailure, "trap"},
		{"smash", proxy.AuthorizerFailure, "trap"},
		{"number", proxy.AuthorizerFailure, "answer"},
		{"zero", proxy.AuthorizerFailure, "answer"},
		{"phase", proxy.AccessDenied, ""},
		{"deny", proxy.AccessDenied, ""},
		{"grow", 0, ""},
		{"utf8", 0, ""},
		{"crlf", 0, ""},
		{"contexts", 0, ""},
		{"log", proxy.AuthorizerFailure, "deadline"},
		{"print", proxy.AuthorizerFailure, "deadline"},
	} {
		t.Run(c.do, func(t *testing.T) {
			n := long
			if c.what == "deadline" {
				n = short
			}
			of := n.t
			defer func() { n.t = of }()
			n.t = t
			n.beside(func() {
				begin := time.Now()
				ex, err := n.do(c.do)
				took := time.Since(begin)
				switch {
				case c.want != 0:
					wantFault(t, err, c.want)
				case err != nil:
					t.Errorf("got %v", err)
				}
				if got := ex.Notes.PluginFailure; got != c.what {
					t.Errorf("the failure is noted as %q, want %q: %v", got, c.what, err)
				}
				if c.want != 0 && ex.Caller.Principal != "" {
					t.Errorf("principal %q is left", ex.Caller.Principal)
				}
				if strings.ContainsAny(ex.Caller.Principal, "\xff") {
					t.Errorf("principal %q got through", ex.Caller.Principal)
				}
				if took > 30*time.Second {
					t.Errorf("it took %v", took)
				}
			})
			// A plain call works at once, in whatever instance.
			pausetest.Run(t, mayTake/4, func(t testing.TB) {
				if _, err := n.do(""); err != nil {
					t.Errorf("the next call: %v", err)
				}
			})
		})
	}
}

// Bad answers are the backend's fault, not the client's, and nothing of them
// gets through.
func TestRogueIntegrations(t *testing.T) {
	n := newNeighbours(t, Options{}, `memory = "32MiB"`)
	for do, want := range map[string]proxy.FaultKind{
		"huge": proxy.BadIntegration, "body": 0, "split": 0, "nothing": proxy.BadIntegration, "json": proxy.BadIntegration,
		"status": proxy.BadIntegration, "header": proxy.BadIntegration, "ok": 0,
	} {
		t.Run(do, func(t *testing.T) {
			n.t = t
			n.beside(func() {
				ex := n.exchange("x-do", do)
				_, err := n.bad2[proxy.Integration].Run(context.Background(), ex)
				if err == nil {
					_, err = n.bad2[proxy.IntegrationResponse].Run(context.Background(), ex)
				}
				if want != 0 {
					wantFault(t, err, want)
				} else if err != nil {
					t.Error(err)
				}
				for _, f := range ex.Reply.Fields {
					if strings.Contains(strings.ToLower(f.Name), "x-admin") || strings.ContainsAny(f.Name+f.Value, "\r\n") {
						t.Errorf("the field %q: %q got through", f.Name, f.Value)
					}
				}
			})
		})
	}
	n.t = t
}

// A call that is too long ends within 10 ms of its deadline, many at once too. What the
// machine does meanwhile can only make it longer, so the quickest of some counts; and on
// one that is always busy, that no more was computed than one guest's time and theirs
// after it.
func TestRoguesAreStoppedAtTheirDeadline(t *testing.T) {
	n := newNeighbours(t, Options{}, fmt.Sprintf("timeout = %q", mayTake))
	for _, do := range []string{"loop", "fill", "move", "calls", "random", "log"} {
		attempt(t, 20, func() error {
			var worst atomic.Int64
			var all sync.WaitGroup
			before := processor()
			for range 4 {
				all.Go(func() {
					begin := time.Now()
					_, err := n.do(do)
					wantFault(t, err, proxy.AuthorizerFailure)
					for took := int64(time.Since(begin)); ; {
						if old := worst.Load(); took <= old || worst.CompareAndSwap(old, took) {
							return
						}
					}
				})
			}
			all.Wait()
			const may = 10 * time.Millisecond
			computed := time.Duration(max(1, runtime.GOMAXPROCS(0)-1)) * mayTake
			if late := time.Duration(worst.Load()) - mayTake; late > may && processor()-before > computed+4*may {
				return fmt.Errorf("%s: stopped %v after its deadline", do, late)
			}
			return nil
		})
	}
}

// attempt tries something that depends on time, which a busy machine can spoil.
func attempt(t testing.TB, times int, f func() error) {
	t.Helper()
	var err error
	for range times {
		if err = f(); err == nil {
			return
		}
	}
	t.Error(err)
}

// Loops in many requests at once leave the others their time.
func TestLoopsLeaveOthersTheirTime(t *testing.T) {
	const loops = 100
	n := newNeighbours(t, Options{}, `timeout = "50ms"`, `max_instances = 100`)
	measure := func() time.Duration {
		times := make([]time.Duration, 2000)
		for i := range times {
			times[i] = n.serve()
			time.Sleep(50 * time.Microsecond) // as requests come: not all at once
		}
		slices.Sort(times)
		return times[len(times)*99/100]
	}
	attempt(t, 30, func() error {
		alone := measure()
		stop := make(chan struct{})
		var all sync.WaitGroup
		for range loops {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						_, _ = n.do("loop")
					}
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		with := measure()
		close(stop)
		all.Wait()
		t.Logf("p99 %v alone, %v with %d loops", alone, with, loops)
		if with > max(2*alone, time.Millisecond) { // it was ten before guests took turns
			return fmt.Errorf("p99 is %v beside %d loops, %v without", with, loops, alone)
		}
		return nil
	})
}

// A computing guest doesn't hold up the collector, and through it everybody: an
// outside GET is answered long before the guests come to their ends.
func TestCollectorBesideLoops(t *testing.T) {
	const loop = 3 * time.Second
	n := newNeighbours(t, Options{}, fmt.Sprintf("timeout = %q", loop))
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.serve() }))
	defer server.Close()
	attempt(t, 5, func() error {
		var all sync.WaitGroup
		var ended atomic.Bool
		for range 4 {
			all.Go(func() {
				_, _ = n.do("loop")
				ended.Store(true)
			})
		}
		for n.plugin.working() < 4 && !ended.Load() {
			time.Sleep(time.Millisecond)
		}
		worst := time.Duration(0)
		for range 20 {
			collected := make(chan struct{})
			go func() {
				defer close(collected)
				runtime.GC()
			}()
			begin := time.Now()
			answer, err := server.Client().Get(server.URL)
			worst = max(worst, time.Since(begin))
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			<-collected
		}
		all.Wait()
		t.Logf("the slowest GET took %v", worst)
		if worst > loop/3 {
			return fmt.Errorf("a GET took %v", worst)
		}
		return nil
	})
}

// processor returns how long this process has computed.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // its arguments are right
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Start failures are found at load and say what happened.
func TestRogueStarts(t *testing.T) {
	for start, want := range map[string]string{"trap": "unreachable", "exit": "exit status 3", "recurse": "nested too deeply"} {
		h := newHost(t, Options{})
		_, found := h.Begin(context.Background(), parse(t, pluginTOML(rogue(t, start))))
		if text := found.Text(); !strings.Contains(text, "doesn't start") || !strings.Contains(text, want) {
			t.Errorf("%s: got %q, want %q", start, text, want)
		}
	}
	// One that is slow, or takes all its memory, starts.
	for _, start := range []string{"slow", "grow"} {
		g := begin(t, newHost(t, Options{}), pluginTOML(rogue(t, start), `memory = "8MiB"`))
		r := authorizerRig(t, g)
		if _, err := r.authorize("x"); err != nil {
			t.Errorf("%s: %v", start, err)
		}
	}
}

// resident is the process's memory in bytes, after what can go has gone.
func resident(t testing.TB) int {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc/self/statm")
	}
	var size, rss int
	if _, err := fmt.Sscan(string(text), &size, &rss); err != nil {
		t.Fatal(err)
	}
	return rss * os.Getpagesize()
}

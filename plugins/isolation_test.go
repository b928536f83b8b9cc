package plugins

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
)

// counting calls the rogue n times and returns how many calls each found to have
// been before it.
func (n *neighbours) counting(calls int) string {
	n.t.Helper()
	var all []string
	for range calls {
		ex, err := n.do("count")
		if err != nil {
			n.t.Fatal(err)
		}
		all = append(all, strings.Clone(ex.Caller.Principal))
	}
	return strings.Join(all, " ")
}

// What a call leaves in its instance, the next one finds only where that is
// wanted.
func TestIsolation(t *testing.T) {
	for isolation, want := range map[string]string{"": "1 1 1", "reset": "1 1 1", "fresh": "1 1 1", "shared": "1 2 3"} {
		options := []string{`memory = "8MiB"`}
		if isolation != "" {
			options = append(options, fmt.Sprintf("isolation = %q", isolation))
		}
		n := newNeighbours(t, Options{}, options...)
		if got := n.counting(3); got != want {
			t.Errorf("isolation %q: calls see %s, want %s", isolation, got, want)
		}
		started := uint64(1) // at load
		if isolation == "fresh" {
			started += 3
		}
		if got := stats(t, n.host).Started; got != started {
			t.Errorf("isolation %q: %d instances were started, want %d", isolation, got, started)
		}
	}
}

// Memory that a call took is gone after it: each gets the same, and finds zeros.
func TestResetTakesMemoryBack(t *testing.T) {
	n := newNeighbours(t, Options{}, `memory = "4MiB"`)
	first := ""
	for i := range 20 {
		ex, err := n.do("grow")
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = strings.Clone(ex.Caller.Principal)
		}
		if got := ex.Caller.Principal; got != first || got == "0" {
			t.Fatalf("call %d could grow by %s pages, the first by %s", i, got, first)
		}
	}
}

func TestIsolationIsChecked(t *testing.T) {
	h := newHost(t, Options{})
	f := func(module, want string, options ...string) {
		t.Helper()
		_, found := h.Begin(context.Background(), parse(t, pluginTOML(module, options...)))
		if text := found.Text(); !strings.Contains(text, want) || !strings.Contains(text, "plugin.p.isolation") {
			t.Errorf("got %q, want %q", text, want)
		}
	}
	f(guest(t, "command"), "ends with its call", `isolation = "shared"`)
	f(guest(t, "command"), "ends with its call", `isolation = "reset"`)
}

// All plugins together get no more memory than memory_budget.
func TestMemoryBudget(t *testing.T) {
	h := newHost(t, Options{})
	text := "memory_budget = \"4MiB\"\n" + pluginTOML(rogue(t, ""), `isolation = "shared"`)
	g := begin(t, h, text)
	r := authorizerRig(t, g)
	ex := r.exchange("x-do", "grow")
	if _, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
		t.Fatal(err) // it may have 64 MiB by its own limit, but gets what there is
	}
	if got := stats(t, h).Memory; got > 4<<20 {
		t.Errorf("the instances have %d bytes", got)
	}
	// With its instance at work, there is nothing for another one.
	p := g.plugins["p"]
	in, err := p.take(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	in.begin(0, nil, nil, time.Minute)
	for h.budget.take(p.counters, pageSize) {
		defer h.budget.force(p.counters, -pageSize)
	}
	_, err = p.take(context.Background())
	wantFault(t, err, proxy.Overloaded)
	p.give(in, nil)
}

// A plugin that takes all the memory it can get leaves some for another one.
func TestMemoryBudgetIsShared(t *testing.T) {
	h := newHost(t, Options{})
	text := "memory_budget = \"8MiB\"\n" + pluginTOML(rogue(t, "")) +
		fmt.Sprintf("[plugin.good]\nmodule = %q\nisolation = \"fresh\"\nwait = \"1m\"\n", readsHeader(t))
	g := begin(t, h, text)
	greedy := g.plugins["p"]
	in, err := greedy.take(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	in.begin(0, nil, nil, time.Minute)
	for h.budget.take(greedy.counters, pageSize) {
		defer h.budget.force(greedy.counters, -pageSize)
	}
	if got := greedy.counters.memory.Load(); got < 5<<20 || got > 6<<20 {
		t.Errorf("it has %d bytes", got)
	}
	_, err = greedy.take(context.Background())
	wantFault(t, err, proxy.Overloaded)
	for range 10 {
		other, err := g.plugins["good"].take(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		other.begin(0, nil, nil, time.Minute)
		g.plugins["good"].give(other, nil)
	}
	greedy.give(in, nil)
}

// Memory that somebody else takes while an instance begins costs a request: no
// plugin is blamed.
func TestMemoryBudgetRunsOut(t *testing.T) {
	h := newHost(t, Options{})
	g := begin(t, h, "memory_budget = \"1MiB\"\n"+pluginTOML(rogue(t, ""), `isolation = "fresh"`))
	p := g.plugins["p"]
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for other := new(counters); ; {
			select {
			case <-stop:
				return
			default:
			}
			for h.budget.take(other, pageSize) {
				runtime.Gosched()
			}
			h.budget.force(other, -other.memory.Load())
		}
	})
	began, refused := 0, 0
	for range 2000 {
		in, err := p.take(context.Background())
		if err != nil {
			wantFault(t, err, proxy.Overloaded)
			refused++
			continue
		}
		began++
		in.begin(0, nil, nil, time.Minute)
		p.give(in, nil)
	}
	close(stop)
	others.Wait()
	if began == 0 || refused == 0 {
		t.Errorf("%d instances began, %d were refused", began, refused)
	}
}

// A plugin that can't work isn't started for each request, and gets a chance
// again.
func TestBreaker(t *testing.T) {
	var b breaker
	now := int64(0)
	fail := func() time.Duration { pause, _ := b.tell(failing, now); return pause }
	for i := range breakerFailures - 1 {
		if pause := fail(); pause != 0 {
			t.Fatalf("open after %d failures", i+1)
		}
	}
	b.tell(succeeded, now)
	for range breakerFailures - 1 {
		fail()
	}
	pause := fail()
	if pause < breakerFirst/2 || pause > breakerFirst*3/2 || b.admit(now) {
		t.Fatalf("the pause is %v, admits %v", pause, b.admit(now))
	}
	for wait := 2 * breakerFirst; wait <= breakerLongest; wait *= 2 {
		now += int64(pause)
		if !b.admit(now) || b.admit(now) {
			t.Fatal("after a pause one try is due, and only one")
		}
		if pause = fail(); pause < wait/2 || pause > wait*3/2 {
			t.Fatalf("the pause is %v, want %v", pause, wait)
		}
	}
	now += int64(pause)
	if !b.admit(now) {
		t.Fatal("no try")
	}
	if _, again := b.tell(succeeded, now); !again || b.open.Load() {
		t.Error("a good try doesn't close the breaker")
	}
}

func TestUnhealthyPluginFailsClosed(t *testing.T) {
	logger, logs := observed()
	n := newNeighbours(t, Options{Logger: logger})
	n.plugin.breaker.failures.Store(0)
	for range breakerFailures {
		_, err := n.do("trap")
		wantFault(t, err, proxy.AuthorizerFailure)
	}
	started := stats(t, n.host).Started
	ex, err := n.do("")
	wantFault(t, err, proxy.AuthorizerFailure)
	if s := stats(t, n.host); ex.Notes.PluginFailure != "unhealthy" || !s.Unhealthy || s.Refused != 1 || s.Started != started {
		t.Errorf("noted %q, figures %+v", ex.Notes.PluginFailure, s)
	}
	n.serve()
	for n.plugin.breaker.open.Load() { // the pause is at most 150 ms
		if _, err := n.do(""); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if stats(t, n.host).Unhealthy {
		t.Error("still unhealthy after a call that succeeded")
	}
	for _, want := range []string{"plugin is unhealthy", "plugin works again"} {
		if logs.FilterMessage(want).Len() != 1 {
			t.Errorf("%q is logged %d times", want, logs.FilterMessage(want).Len())
		}
	}
}

// A trap's log line names the guest's functions.
func TestTraceNamesFunctions(t *testing.T) {
	for do, want := range map[string]string{"loop": "spin", "recurse": "recurse", "trap": "misbehave"} {
		logger, logs := observed()
		n := newNeighbours(t, Options{Logger: logger}, `timeout = "20ms"`)
		_, _ = n.do(do)
		lines := logs.FilterMessage("plugin was cut off").All()
		if len(lines) != 1 {
			t.Fatalf("%s: %d lines", do, len(lines))
		}
		if trace := fmt.Sprint(lines[0].ContextMap()["trace"]); !strings.Contains(trace, want) {
			t.Errorf("%s: the trace is %s", do, trace)
		}
	}
}

// Instances that a burst needed don't stay.
func TestIdleInstancesAreTrimmed(t *testing.T) {
	n := newNeighbours(t, Options{})
	var taken []*instance
	for range 5 {
		in, err := n.plugin.take(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		in.begin(0, nil, nil, time.Minute)
		taken = append(taken, in)
	}
	for _, in := range taken {
		n.plugin.give(in, nil)
	}
	n.plugin.trim(n.host.now())
	if got := stats(t, n.host).Instances; got != 5 {
		t.Errorf("%d instances are left at once, want 5", got)
	}
	n.plugin.trim(n.host.now() + int64(idleTime))
	if got := stats(t, n.host).Instances; got != keepIdle {
		t.Errorf("%d instances are left after a while, want %d", got, keepIdle)
	}
}

func TestCacheIsTrimmed(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for i, name := range []string{"old", "older", "new"} {
		path := filepath.Join(dir, "sub", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		age := []time.Duration{2, 3, 1}[i] * time.Hour
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	left := func() string {
		entries, _ := os.ReadDir(filepath.Join(dir, "sub"))
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	for _, c := range []struct {
		most int64
		want string
	}{{3000, "new old older"}, {2999, "new old"}, {1000, "new"}, {0, ""}} {
		if err := trimCache(dir, c.most); err != nil || left() != c.want {
			t.Errorf("at most %d bytes: %q is left, %v; want %q", c.most, left(), err, c.want)
		}
	}
}

// descriptors is how many files the process has open.
func descriptors(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc/self/fd")
	}
	return len(entries)
}

// Reloads leave nothing behind. POSTERN_RELOADS=10m reloads for that long, 100
// times a minute; else there are a few dozen.
func TestReloadsLeaveNothing(t *testing.T) {
	reloads, every := 120, time.Duration(0)
	if text := os.Getenv("POSTERN_RELOADS"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		reloads, every = int(d.Minutes()*100), 600*time.Millisecond
	}
	h := newHost(t, Options{})
	modules := []string{guest(t, "native"), rogue(t, "")}
	reload := func(i int) {
		begin := time.Now()
		g, found := h.Begin(context.Background(), parse(t, pluginTOML(modules[i%2], fmt.Sprintf(`config = { n = %d }`, i))))
		if len(found) > 0 {
			t.Fatal(found.Text())
		}
		g.Commit()
		r := authorizerRig(t, g)
		for range 5 {
			_, _ = r.authorize("allow")
		}
		r.Close()
		r.steps = proxy.Steps{} // the test would keep it
		time.Sleep(max(0, every-time.Since(begin)))
	}
	for i := range 20 {
		reload(i)
	}
	goroutines, files, memory := runtime.NumGoroutine(), descriptors(t), resident(t)
	for i := range reloads {
		reload(20 + i)
	}
	// An even number of reloads: the same module is loaded now as before.
	if got := runtime.NumGoroutine(); got > goroutines {
		t.Errorf("%d goroutines, %d before", got, goroutines)
	}
	if got := descriptors(t); got > files {
		t.Errorf("%d files are open, %d before", got, files)
	}
	attempt(t, 5, func() error {
		got := resident(t)
		t.Logf("%d KiB resident, %d before %d reloads", got>>10, memory>>10, reloads)
		if got > memory+max(memory/20, 8<<20) {
			return fmt.Errorf("%d KiB are resident, %d before", got>>10, memory>>10)
		}
		return nil
	})
	if got := stats(t, h).Instances; got != 1 {
		t.Errorf("%d instances are left", got)
	}
}

// BenchmarkReset is what putting an instance back adds to a call, by the size of
// the guest's memory.
func BenchmarkReset(b *testing.B) {
	for _, kib := range []int{64, 128, 512} {
		b.Run(fmt.Sprint(kib, "KiB"), func(b *testing.B) {
			n := newNeighbours(b, Options{})
			in, err := n.plugin.take(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			in.begin(0, nil, nil, time.Minute)
			defer n.plugin.give(in, nil)
			defer func(before *snapshot) { in.initial = before }(in.initial)
			s := *in.initial
			s.size = min(kib<<10, int(in.memory.Size()))
			s.image = make([]byte, s.size) // the worst case: nothing of it is zero
			in.initial = &s
			b.ReportAllocs()
			for b.Loop() {
				if err := in.reset(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

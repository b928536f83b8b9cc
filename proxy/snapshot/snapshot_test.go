package snapshot

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// fixed is an integration kind that any route can have.
func fixed() []proxy.Kind {
	return []proxy.Kind{{
		Name: "mock",
		Role: proxy.IntegrationKind,
		New:  func(proxy.Build, proxy.Options) (proxy.Steps, error) { return proxy.Steps{}, nil },
	}}
}

// routes makes a route table of mocks.
func routes(keys ...string) map[string]config.Route {
	m := map[string]config.Route{}
	for _, key := range keys {
		m[key] = config.Route{Integration: config.Integration{Type: "mock"}}
	}
	return m
}

// oneAPI is a configuration of the API "a" with a stage "s" at a.localhost.
func oneAPI(keys ...string) *config.Config {
	return &config.Config{
		Gateway: config.Gateway{Suffix: "localhost"},
		API: map[string]config.API{"a": {
			Type:  "rest",
			Route: routes(keys...),
			Stage: map[string]config.Stage{"s": {}},
		}},
	}
}

// compiled returns cfg's snapshot, which the test's end closes.
func compiled(t testing.TB, cfg *config.Config) *Snapshot {
	t.Helper()
	s, findings := Compile(cfg, Options{Kinds: fixed()})
	if len(findings) > 0 {
		t.Fatalf("findings:\n%s", findings.Text())
	}
	t.Cleanup(s.Close)
	return s
}

// request returns an exchange as the server hands it to Match.
func request(method, host, path string, fields ...http1.Field) *proxy.Exchange {
	ex := new(proxy.Exchange)
	ex.Begin(time.Time{}, nil)
	ex.In.Method, ex.In.Host, ex.In.Path = method, host, path
	ex.In.Fields = append(ex.In.Fields, fields...)
	return ex
}

func TestSnapshotLifetime(t *testing.T) {
	var order []int
	s := &Snapshot{onClose: []func(){
		func() { order = append(order, 1) },
		func() { order = append(order, 2) },
	}}
	if !s.Acquire() || !s.Acquire() {
		t.Fatal("an open snapshot can't be acquired")
	}
	s.Release()
	s.Close()
	if s.Acquire() {
		t.Error("a closed snapshot was acquired")
	}
	if len(order) > 0 {
		t.Fatal("OnClose functions ran while the snapshot was used")
	}
	s.Close()
	s.Release()
	if len(order) != 2 || order[0] != 2 || order[1] != 1 {
		t.Errorf("OnClose functions ran as %v, want [2 1]", order)
	}
	if s.Acquire() {
		t.Error("an ended snapshot was acquired")
	}
	s.Close()
	if len(order) != 2 {
		t.Errorf("OnClose functions ran again: %v", order)
	}
}

func TestSnapshotReleasedTooOften(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	new(Snapshot).Release()
}

// Many users come and go while snapshots are swapped: each is ended once, after
// its last user left.
func TestSnapshotLifetimeHammer(t *testing.T) {
	const swaps = 300
	var current atomic.Pointer[Snapshot]
	var ended [swaps + 1]atomic.Int32
	type use struct{ active atomic.Int64 }
	uses := make([]use, swaps+1)
	index := sync.Map{}
	make1 := func(i int) *Snapshot {
		s := new(Snapshot)
		s.onClose = []func(){func() {
			ended[i].Add(1)
			if n := uses[i].active.Load(); n != 0 {
				t.Errorf("snapshot %d ended with %d users", i, n)
			}
		}}
		index.Store(s, i)
		return s
	}
	current.Store(make1(0))
	var stop atomic.Bool
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			for !stop.Load() {
				s := current.Load()
				if !s.Acquire() {
					continue // a newer one is in place
				}
				n, _ := index.Load(s)
				u := &uses[n.(int)]
				u.active.Add(1)
				if ended[n.(int)].Load() != 0 {
					t.Error("an ended snapshot is in use")
				}
				u.active.Add(-1)
				s.Release()
			}
		})
	}
	for i := 1; i <= swaps; i++ {
		current.Swap(make1(i)).Close()
		if i%50 == 0 {
			runtime.Gosched()
		}
	}
	stop.Store(true)
	wait.Wait()
	current.Load().Close()
	for i := range ended {
		if n := ended[i].Load(); n != 1 {
			t.Fatalf("snapshot %d ended %d times", i, n)
		}
	}
}

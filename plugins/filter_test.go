package plugins

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/pausetest"
	"github.com/postern-gateway/postern/sdk/abi"
)

// filterSteps returns the steps of the plugin "p" as a filter.
func filterSteps(t testing.TB, h *Host, module string, options ...string) (*rig, proxy.Steps) {
	t.Helper()
	g := begin(t, h, pluginTOML(module, options...))
	r := newRig(t)
	steps, err := g.newFilter(r.build(), proxy.Options{Plugin: "p"})
	if err != nil {
		t.Fatal(err)
	}
	return r, steps
}

// loopingFilter is a hand-made filter that never comes to an end.
func loopingFilter(t testing.TB) string {
	t.Helper()
	return handMade(t, nil, map[string][]byte{
		abi.ExportVersion: append(append([]byte{0x41}, sleb(abi.Version)...), 0x0b),
		abi.ExportRequest: {0x03, 0x40, 0x0c, 0, 0x0b, 0x41, 1, 0x0b}, // loop br 0 end; i32.const 1
	})
}

// on_error decides about every way in which a filter can fail, the first failure
// is the one that the record tells, and a client that leaves is no failure.
func TestFilterWithoutInstance(t *testing.T) {
	pausetest.Run(t, 50*time.Millisecond, func(t testing.TB) {
		for _, onError := range []string{"fail", "continue"} {
			h := newHost(t, Options{})
			r, steps := filterSteps(t, h, loopingFilter(t), `timeout = "300ms"`, `max_instances = 1`, `wait = "10ms"`, fmt.Sprintf("on_error = %q", onError))
			step := steps[proxy.MethodRequest].(*requestFilter)
			run := func(ctx context.Context) (*proxy.Exchange, error) {
				ex := r.exchange()
				_, err := step.Run(ctx, ex)
				return ex, err
			}
			want := func(err error, kind proxy.FaultKind) {
				t.Helper()
				if onError == "fail" {
					wantFault(t, err, kind)
				} else if err != nil {
					t.Errorf("continue: %v", err)
				}
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				ex, err := run(context.Background())
				want(err, proxy.PluginTimeout)
				if n := ex.Notes; n.Plugin != "p" || n.PluginRole != "request" || n.PluginFailure != "deadline" {
					t.Errorf("notes are %+v", n)
				}
			}()
			for step.plugin.working() == 0 && !over(done) {
				runtime.Gosched()
			}
			ex, err := run(context.Background())
			want(err, proxy.Overloaded)
			if ex.Notes.PluginFailure != "busy" {
				t.Errorf("failure is %q", ex.Notes.PluginFailure)
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if ex, err = run(ctx); ex.Notes.PluginFailure != "busy" { // else it saw the client go first
				wantFault(t, err, proxy.ClientGone)
			}
			<-done
		}
	})
}

// Many at once: no exchange gets what another one's calls have set.
func TestFiltersSideBySide(t *testing.T) {
	r, steps := filterSteps(t, newHost(t, Options{}), editsHeaders(t))
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 300 {
				value := fmt.Sprintf("%02d%03d", worker, i)
				ex := r.exchange("X-In", value)
				ex.Reply.Status = 200
				if _, err := steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
					t.Error(err)
				}
				if _, err := steps[proxy.MethodResponse].Run(context.Background(), ex); err != nil {
					t.Error(err)
				}
				if got := ex.In.Fields.Get("X-Out") + ex.Reply.Fields.Get("X-Out"); got != value+"X-In" {
					t.Errorf("%s: got %s", value, got)
				}
			}
		})
	}
	wg.Wait()
}

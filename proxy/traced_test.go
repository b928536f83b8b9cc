package proxy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
)

type traceStep func(ex *proxy.Exchange) (proxy.Verdict, error)

func (s traceStep) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) { return s(ex) }

func tracedPipeline(last traceStep) *proxy.Pipeline {
	pass := traceStep(func(*proxy.Exchange) (proxy.Verdict, error) { return proxy.Continue, nil })
	return proxy.NewPipeline(proxy.Steps{pass, pass, pass, last, pass}, proxy.Steps{pass})
}

func tracedExchange(ex *proxy.Exchange, p *proxy.Pipeline) {
	ex.Begin(time.Now(), nil)
	ex.In.Method, ex.In.Path = "GET", "/"
	if ex.Stage == nil {
		ex.Stage = &proxy.Stage{API: &proxy.API{Name: "a"}, Name: "s"}
		ex.Route = &proxy.Route{Stage: ex.Stage, Key: "GET /", Pipeline: p}
	}
}

// Whatever a step does, its phase and its outcome are in the trace.
func TestTraceOutcomes(t *testing.T) {
	f := func(last traceStep, phases int, want string) {
		t.Helper()
		p, ex := tracedPipeline(last), &proxy.Exchange{}
		tracedExchange(ex, p)
		ex.StartTrace()
		p.Run(t.Context(), ex, 1)
		got := ex.FinishTrace()
		if ex.Explain != nil || len(got.Phases) != phases {
			t.Fatalf("%d phases, want %d", len(got.Phases), phases)
		}
		step := got.Phases[3].Steps[0]
		if got.Phases[3].Name != "integration response" || step.Name != "proxy_test" || !strings.HasPrefix(step.Outcome, want) {
			t.Errorf("%+v, want %s", step, want)
		}
	}
	f(func(*proxy.Exchange) (proxy.Verdict, error) { return proxy.Continue, nil }, 5, "continue")
	f(func(*proxy.Exchange) (proxy.Verdict, error) { return proxy.Answered, nil }, 5, "answered")
	f(func(*proxy.Exchange) (proxy.Verdict, error) { return proxy.Continue, errors.New("no") }, 5, "failed: INTERNAL: no")
	f(func(*proxy.Exchange) (proxy.Verdict, error) { panic("oops") }, 5, "panic")
}

// An exchange that nobody wants traced costs what it did.
func BenchmarkPipeline(b *testing.B) {
	p := tracedPipeline(func(*proxy.Exchange) (proxy.Verdict, error) { return proxy.Continue, nil })
	for _, traced := range []bool{false, true} {
		name := "untraced"
		if traced {
			name = "traced"
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			ex := &proxy.Exchange{}
			stage := &proxy.Stage{API: &proxy.API{Name: "a"}, Name: "s"}
			route := &proxy.Route{Stage: stage, Key: "GET /", Pipeline: p}
			for b.Loop() {
				ex.Begin(time.Time{}, nil)
				ex.Stage, ex.Route = stage, route
				if traced {
					ex.StartTrace()
				}
				p.Run(b.Context(), ex, 1)
				ex.FinishTrace()
				ex.End()
			}
		})
	}
}

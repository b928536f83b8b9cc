package usage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/usage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const head = `
[listen.public]
address = "127.0.0.1:0"
[api.pets]
type = "rest"
[api.pets.route."GET /pets"]
api_key_required = true
integration = { type = "mock" }
response.default = {}
[key.one]
value = "TheKeyOfPartnerOne000001"
plans = ["gold"]
`

// build returns the step for the route of a configuration.
func build(t testing.TB, ledger *usage.Ledger, text string) proxy.Step {
	t.Helper()
	cfg, findings := config.Parse("postern.toml", []byte(head+text))
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	const key = "GET /pets"
	route := cfg.API["pets"].Route[key]
	shared := map[any]any{}
	steps, err := Kind(Options{Ledger: ledger}).New(proxy.Build{
		Route: &proxy.Route{Key: key, Stage: &proxy.Stage{Name: "prod", API: &proxy.API{Name: "pets"}}},
		Shared: func(key any, build func() any) any {
			if shared[key] == nil {
				shared[key] = build()
			}
			return shared[key]
		},
	}, proxy.Options{Config: cfg, Route: &route})
	if err != nil {
		t.Fatal(err)
	}
	return steps[proxy.MethodRequest]
}

func exchange(value string, at time.Time) *proxy.Exchange {
	ex := &proxy.Exchange{}
	ex.Begin(at, nil)
	if value != "" {
		ex.In.Fields = append(ex.In.Fields, http1.NewField("Host", "pets"), http1.NewField("x-api-key", value))
	}
	return ex
}

func try(s proxy.Step, ex *proxy.Exchange) proxy.FaultKind {
	_, err := s.Run(context.Background(), ex)
	var f proxy.Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return proxy.NoFault
}

// The authorizer's key counts where it is the source, and the header's doesn't.
func TestSource(t *testing.T) {
	const rest = `
[api.pets.stage.prod]
[plan.gold]
stages = ["pets:prod"]
`
	s := build(t, usage.New(usage.Options{}), rest)
	ex := exchange("TheKeyOfPartnerOne000001", time.Now())
	if got := try(s, ex); got != proxy.NoFault || ex.Caller.KeyID != "one" || ex.Caller.Key != "TheKeyOfPartnerOne000001" {
		t.Errorf("%v, %+v", got, ex.Caller)
	}
	ex = exchange("", time.Now())
	ex.Caller.UsageKey = "TheKeyOfPartnerOne000001"
	if got := try(s, ex); got != proxy.InvalidAPIKey || ex.Caller.KeyID != "" {
		t.Errorf("%v, %+v", got, ex.Caller)
	}
	s = build(t, usage.New(usage.Options{}), "[api.pets.stage.prod]\n[plan.gold]\nstages = [\"pets:prod\"]\n")
	if got := try(s, exchange("TheKeyOfPartnerOne00000", time.Now())); got != proxy.InvalidAPIKey {
		t.Error(got)
	}
}

func TestAuthorizerSource(t *testing.T) {
	s := build(t, usage.New(usage.Options{}), `
[api.pets.stage.prod]
[plan.gold]
stages = ["pets:prod"]
`).(*step)
	s.fromAuthorizer = true
	if got := try(s, exchange("TheKeyOfPartnerOne000001", time.Now())); got != proxy.InvalidAPIKey {
		t.Error(got)
	}
	ex := exchange("", time.Now())
	ex.Caller.UsageKey = "TheKeyOfPartnerOne000001"
	if got := try(s, ex); got != proxy.NoFault || ex.Caller.KeyID != "one" {
		t.Error(got)
	}
}

// A request that any level refuses takes from none.
func TestRefusalsTakeNothing(t *testing.T) {
	const plan = "[plan.gold]\nstages = [\"pets:prod\"]\n"
	const key = "TheKeyOfPartnerOne000001"
	f := func(text string, then proxy.FaultKind, free string) {
		t.Helper()
		ledger := usage.New(usage.Options{})
		s := build(t, ledger, text)
		if got := try(s, exchange(key, time.Now())); got != proxy.NoFault {
			t.Fatal(got)
		}
		for range 5 {
			if got := try(s, exchange(key, time.Now())); got != then {
				t.Errorf("%s: %v, want %v", text, got, then)
			}
		}
		// Without the level that refused, the others have all but one token left.
		s = build(t, ledger, free)
		for range 2 {
			if got := try(s, exchange(key, time.Now())); got != proxy.NoFault {
				t.Errorf("%s: then %v", text, got)
			}
		}
		if got := try(s, exchange(key, time.Now())); got == proxy.NoFault {
			t.Errorf("%s: then one too many", text)
		}
	}
	const slow = "throttle = { rate = 0.001, burst = "
	// The method refuses, then the gateway: the plan's throttle and quota had three.
	f("[api.pets.stage.prod]\n"+slow+"1 }\n"+plan+slow+"3 }", proxy.Throttled, "[api.pets.stage.prod]\n"+plan+slow+"3 }")
	f("[api.pets.stage.prod]\n"+slow+"1 }\n"+plan+"quota = { limit = 3, period = \"month\" }", proxy.Throttled, "[api.pets.stage.prod]\n"+plan+"quota = { limit = 3, period = \"month\" }")
	f("[throttle]\nrate = 0.001\nburst = 1\n[api.pets.stage.prod]\n"+slow+"3 }\n"+plan, proxy.Throttled, "[api.pets.stage.prod]\n"+slow+"3 }\n"+plan)
	// The quota refuses: the throttle of the plan had three.
	f("[api.pets.stage.prod]\n"+plan+slow+"3 }\nquota = { limit = 1, period = \"month\" }", proxy.QuotaExceeded, "[api.pets.stage.prod]\n"+plan+slow+"3 }")
	// The plan's throttle refuses: the method had three.
	f("[api.pets.stage.prod]\n"+slow+"3 }\n"+plan+slow+"1 }", proxy.Throttled, "[api.pets.stage.prod]\n"+slow+"3 }\n"+plan)
}

// What nobody asks for costs nothing.
func TestNoSteps(t *testing.T) {
	cfg := &config.Config{API: map[string]config.API{"pets": {Stage: map[string]config.Stage{"prod": {}}}}}
	steps, err := Kind(Options{}).New(proxy.Build{
		Route: &proxy.Route{Stage: &proxy.Stage{Name: "prod", API: &proxy.API{Name: "pets"}}},
	}, proxy.Options{Config: cfg, Route: &config.Route{}})
	if err != nil || steps != (proxy.Steps{}) {
		t.Errorf("%v, %v", steps, err)
	}
}

// Many callers at once, at ten times the gateway's rate: what comes through is its
// rate and its burst, though each refusal gives back what the plan and the method had.
func TestThrottleUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := usage.New(usage.Options{})
		s := build(t, ledger, `
[throttle]
rate = 2000
burst = 1000
[api.pets.stage.prod]
throttle = { rate = 100000, burst = 100000 }
[plan.gold]
stages = ["pets:prod"]
throttle = { rate = 100000, burst = 100000 }
quota = { limit = 1000000, period = "month" }
`)
		var passed atomic.Int64
		var work sync.WaitGroup
		for range 4 {
			work.Go(func() {
				for began := time.Now(); time.Since(began) < 4*time.Second; time.Sleep(200 * time.Microsecond) {
					if try(s, exchange("TheKeyOfPartnerOne000001", time.Now())) == proxy.NoFault {
						passed.Add(1)
					}
				}
			})
		}
		work.Wait()
		const want = 2000*4 + 1000
		if got := float64(passed.Load()); math.Abs(got-want) > want/50 {
			t.Errorf("%v passed, want %v", got, want)
		}
		for _, p := range ledger.Figures().Plans {
			if p.Passed != uint64(passed.Load()) || p.Throttled != 0 {
				t.Errorf("%+v", p)
			}
		}
	})
}

// The whole step: key, plan's throttle and quota, method's throttle, gateway's.
func BenchmarkStep(b *testing.B) {
	for _, keys := range []int{1, 100_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			var more strings.Builder
			for i := range keys - 1 {
				fmt.Fprintf(&more, "[key.k%d]\nvalue = \"AKeyOfManyKeys%010d\"\nplans = [\"gold\"]\n", i, i)
			}
			s := build(b, usage.New(usage.Options{}), `
[throttle]
rate = 10000000
burst = 10000000
[api.pets.stage.prod]
throttle = { rate = 1000000, burst = 1000000 }
[plan.gold]
stages = ["pets:prod"]
throttle = { rate = 1000000, burst = 1000000 }
quota = { limit = 1000000000000, period = "month" }
`+more.String())
			own, plenty := s.(*step), usage.NewRate(1e9, 1e9) // more than a configuration may say
			own.methodRate, own.gatewayRate, own.plans[0].rate = plenty, plenty, plenty
			ctx := context.Background()
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				ex := exchange("TheKeyOfPartnerOne000001", time.Now())
				for pb.Next() {
					if _, err := s.Run(ctx, ex); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

package snapshot

import (
	"math"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// canaried returns a snapshot of an API with one stage, of whose requests that many
// percent go to a canary.
func canaried(t testing.TB, percent float64, running Running) *Snapshot {
	t.Helper()
	cfg := oneAPI("GET /pets")
	api := cfg.API["a"]
	api.Stage = map[string]config.Stage{"s": {
		Variables: map[string]string{"v": "1", "w": "1"},
		Canary:    &config.Canary{Percent: config.Rate(percent), Variables: map[string]string{"v": "2"}},
	}}
	cfg.API["a"] = api
	s, findings := Compile(cfg, Options{
		Kinds:          fixed(),
		Recorder:       func(api, stage string) proxy.Recorder { return recorder(api + ":" + stage) },
		CanaryRecorder: func(api, stage string) proxy.Recorder { return recorder("canary of " + api + ":" + stage) },
		Running:        func(string, string) Running { return running },
	})
	if len(findings) > 0 {
		t.Fatal(findings.Text())
	}
	t.Cleanup(s.Close)
	return s
}

// share sends n requests and returns how many went to the canary.
func share(t testing.TB, s *Snapshot, n int) (drawn int) {
	t.Helper()
	ex := request("GET", "a.localhost", "/s/pets")
	for range n {
		if _, ok := s.Match(ex); !ok {
			t.Fatal("no route")
		}
		if ex.Stage != ex.Route.Stage || !ex.Stage.Canaried {
			t.Fatalf("stage %+v", ex.Stage)
		}
		if ex.Stage.Canary {
			drawn++
		}
	}
	return drawn
}

// The share of requests is what was asked for. A fair draw is further than three
// standard deviations off once in 370 times, so that three times in a row is no chance.
func TestCanaryShare(t *testing.T) {
	const n = 100_000
	f := func(percent float64) {
		t.Helper()
		s := canaried(t, percent, Running{})
		p := percent / 100
		var drawn int
		for range 3 {
			drawn = share(t, s, n)
			if math.Abs(float64(drawn)-n*p) <= 3*math.Sqrt(n*p*(1-p)) {
				return
			}
		}
		t.Errorf("%d of %d requests went to a canary of %g %%", drawn, n, percent)
	}
	f(0)
	f(0.5)
	f(10)
	f(50)
	f(100)
}

// What the operator said while the gateway ran comes before the configuration.
func TestCanaryPercentAtRunTime(t *testing.T) {
	all, none := 100.0, 0.0
	if n := share(t, canaried(t, 0, Running{Percent: &all}), 100); n != 100 {
		t.Errorf("%d of 100 requests, want all", n)
	}
	if n := share(t, canaried(t, 100, Running{Percent: &none}), 100); n != 0 {
		t.Errorf("%d of 100 requests, want none", n)
	}
}

// The two sides have deployments, variables and recorders of their own.
func TestCanarySides(t *testing.T) {
	f := func(percent float64, running Running, deployment, v string, want recorder) {
		t.Helper()
		s := canaried(t, percent, running)
		ex := request("GET", "a.localhost", "/s/pets")
		if _, ok := s.Match(ex); !ok {
			t.Fatal("no route")
		}
		st := ex.Stage
		if st.Name != "s" || st.Deployment != deployment || st.Variables["v"] != v || st.Variables["w"] != "1" || st.Recorder != want {
			t.Errorf("%+v", st)
		}
	}
	both := Running{All: Deployed{Number: 7}, Canary: &Deployed{Number: 8}}
	f(0, both, "7", "1", "a:s")
	f(100, both, "8", "2", "canary of a:s")
	// One deployment, which differs by variables alone.
	f(100, Running{All: Deployed{Number: 7}}, "7", "2", "canary of a:s")
	promoted := map[string]string{"v": "2", "w": "1"}
	f(0, Running{All: Deployed{Number: 8}, Variables: promoted}, "8", "2", "a:s")
}

func BenchmarkCanary(b *testing.B) {
	s := canaried(b, 10, Running{})
	ex := request("GET", "a.localhost", "/s/pets")
	b.ReportAllocs()
	for b.Loop() {
		s.Match(ex)
	}
}

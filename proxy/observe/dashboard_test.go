package observe

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// The dashboard asks for metrics that exist, by labels that they have.
func TestDashboard(t *testing.T) {
	registry := prometheus.NewRegistry()
	ob := newObserver(t, Options{Log: config.Log{Access: Off}, Registry: registry})
	stage, ex := ob.Stage("pets", "prod").(*stage), full()
	ex.Fault = &proxy.Fault{Kind: proxy.Throttled}
	stage.Method("GET /pets/{id}", &config.Stage{Metrics: true}).Record(ex)
	ob.Unmatched().Record(ex)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]map[string]bool{}
	for _, f := range families {
		have := map[string]bool{"le": true}
		for _, l := range f.GetMetric()[0].GetLabel() {
			have[l.GetName()] = true
		}
		names := []string{f.GetName()}
		if f.GetMetric()[0].GetHistogram() != nil {
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		for _, name := range names {
			labels[name] = have
		}
	}
	text, err := os.ReadFile("../../examples/grafana/postern.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	metric := regexp.MustCompile(`postern_[a-z0-9_]+`)
	label := regexp.MustCompile(`([a-z]+)=~|by \(([a-z]+)(?:, ([a-z]+))?\)`)
	asked, ids := 0, map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			for _, name := range metric.FindAllString(target.Expr, -1) {
				asked++
				have, found := labels[name]
				if !found {
					t.Errorf("%s: there is no %s", p.Title, name)
				}
				for _, m := range label.FindAllStringSubmatch(target.Expr, -1) {
					for _, l := range m[1:] {
						if l != "" && found && !have[l] {
							t.Errorf("%s: %s has no label %s", p.Title, name, l)
						}
					}
				}
			}
		}
	}
	if asked < 20 {
		t.Errorf("%d metrics are asked for: was the file read?", asked)
	}
}

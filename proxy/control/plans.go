package control

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-gateway/postern/proxy/usage"
)

// planMetrics reads the figures of API keys and usage plans at each scrape.
type planMetrics struct {
	figures func() usage.Figures
	keys    *prometheus.Desc
	ofPlan  []figure[usage.PlanFigures]
}

func newPlanMetrics(figures func() usage.Figures) *planMetrics {
	count := func(name, help string, value func(*usage.PlanFigures) float64) figure[usage.PlanFigures] {
		return figure[usage.PlanFigures]{prometheus.NewDesc("postern_plan_"+name, help, []string{"plan"}, nil), prometheus.CounterValue, value}
	}
	return &planMetrics{
		figures: figures,
		keys:    prometheus.NewDesc("postern_api_keys", "API keys that were made by command.", nil, nil),
		ofPlan: []figure[usage.PlanFigures]{
			count("requests_total", "Requests that a plan let pass.", func(p *usage.PlanFigures) float64 { return float64(p.Passed) }),
			count("throttled_total", "Requests that a plan's throttle refused.", func(p *usage.PlanFigures) float64 { return float64(p.Throttled) }),
			count("quota_exceeded_total", "Requests that a plan's quota refused.", func(p *usage.PlanFigures) float64 { return float64(p.Exceeded) }),
		},
	}
}

// Describe implements prometheus.Collector.
func (m *planMetrics) Describe(descs chan<- *prometheus.Desc) {
	descs <- m.keys
	for _, f := range m.ofPlan {
		descs <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (m *planMetrics) Collect(metrics chan<- prometheus.Metric) {
	all := m.figures()
	metrics <- prometheus.MustNewConstMetric(m.keys, prometheus.GaugeValue, float64(all.Keys))
	for i := range all.Plans {
		for _, f := range m.ofPlan {
			metrics <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&all.Plans[i]), all.Plans[i].Name)
		}
	}
}

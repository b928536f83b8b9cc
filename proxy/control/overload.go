package control

import "github.com/prometheus/client_golang/prometheus"

// overloadMetrics reads the figures of Options.Overload at each scrape.
type overloadMetrics struct {
	overload                   func() Overload
	level, used, limit, turned *prometheus.Desc
}

func newOverloadMetrics(overload func() Overload) *overloadMetrics {
	return &overloadMetrics{
		overload: overload,
		level:    prometheus.NewDesc("postern_overload_level", "1 for the level that memory is at, 0 for the others.", []string{"level"}, nil),
		used:     prometheus.NewDesc("postern_overload_memory_used_bytes", "Memory that counts against the limit.", nil, nil),
		limit:    prometheus.NewDesc("postern_overload_memory_limit_bytes", "The memory limit that is closest: GOMEMLIMIT or the control group's.", nil, nil),
		turned:   prometheus.NewDesc("postern_refused_total", "Connections and requests that the listeners' limits turned away, by reason.", []string{"reason"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *overloadMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.level, m.used, m.limit, m.turned} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (m *overloadMetrics) Collect(metrics chan<- prometheus.Metric) {
	o := m.overload()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, level := range []string{"calm", "strained", "shedding"} {
		gauge(m.level, oneIf(o.Level == level), level)
	}
	if o.Limit > 0 {
		gauge(m.used, float64(o.Used))
		gauge(m.limit, float64(o.Limit))
	}
	for reason, n := range o.Refused {
		metrics <- prometheus.MustNewConstMetric(m.turned, prometheus.CounterValue, float64(n), reason)
	}
}

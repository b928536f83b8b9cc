package control

import "github.com/prometheus/client_golang/prometheus"

// Backend is what the metrics tell of one backend.
type Backend struct {
	Name    string
	Active  int64  // requests under way
	Waiting int64  // requests that wait for a place
	Full    bool   // further ones are refused
	Refused uint64 // requests that were, so far
	Retries uint64 // further tries so far
	Spared  uint64 // further tries that the retry budget forbade so far
	Targets []Target
}

// Target is what the metrics tell of one target of a backend.
type Target struct {
	Address   string
	Healthy   bool   // by health checks
	Ejected   bool   // left out because requests failed
	Ejections uint64 // so far
	Open      int64  // connections, used and unused
	Idle      int64  // unused connections
	Active    int64  // requests under way
	Requests  uint64 // tries of requests so far
	Failures  uint64 // of these, those that failed so far
}

// backendMetrics reads the backends' figures at each scrape.
type backendMetrics struct {
	backends func() []Backend
	ofOne    []figure[Backend]
	ofTarget []figure[Target]
}

// figure is one metric of what T describes.
type figure[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*T) float64
}

func newBackendMetrics(backends func() []Backend) *backendMetrics {
	const count, gauge = prometheus.CounterValue, prometheus.GaugeValue
	one := func(kind prometheus.ValueType, name, help string, value func(*Backend) float64) figure[Backend] {
		return figure[Backend]{prometheus.NewDesc("postern_backend_"+name, help, []string{"backend"}, nil), kind, value}
	}
	target := func(kind prometheus.ValueType, name, help string, value func(*Target) float64) figure[Target] {
		return figure[Target]{prometheus.NewDesc("postern_target_"+name, help, []string{"backend", "target"}, nil), kind, value}
	}
	return &backendMetrics{
		backends: backends,
		ofOne: []figure[Backend]{
			one(gauge, "requests_in_flight", "Requests of a backend that are under way.", func(b *Backend) float64 { return float64(b.Active) }),
			one(gauge, "requests_waiting", "Requests that wait for a place at a backend.", func(b *Backend) float64 { return float64(b.Waiting) }),
			one(gauge, "circuit_open", "1 while a backend is at its bounds and further requests are refused.", func(b *Backend) float64 { return truth(b.Full) }),
			one(count, "requests_refused_total", "Requests that were refused because a backend was at its bounds.", func(b *Backend) float64 { return float64(b.Refused) }),
			one(count, "retries_total", "Further tries of requests.", func(b *Backend) float64 { return float64(b.Retries) }),
			one(count, "retries_spared_total", "Further tries that the retry budget forbade.", func(b *Backend) float64 { return float64(b.Spared) }),
		},
		ofTarget: []figure[Target]{
			target(gauge, "healthy", "1 while a target's health checks are good, or there are none.", func(t *Target) float64 { return truth(t.Healthy) }),
			target(gauge, "ejected", "1 while a target is left out because requests failed.", func(t *Target) float64 { return truth(t.Ejected) }),
			target(count, "ejections_total", "Times that a target was left out.", func(t *Target) float64 { return float64(t.Ejections) }),
			target(gauge, "connections", "Open connections to a target.", func(t *Target) float64 { return float64(t.Open) }),
			target(gauge, "idle_connections", "Unused connections to a target.", func(t *Target) float64 { return float64(t.Idle) }),
			target(gauge, "requests_in_flight", "Requests of a target that are under way.", func(t *Target) float64 { return float64(t.Active) }),
			target(count, "requests_total", "Tries of requests at a target.", func(t *Target) float64 { return float64(t.Requests) }),
			target(count, "failures_total", "Tries at a target that failed.", func(t *Target) float64 { return float64(t.Failures) }),
		},
	}
}

func truth(claim bool) float64 {
	if claim {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (m *backendMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, f := range m.ofOne {
		descs <- f.desc
	}
	for _, f := range m.ofTarget {
		descs <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (m *backendMetrics) Collect(metrics chan<- prometheus.Metric) {
	for _, b := range m.backends() {
		for _, f := range m.ofOne {
			metrics <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&b), b.Name)
		}
		for i := range b.Targets {
			for _, f := range m.ofTarget {
				metrics <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&b.Targets[i]), b.Name, b.Targets[i].Address)
			}
		}
	}
}

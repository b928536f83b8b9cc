//go:build wasip1

package postern

import "github.com/postern-gateway/postern/sdk/abi"

// Metric is a figure on the gateway's metrics page. Grant: metric.
type Metric int32

// MetricKind is what a Metric is.
type MetricKind int32

// The kinds of metrics.
const (
	Counter   MetricKind = abi.Counter
	Gauge     MetricKind = abi.Gauge
	Histogram MetricKind = abi.Histogram
)

// DefineMetric names a metric: letters, digits and _. Call it in Configure.
func DefineMetric(kind MetricKind, name string) (Metric, error) {
	at, n := stringAt(name)
	m := rawMetricDefine(int32(kind), at, n)
	return Metric(m), failed(m)
}

// Add adds to a counter or a gauge.
func (m Metric) Add(delta int64) error { return failed(rawMetricAdd(int32(m), delta)) }

// Set sets a gauge.
func (m Metric) Set(value int64) error { return failed(rawMetricSet(int32(m), value)) }

// Observe puts a value into a histogram.
func (m Metric) Observe(value int64) error { return failed(rawMetricObserve(int32(m), value)) }

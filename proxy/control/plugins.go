package control

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Plugin is what the metrics tell of one Wasm plugin.
type Plugin struct {
	Name      string
	Calls     uint64  // so far
	Traps     uint64  // calls that trapped
	Deadlines uint64  // calls that ran out of time
	Queued    float64 // seconds that requests waited for an instance
	Busy      uint64  // requests that got no instance in time, or came too fast
	Refused   uint64  // requests that got no call while the plugin was unhealthy
	Unhealthy bool    // it failed too often in a row
	Instances int64   // alive now
	Memory    int64   // their linear memory in bytes
	Costs     []PluginCost
	Metrics   []PluginMetric
}

// PluginCost is what the calls of a plugin for one API have cost so far.
type PluginCost struct {
	API       string
	Calls     int64
	Failures  int64   // calls that failed
	Processor float64 // seconds in calls, but for Waiting
	Waiting   float64 // seconds in calls, for answers to the plugin's requests
	HostCalls int64
	Requests  int64 // to other servers
	Rejected  int64 // of these, without a whole answer
	Sent      int64 // bytes of content
	Received  int64 // bytes of content
}

// PluginMetric is a figure of a plugin's own.
type PluginMetric struct {
	Name    string
	Kind    MetricKind
	Value   float64            // a counter's and a gauge's; a histogram's sum
	Count   uint64             // a histogram's values
	Buckets map[float64]uint64 // a histogram's: how many values were at most the key
}

// MetricKind is what a PluginMetric is.
type MetricKind int

// The kinds of metrics.
const (
	Counter MetricKind = iota + 1
	Gauge
	Histogram
)

// Namespace is what the metrics tell of memory that plugins keep beyond calls.
type Namespace struct {
	Name    string
	Entries int64
	Bytes   int64
	Size    int64  // bytes that there may be
	Evicted uint64 // entries that had to make room so far
}

// pluginMetrics reads the plugins' figures at each scrape. It is what Prometheus
// calls unchecked: the plugins' own metrics aren't known before they are there.
type pluginMetrics struct {
	plugins    func() []Plugin
	namespaces func() []Namespace // nil for none
	ofOne      []figure[Plugin]
	ofAPI      []figure[PluginCost]
	ofSpace    []figure[Namespace]
}

func newPluginMetrics(plugins func() []Plugin, namespaces func() []Namespace) *pluginMetrics {
	const count, gauge = prometheus.CounterValue, prometheus.GaugeValue
	one := func(kind prometheus.ValueType, name, help string, value func(*Plugin) float64) figure[Plugin] {
		return figure[Plugin]{prometheus.NewDesc("postern_plugin_"+name, help, []string{"plugin"}, nil), kind, value}
	}
	cost := func(name, help string, value func(*PluginCost) float64) figure[PluginCost] {
		return figure[PluginCost]{prometheus.NewDesc("postern_plugin_api_"+name, help, []string{"plugin", "api"}, nil), count, value}
	}
	space := func(kind prometheus.ValueType, name, help string, value func(*Namespace) float64) figure[Namespace] {
		return figure[Namespace]{prometheus.NewDesc("postern_plugin_kv_"+name, help, []string{"namespace"}, nil), kind, value}
	}
	return &pluginMetrics{
		plugins: plugins, namespaces: namespaces,
		ofOne: []figure[Plugin]{
			one(count, "calls_total", "Calls of a plugin.", func(p *Plugin) float64 { return float64(p.Calls) }),
			one(count, "traps_total", "Calls that ended in a trap of the guest.", func(p *Plugin) float64 { return float64(p.Traps) }),
			one(count, "deadlines_total", "Calls that were stopped at their deadline.", func(p *Plugin) float64 { return float64(p.Deadlines) }),
			one(count, "busy_total", "Requests that got no instance in time, or came faster than the plugin's rate.", func(p *Plugin) float64 { return float64(p.Busy) }),
			one(count, "queue_seconds_total", "Time that requests waited for an instance.", func(p *Plugin) float64 { return p.Queued }),
			one(count, "refused_total", "Requests that got no call while the plugin was unhealthy.", func(p *Plugin) float64 { return float64(p.Refused) }),
			one(gauge, "healthy", "0 while a plugin isn't called because it failed too often in a row.", func(p *Plugin) float64 { return truth(!p.Unhealthy) }),
			one(gauge, "instances", "Instances of a plugin that are alive.", func(p *Plugin) float64 { return float64(p.Instances) }),
			one(gauge, "memory_bytes", "Linear memory of a plugin's instances.", func(p *Plugin) float64 { return float64(p.Memory) }),
		},
		ofAPI: []figure[PluginCost]{
			cost("calls_total", "Calls of a plugin for an API.", func(c *PluginCost) float64 { return float64(c.Calls) }),
			cost("failures_total", "Of these, those that failed.", func(c *PluginCost) float64 { return float64(c.Failures) }),
			cost("cpu_seconds_total", "Time in calls, but for waiting.", func(c *PluginCost) float64 { return c.Processor }),
			cost("wait_seconds_total", "Time in calls that a plugin waited for answers to its own requests.", func(c *PluginCost) float64 { return c.Waiting }),
			cost("host_calls_total", "Calls of host functions.", func(c *PluginCost) float64 { return float64(c.HostCalls) }),
			cost("requests_total", "Requests of a plugin to other servers.", func(c *PluginCost) float64 { return float64(c.Requests) }),
			cost("request_failures_total", "Of these, those that got no whole answer.", func(c *PluginCost) float64 { return float64(c.Rejected) }),
			cost("sent_bytes_total", "Content of these requests.", func(c *PluginCost) float64 { return float64(c.Sent) }),
			cost("received_bytes_total", "Content of the answers.", func(c *PluginCost) float64 { return float64(c.Received) }),
		},
		ofSpace: []figure[Namespace]{
			space(gauge, "entries", "Entries of a namespace.", func(n *Namespace) float64 { return float64(n.Entries) }),
			space(gauge, "bytes", "Memory that they take.", func(n *Namespace) float64 { return float64(n.Bytes) }),
			space(gauge, "size_bytes", "Memory that there may be.", func(n *Namespace) float64 { return float64(n.Size) }),
			space(count, "evictions_total", "Entries that had to make room.", func(n *Namespace) float64 { return float64(n.Evicted) }),
		},
	}
}

// Describe implements prometheus.Collector.
func (m *pluginMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *pluginMetrics) Collect(metrics chan<- prometheus.Metric) {
	kinds := map[string]MetricKind{}
	for _, p := range m.plugins() {
		for _, f := range m.ofOne {
			metrics <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&p), p.Name)
		}
		for i := range p.Costs {
			for _, f := range m.ofAPI {
				metrics <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&p.Costs[i]), p.Name, p.Costs[i].API)
			}
		}
		for i := range p.Metrics {
			own := &p.Metrics[i]
			// A name has one kind on a page: that of the first plugin that has it.
			if kinds[own.Name] == 0 {
				kinds[own.Name] = own.Kind
			}
			if kinds[own.Name] == own.Kind {
				metrics <- own.metric(p.Name)
			}
		}
	}
	if m.namespaces == nil {
		return
	}
	for _, n := range m.namespaces() {
		for _, f := range m.ofSpace {
			metrics <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&n), n.Name)
		}
	}
}

// metric is m as Prometheus wants it.
func (m *PluginMetric) metric(plugin string) prometheus.Metric {
	desc := func(ending string) *prometheus.Desc {
		return prometheus.NewDesc("postern_plugin_metric_"+m.Name+ending, "A figure of plugins' own.", []string{"plugin"}, nil)
	}
	switch m.Kind {
	case Counter:
		return prometheus.MustNewConstMetric(desc("_total"), prometheus.CounterValue, m.Value, plugin)
	case Histogram:
		return prometheus.MustNewConstHistogram(desc(""), m.Count, m.Value, m.Buckets, plugin)
	}
	return prometheus.MustNewConstMetric(desc(""), prometheus.GaugeValue, m.Value, plugin)
}

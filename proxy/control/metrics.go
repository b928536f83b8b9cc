package control

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Plugin is what the metrics tell of one Wasm plugin.
type Plugin struct {
	Name      string
	Calls     uint64 // so far
	Traps     uint64 // calls that trapped
	Deadlines uint64 // calls that ran out of time
	Refused   uint64 // requests that got no call while the plugin was unhealthy
	Unhealthy bool   // it failed too often in a row
	Instances int64  // alive now
	Memory    int64  // their linear memory in bytes
}

// Connections are what the metrics tell of the public listeners.
type Connections struct {
	Open     int64 // connections of clients
	InFlight int64 // requests under way
}

// Overload is what readiness and the metrics tell of memory that runs short and
// of what the public listeners turned away.
type Overload struct {
	Level       string            // "calm", "strained", "shedding"
	Shedding    bool              // requests are refused
	Used, Limit uint64            // memory that decides about the level, in bytes; Limit 0: no limit
	Refused     map[string]uint64 // what was turned away so far, by reason
}

// register adds what isn't counted for each request to the registry.
func register(o Options) error {
	all := []prometheus.Collector{
		newReloads(o.Status),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
	if o.Connections != nil {
		all = append(all,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "postern_connections", Help: "Open connections of clients."},
				func() float64 { return float64(o.Connections().Open) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "postern_requests_in_flight", Help: "Requests under way."},
				func() float64 { return float64(o.Connections().InFlight) }))
	}
	if o.Overload != nil {
		all = append(all, newOverloadMetrics(o.Overload))
	}
	if o.Plugins != nil {
		all = append(all, newPluginMetrics(o.Plugins))
	}
	if o.Backends != nil {
		all = append(all, newBackendMetrics(o.Backends))
	}
	for _, c := range all {
		if err := o.Registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// pluginMetrics reads the plugins' figures at each scrape.
type pluginMetrics struct {
	plugins                                                      func() []Plugin
	calls, traps, deadlines, refused, healthy, instances, memory *prometheus.Desc
}

func newPluginMetrics(plugins func() []Plugin) *pluginMetrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"plugin"}, nil)
	}
	return &pluginMetrics{
		plugins:   plugins,
		calls:     desc("postern_plugin_calls_total", "Calls of a plugin."),
		traps:     desc("postern_plugin_traps_total", "Calls that ended in a trap of the guest."),
		deadlines: desc("postern_plugin_deadlines_total", "Calls that were stopped at their deadline."),
		refused:   desc("postern_plugin_refused_total", "Requests that got no call while the plugin was unhealthy."),
		healthy:   desc("postern_plugin_healthy", "0 while a plugin isn't called because it failed too often in a row."),
		instances: desc("postern_plugin_instances", "Instances of a plugin that are alive."),
		memory:    desc("postern_plugin_memory_bytes", "Linear memory of a plugin's instances."),
	}
}

// Describe implements prometheus.Collector.
func (p *pluginMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.calls, p.traps, p.deadlines, p.refused, p.healthy, p.instances, p.memory} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (p *pluginMetrics) Collect(metrics chan<- prometheus.Metric) {
	for _, x := range p.plugins() {
		counter := func(d *prometheus.Desc, v uint64) {
			metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), x.Name)
		}
		gauge := func(d *prometheus.Desc, v int64) {
			metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), x.Name)
		}
		counter(p.calls, x.Calls)
		counter(p.traps, x.Traps)
		counter(p.deadlines, x.Deadlines)
		counter(p.refused, x.Refused)
		gauge(p.healthy, int64(truth(!x.Unhealthy)))
		gauge(p.instances, x.Instances)
		gauge(p.memory, x.Memory)
	}
}

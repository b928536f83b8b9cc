package main

import (
	"github.com/postern-gateway/postern/plugins"
	"github.com/postern-gateway/postern/proxy/control"
)

// pluginFigures are what the metrics tell of the plugins.
func (g *gateway) pluginFigures() []control.Plugin {
	stats := g.parts.plugins.Stats()
	all := make([]control.Plugin, len(stats))
	for i, s := range stats {
		all[i] = control.Plugin{
			Name: s.Name, Calls: s.Calls, Traps: s.Traps, Deadlines: s.Deadlines, Busy: s.Busy, Queued: s.Queued.Seconds(),
			Refused: s.Refused, Unhealthy: s.Unhealthy, Instances: s.Instances, Memory: s.Memory,
		}
		for _, c := range s.Costs {
			all[i].Costs = append(all[i].Costs, control.PluginCost{
				API: c.API, Calls: c.Calls, Failures: c.Failures, Processor: c.Processor.Seconds(), Waiting: c.Waiting.Seconds(),
				HostCalls: c.HostCalls, Requests: c.Requests, Rejected: c.Rejected, Sent: c.Sent, Received: c.Received,
			})
		}
		for j := range s.Metrics {
			all[i].Metrics = append(all[i].Metrics, metricFigure(&s.Metrics[j]))
		}
	}
	return all
}

func metricFigure(m *plugins.Metric) control.PluginMetric {
	out := control.PluginMetric{Name: m.Name, Kind: control.MetricKind(m.Kind), Value: float64(m.Value), Count: m.Count}
	if m.Kind == plugins.Histogram {
		out.Value = float64(m.Sum)
		out.Buckets = map[float64]uint64{}
		for _, b := range m.Buckets {
			out.Buckets[float64(b.Bound)] = b.Count
		}
	}
	return out
}

// namespaceFigures are what the metrics tell of what plugins keep.
func (g *gateway) namespaceFigures() []control.Namespace {
	var all []control.Namespace
	for _, n := range g.parts.plugins.Namespaces() {
		all = append(all, control.Namespace(n))
	}
	return all
}

// issuerFigures are what the metrics tell of the issuers of tokens.
func (g *gateway) issuerFigures() []control.Issuer {
	figures := g.parts.issuers.Figures()
	all := make([]control.Issuer, len(figures))
	for i, f := range figures {
		all[i] = control.Issuer{
			Name: f.Issuer, Keys: f.Keys, Age: f.Age.Seconds(), Usable: f.Usable, Fetches: f.Fetches, Failures: f.Failures, Unknown: f.Unknown,
		}
	}
	return all
}

// tags are the tags of the stages that are served.
func (g *gateway) tags() []control.Tag {
	cfg := g.serving.Load()
	if cfg == nil {
		return nil
	}
	var all []control.Tag
	for api, configured := range cfg.API {
		for stage := range configured.Stage {
			for name, value := range configured.Stage[stage].Tags {
				all = append(all, control.Tag{API: api, Stage: stage, Name: name, Value: value})
			}
		}
	}
	return all
}

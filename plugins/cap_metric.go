package plugins

import "github.com/postern-gateway/postern/sdk/abi"

// metricFunctions are figures for the metrics page.
func metricFunctions() hostModule {
	return native(abi.ModuleMetric, groupMetric, map[string]hostCall{
		"define": func(in *instance, s []uint64) {
			answer(s, in.plugin.grants.metrics.define(MetricKind(s[0]), in.text(s[1], s[2])))
		},
		"add": func(in *instance, s []uint64) {
			delta := int64(s[1])
			in.onMetric(s, func(m *metric) bool {
				if m.kind == Histogram || m.kind == Counter && delta < 0 {
					return false
				}
				m.value.Add(delta)
				return true
			})
		},
		"set": func(in *instance, s []uint64) {
			value := int64(s[1])
			in.onMetric(s, func(m *metric) bool {
				if m.kind != Gauge {
					return false
				}
				m.value.Store(value)
				return true
			})
		},
		"observe": func(in *instance, s []uint64) {
			value := int64(s[1])
			in.onMetric(s, func(m *metric) bool {
				if m.kind != Histogram {
					return false
				}
				m.observe(value)
				return true
			})
		},
	})
}

// onMetric answers for a change of the metric s[0]; change reports whether one of
// its kind can be changed so.
func (in *instance) onMetric(s []uint64, change func(m *metric) bool) {
	m, ok := numbered(in.plugin.grants.metrics.all(), s[0])
	if !ok || !change(m) {
		answer(s, abi.BadArgument)
		return
	}
	answer(s, abi.OK)
}

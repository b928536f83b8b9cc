package otlp

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	dto "github.com/prometheus/client_model/go"
)

// cumulative is AGGREGATION_TEMPORALITY_CUMULATIVE: figures count from the start.
const cumulative = 2

// appendFamilies appends families as the field "metrics" of ScopeMetrics:
// opentelemetry/proto/metrics/v1/metrics.proto. What counts has done so since start. The
// names stay Prometheus's.
func appendFamilies(b []byte, families []*dto.MetricFamily, start, now time.Time) []byte {
	for _, f := range families {
		b = appendMessage(b, 2, func(b []byte) []byte {
			b = appendText(b, 1, f.GetName())
			b = appendText(b, 2, f.GetHelp())
			p := points{start: start, now: now}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				return p.sum(b, f.GetMetric())
			case dto.MetricType_HISTOGRAM:
				return p.histograms(b, f.GetMetric())
			case dto.MetricType_SUMMARY:
				return p.summaries(b, f.GetMetric())
			}
			return p.gauge(b, f.GetMetric())
		})
	}
	return b
}

// points are the data points of a family.
type points struct{ start, now time.Time }

func (p *points) gauge(b []byte, all []*dto.Metric) []byte {
	return appendMessage(b, 5, func(b []byte) []byte {
		for _, m := range all {
			v := m.GetGauge().GetValue()
			if m.GetUntyped() != nil {
				v = m.GetUntyped().GetValue()
			}
			b = p.number(b, m, v)
		}
		return b
	})
}

func (p *points) sum(b []byte, all []*dto.Metric) []byte {
	return appendMessage(b, 7, func(b []byte) []byte {
		for _, m := range all {
			b = p.number(b, m, m.GetCounter().GetValue())
		}
		return appendVarint(appendVarint(b, 2, cumulative), 3, 1)
	})
}

func (p *points) number(b []byte, m *dto.Metric, v float64) []byte {
	return appendMessage(b, 1, func(b []byte) []byte {
		b = p.times(b)
		return appendLabels(appendFloat(b, 4, v), 7, m)
	})
}

func (p *points) times(b []byte) []byte { return appendTime(appendTime(b, 2, p.start), 3, p.now) }

func (p *points) histograms(b []byte, all []*dto.Metric) []byte {
	return appendMessage(b, 9, func(b []byte) []byte {
		for _, m := range all {
			b = p.histogram(b, m)
		}
		return appendVarint(b, 2, cumulative)
	})
}

// histogram appends one. Prometheus's buckets include those before, the protocol's don't,
// and it has one more for what is above all bounds.
func (p *points) histogram(b []byte, m *dto.Metric) []byte {
	h := m.GetHistogram()
	return appendMessage(b, 1, func(b []byte) []byte {
		b = p.times(b)
		b = appendFixed(b, 4, h.GetSampleCount())
		b = appendFloat(b, 5, h.GetSampleSum())
		var counts, bounds []byte
		before := uint64(0)
		for _, bucket := range h.GetBucket() {
			if math.IsInf(bucket.GetUpperBound(), 1) {
				continue
			}
			counts = protowire.AppendFixed64(counts, bucket.GetCumulativeCount()-before)
			before = bucket.GetCumulativeCount()
			bounds = protowire.AppendFixed64(bounds, math.Float64bits(bucket.GetUpperBound()))
		}
		counts = protowire.AppendFixed64(counts, h.GetSampleCount()-before)
		b = appendBytes(b, 6, counts)
		if len(bounds) > 0 {
			b = appendBytes(b, 7, bounds)
		}
		return appendLabels(b, 9, m)
	})
}

func (p *points) summaries(b []byte, all []*dto.Metric) []byte {
	return appendMessage(b, 11, func(b []byte) []byte {
		for _, m := range all {
			s := m.GetSummary()
			b = appendMessage(b, 1, func(b []byte) []byte {
				b = p.times(b)
				b = appendFixed(b, 4, s.GetSampleCount())
				b = appendFloat(b, 5, s.GetSampleSum())
				for _, q := range s.GetQuantile() {
					b = appendMessage(b, 6, func(b []byte) []byte {
						return appendFloat(appendFloat(b, 1, q.GetQuantile()), 2, q.GetValue())
					})
				}
				return appendLabels(b, 7, m)
			})
		}
		return b
	})
}

func appendLabels(b []byte, field protowire.Number, m *dto.Metric) []byte {
	for _, l := range m.GetLabel() {
		if l.GetValue() != "" { // an empty label is none
			b = appendAttribute(b, field, &Attribute{Name: l.GetName(), Text: l.GetValue()})
		}
	}
	return b
}

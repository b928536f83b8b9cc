package plugins

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/postern-gateway/postern/sdk/abi"
)

const (
	// maxMetrics is how many metrics one plugin may have.
	maxMetrics = 64
	// maxMetricName is how long their names may be, in bytes.
	maxMetricName = 64
)

// Metric is a figure of a plugin's own, for the metrics page.
type Metric struct {
	Name  string
	Kind  MetricKind
	Value int64 // a counter's and a gauge's
	// A histogram's: how many values were at most Bound, and all of them.
	Buckets []Bucket
	Count   uint64
	Sum     int64
}

// MetricKind is what a Metric is.
type MetricKind int32

// The kinds of metrics.
const (
	Counter   MetricKind = abi.Counter
	Gauge     MetricKind = abi.Gauge
	Histogram MetricKind = abi.Histogram
)

// Bucket is a part of a histogram.
type Bucket struct {
	Bound int64
	Count uint64 // of values up to Bound
}

// bounds are those of every histogram: 1, 2, 5, 10, … 10,000,000. The unit is the
// guest's.
func bounds() []int64 {
	var all []int64
	for decade := int64(1); decade < 10_000_000; decade *= 10 {
		all = append(all, decade, 2*decade, 5*decade)
	}
	return append(all, 10_000_000)
}

// metric is one figure. Its value outlives the version of the plugin that
// defined it if the next one defines it, too.
type metric struct {
	name string
	kind MetricKind
	refs int // versions of the plugin; guarded by shown.mu

	value   atomic.Int64 // a histogram's sum
	bounds  []int64
	buckets []atomic.Uint64 // one more than bounds
}

// observe puts value into a histogram.
func (m *metric) observe(value int64) {
	i, _ := slices.BinarySearch(m.bounds, value)
	m.buckets[i].Add(1)
	m.value.Add(value)
}

func (m *metric) read() Metric {
	out := Metric{Name: m.name, Kind: m.kind, Value: m.value.Load()}
	if m.kind != Histogram {
		return out
	}
	out.Sum, out.Value = out.Value, 0
	for i := range m.buckets {
		out.Count += m.buckets[i].Load()
		if i < len(m.bounds) {
			out.Buckets = append(out.Buckets, Bucket{m.bounds[i], out.Count})
		}
	}
	return out
}

// shownMetrics are the metrics of all versions of one plugin. Safe for concurrent
// use.
type shownMetrics struct {
	mu     sync.Mutex // guards what follows
	byName map[string]*metric
}

// read returns the metrics in the order of their names.
func (s *shownMetrics) read() []Metric {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Metric
	for _, m := range s.byName {
		all = append(all, m.read())
	}
	slices.SortFunc(all, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// metrics are those that one version of a plugin has defined: the n-th has the
// number n+1 in all its instances. Safe for concurrent use.
type metrics struct {
	shown   *shownMetrics
	defined atomic.Pointer[[]*metric] // replaced as a whole; guarded by shown.mu for writing
}

// define returns the number of the metric called name, or a code.
func (d *metrics) define(kind MetricKind, name string) int32 {
	if kind < Counter || kind > Histogram || !metricName(name) {
		return abi.BadArgument
	}
	d.shown.mu.Lock()
	defer d.shown.mu.Unlock()
	defined := d.all()
	for i, m := range defined {
		if m.name == name {
			if m.kind != kind {
				return abi.BadArgument
			}
			return int32(i + 1)
		}
	}
	if len(defined) >= maxMetrics {
		return abi.Limit
	}
	m := d.shown.byName[name]
	if m == nil || m.kind != kind { // of another kind: an older version's, which nobody sees any more
		m = &metric{name: strings.Clone(name), kind: kind}
		if kind == Histogram {
			m.bounds = bounds()
			m.buckets = make([]atomic.Uint64, len(m.bounds)+1)
		}
		if d.shown.byName == nil {
			d.shown.byName = map[string]*metric{}
		}
		d.shown.byName[m.name] = m
	}
	m.refs++
	defined = append(slices.Clip(defined), m)
	d.defined.Store(&defined)
	return int32(len(defined))
}

func (d *metrics) all() []*metric {
	if all := d.defined.Load(); all != nil {
		return *all
	}
	return nil
}

// close gives the metrics up: those that no other version has are gone.
func (d *metrics) close() {
	d.shown.mu.Lock()
	defer d.shown.mu.Unlock()
	for _, m := range d.all() {
		if m.refs--; m.refs == 0 && d.shown.byName[m.name] == m {
			delete(d.shown.byName, m.name)
		}
	}
}

// metricName reports whether a metric can be called so. The endings are those
// that Prometheus gives a meaning: two metrics could have a series in common.
func metricName(name string) bool {
	if name == "" || len(name) > maxMetricName || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	for _, ending := range []string{"_total", "_count", "_sum", "_bucket", "_created", "_info"} {
		if strings.HasSuffix(name, ending) {
			return false
		}
	}
	return true
}

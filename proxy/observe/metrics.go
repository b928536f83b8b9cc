package observe

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// shards is how many copies of its counters a stage has, so that two processors
// don't pass the same memory back and forth with every request. A power of two.
const shards = 8

// bounds are the upper bounds of the latency buckets. AWS ends an integration
// after 29 s. The table is only read.
var bounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 29 * time.Second,
}

// histogram counts durations by bucket. Safe for concurrent use.
type histogram struct {
	buckets [len(bounds) + 1]atomic.Uint64 // the last one is for all above the bounds
	sum     atomic.Int64                   // nanoseconds
}

func (h *histogram) observe(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(d))
}

// shard is one copy of a stage's counters. How many requests there were is what
// latency has counted.
type shard struct {
	latency, integrationLatency histogram
	clientErrors, serverErrors  atomic.Uint64
	bytesIn, bytesOut           atomic.Uint64
	truncated, clientGone       atomic.Uint64
	retries                     atomic.Uint64
	cacheHits, cacheMisses      atomic.Uint64

	_ [64]byte // the next shard is on another cache line
}

// series are one stage's counters.
type series struct {
	shards [shards]shard
	faults faultCounters
	// Of WebSocket APIs; nil until there is something to count.
	sockets atomic.Pointer[socketSeries]
}

func (s *series) record(ex *proxy.Exchange) {
	s.shards[ex.Shard%shards].record(ex)
	if ex.Fault != nil {
		s.faults.inc(ex.Fault.Kind)
	}
	if ex.Socket != nil {
		s.socketSeries().record(ex)
	}
}

// socketSeries returns the counters of a WebSocket API's stage.
func (s *series) socketSeries() *socketSeries {
	if own := s.sockets.Load(); own != nil {
		return own
	}
	s.sockets.CompareAndSwap(nil, new(socketSeries))
	return s.sockets.Load()
}

func (one *shard) record(ex *proxy.Exchange) {
	one.latency.observe(ex.Times.Total)
	if ex.Times.Integration > 0 {
		one.integrationLatency.observe(ex.Times.Integration)
	}
	switch status := ex.Reply.Status; {
	case status >= 400 && status <= 499:
		one.clientErrors.Add(1)
	case status >= 500 && status <= 599:
		one.serverErrors.Add(1)
	}
	notes := &ex.Notes
	addTo(&one.bytesIn, notes.BytesIn)
	addTo(&one.bytesOut, notes.BytesOut)
	addTo(&one.retries, int64(notes.Retries))
	if notes.Truncated {
		one.truncated.Add(1)
	}
	if notes.ClientGone {
		one.clientGone.Add(1)
	}
	switch notes.Cache {
	case proxy.CacheHit:
		one.cacheHits.Add(1)
	case proxy.CacheMiss:
		one.cacheMisses.Add(1)
	}
}

// addTo spares the counter the common addition of nothing.
func addTo(c *atomic.Uint64, n int64) {
	if n > 0 {
		c.Add(uint64(n))
	}
}

// metrics collects what the stages have counted, whenever somebody asks. It
// implements prometheus.Collector.
//
// AWS: "Amazon API Gateway dimensions and metrics"; the help texts name the
// metric that has the same meaning there. Its dimensions ApiName and Stage are the labels
// api and stage; Method and Resource are those of postern_method_….
type metrics struct {
	stages    func() map[stageName]*stage // a copy
	perStage  families
	perMethod families
	sockets   []socketFamily

	faults, unmatched *prometheus.CounterVec
}

// families are what is counted of each stage, or of each method.
type families struct {
	counters                    []counterFamily
	latency, integrationLatency *prometheus.Desc
}

// counterFamily is one counter.
type counterFamily struct {
	desc  *prometheus.Desc
	value func(*shard) uint64
}

// newFamilies returns AWS's set with names that begin with prefix.
func newFamilies(prefix string, labels ...string) families {
	describe := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(prefix+name, help, labels, nil) }
	return families{
		counters: []counterFamily{
			{describe("requests_total", "Requests that reached a stage. AWS: Count."), func(s *shard) uint64 { return s.latency.count() }},
			{describe("4xx_total", "Requests answered with 400 to 499. AWS: 4XXError (Sum)."), func(s *shard) uint64 { return s.clientErrors.Load() }},
			{describe("5xx_total", "Requests answered with 500 to 599. AWS: 5XXError (Sum)."), func(s *shard) uint64 { return s.serverErrors.Load() }},
			{describe("cache_hits_total", "Requests answered from the stage's cache. AWS: CacheHitCount."), func(s *shard) uint64 { return s.cacheHits.Load() }},
			{describe("cache_misses_total", "Requests that the stage's cache had no answer to. AWS: CacheMissCount."), func(s *shard) uint64 { return s.cacheMisses.Load() }},
		},
		latency:            describe("latency_seconds", "Time from a request's head to the end of its reply. AWS: Latency."),
		integrationLatency: describe("integration_latency_seconds", "Time from sending to the backend to the head of its answer. AWS: IntegrationLatency."),
	}
}

// newMetrics makes the families and registers them.
func newMetrics(r prometheus.Registerer, stages func() map[stageName]*stage) (*metrics, error) {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"api", "stage"}, nil)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		stages:    stages,
		perStage:  newFamilies("postern_", "api", "stage"),
		perMethod: newFamilies("postern_method_", "api", "stage", "method", "resource"),
		sockets:   newSocketFamilies(),
		faults:    counter("postern_faults_total", "Requests that the gateway itself refused or failed, by gateway response type.", "api", "stage", "type"),
		unmatched: counter("postern_unmatched_requests_total", "Requests that no stage took, by gateway response type.", "type"),
	}
	m.perStage.counters = append(m.perStage.counters, []counterFamily{
		{describe("postern_request_bytes_total", "Bytes of content received from clients. AWS: part of DataProcessed."), func(s *shard) uint64 { return s.bytesIn.Load() }},
		{describe("postern_reply_bytes_total", "Bytes of content sent to clients. AWS: part of DataProcessed."), func(s *shard) uint64 { return s.bytesOut.Load() }},
		{describe("postern_truncated_replies_total", "Replies that ended before their content did."), func(s *shard) uint64 { return s.truncated.Load() }},
		{describe("postern_client_gone_total", "Requests whose client left before the reply was complete."), func(s *shard) uint64 { return s.clientGone.Load() }},
		{describe("postern_integration_retries_total", "Further tries of integrations."), func(s *shard) uint64 { return s.retries.Load() }},
	}...)
	for _, c := range []prometheus.Collector{m, m.faults, m.unmatched} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, f := range []*families{&m.perStage, &m.perMethod} {
		for _, c := range f.counters {
			to <- c.desc
		}
		to <- f.latency
		to <- f.integrationLatency
	}
	for _, c := range m.sockets {
		to <- c.desc
	}
}

// Collect implements prometheus.Collector: it adds the shards up.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	for name, st := range m.stages() {
		m.perStage.collect(to, &st.series.shards, name.api, name.stage)
		if s := st.series.sockets.Load(); s != nil {
			for _, c := range m.sockets {
				to <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(c.value(s).Load()), name.api, name.stage)
			}
		}
		for route, s := range st.methods.all() {
			verb, resource, _ := strings.Cut(route, " ")
			m.perMethod.collect(to, &s.shards, name.api, name.stage, verb, resource)
		}
	}
}

func (f *families) collect(to chan<- prometheus.Metric, all *[shards]shard, labels ...string) {
	for _, c := range f.counters {
		total := uint64(0)
		for i := range all {
			total += c.value(&all[i])
		}
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(total), labels...)
	}
	to <- collect(f.latency, all, func(s *shard) *histogram { return &s.latency }, labels)
	to <- collect(f.integrationLatency, all, func(s *shard) *histogram { return &s.integrationLatency }, labels)
}

// methodSeries are one method's counters.
type methodSeries struct{ shards [shards]shard }

func (s *methodSeries) record(ex *proxy.Exchange) { s.shards[ex.Shard%shards].record(ex) }

// methodTable has the counters of a stage's methods by route key. The zero value is ready
// to use. Safe for concurrent use.
type methodTable struct {
	mu     sync.Mutex // guards what follows
	series map[string]*methodSeries
}

// bind returns a method's counters, new ones if there are none.
func (t *methodTable) bind(route string) *methodSeries {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.series[route]
	if s == nil {
		s = new(methodSeries)
		if t.series == nil {
			t.series = map[string]*methodSeries{}
		}
		t.series[route] = s
	}
	return s
}

// all returns a copy.
func (t *methodTable) all() map[string]*methodSeries {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.series)
}

// keep drops the methods whose figures c doesn't want any more.
func (t *methodTable) keep(c *config.Stage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for route := range t.series {
		wanted := c.Metrics
		if own := c.Settings(route).Metrics; own != nil {
			wanted = *own
		}
		if !wanted {
			delete(t.series, route)
		}
	}
}

func collect(desc *prometheus.Desc, all *[shards]shard, of func(*shard) *histogram, labels []string) prometheus.Metric {
	var seconds float64
	var count uint64
	buckets := make(map[float64]uint64, len(bounds))
	for i := range len(bounds) + 1 {
		for s := range all {
			count += of(&all[s]).buckets[i].Load()
		}
		if i < len(bounds) {
			buckets[bounds[i].Seconds()] = count // cumulative
		}
	}
	for s := range all {
		seconds += time.Duration(of(&all[s]).sum.Load()).Seconds()
	}
	return prometheus.MustNewConstHistogram(desc, count, seconds, buckets, labels...)
}

// count returns how many durations were observed.
func (h *histogram) count() (n uint64) {
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}

func (m *metrics) bind(api, stage string) *series {
	return &series{faults: faultCounters{family: m.faults, labels: []string{api, stage}}}
}

// drop removes what isn't collected from the stages themselves.
func (m *metrics) drop(api, stage string) {
	m.faults.DeletePartialMatch(prometheus.Labels{"api": api, "stage": stage})
}

// faultCounters have a counter for each kind of fault that occurred: most never
// do, and thirty series for each stage would drown the others.
type faultCounters struct {
	family *prometheus.CounterVec
	labels []string // ahead of the type
	bound  [proxy.FaultKinds]atomic.Pointer[prometheus.Counter]
}

func (f *faultCounters) inc(kind proxy.FaultKind) {
	if c := f.bound[kind].Load(); c != nil {
		(*c).Inc()
		return
	}
	// Twice at the same time does no harm: the family gives both the same one.
	c := f.family.WithLabelValues(append(f.labels[:len(f.labels):len(f.labels)], kind.String())...)
	f.bound[kind].Store(&c)
	c.Inc()
}

package otlp

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector stands in for one that OpenTelemetry makes; what it gets is read by
// OpenTelemetry's own protocol package.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	answers []int // statuses, the last one for ever
	bodies  map[string][][]byte
	header  http.Header
	hang    chan struct{} // not nil: it answers when that is closed
}

func collect(t testing.TB, answers ...int) *collector {
	c := &collector{answers: answers, bodies: map[string][][]byte{}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.hang != nil {
		select {
		case <-c.hang:
		case <-r.Context().Done():
		}
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		w.WriteHeader(400)
		return
	}
	body, err := io.ReadAll(z)
	if err != nil {
		w.WriteHeader(400)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header = r.Header
	status := 200
	if len(c.answers) > 0 {
		if status = c.answers[0]; len(c.answers) > 1 {
			c.answers = c.answers[1:]
		}
	}
	if status == 200 {
		c.bodies[r.URL.Path] = append(c.bodies[r.URL.Path], body)
	}
	w.WriteHeader(status)
}

// got decodes what was sent to path, into one message.
func (c *collector) got(t *testing.T, path string, into proto.Message) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := proto.Unmarshal(bytes.Join(c.bodies[path], nil), into); err != nil {
		t.Fatal(err)
	}
	strict(t, into.ProtoReflect())
}

// strict fails if a message has fields that the protocol doesn't know.
func strict(t *testing.T, m protoreflect.Message) {
	if len(m.GetUnknown()) > 0 {
		t.Errorf("unknown fields in %s", m.Descriptor().FullName())
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				strict(t, v.List().Get(i).Message())
			}
		default:
			strict(t, v.Message())
		}
		return true
	})
}

func text(name, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

func number(name string, value int64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: value}}}
}

func span() Span {
	at := time.Unix(1700000000, 123456789)
	return Span{
		Trace: [16]byte{1, 2, 15: 3}, ID: [8]byte{4, 7: 5}, Parent: [8]byte{6}, State: "a=b", Name: "GET /pets", Kind: Server,
		Start: at, End: at.Add(1500 * time.Microsecond),
		Attributes: []Attribute{{Name: "http.route", Text: "/pets"}, {Name: "http.response.status_code", Number: 500}, {Name: "zero"}, {Name: "bad", Text: "\xff" + strings.Repeat("x", 300)}},
		Failed:     true, Failure: "it broke",
	}
}

// What is sent is what OpenTelemetry's own package reads, to the last field.
func TestSpans(t *testing.T) {
	c := collect(t)
	e := New(Options{Endpoint: c.URL + "/", Version: "1.2", Queue: 10, Timeout: time.Minute, Headers: map[string]string{"X-Token": "t"},
		Resource: []Attribute{{Name: "service.name", Text: "gw"}}})
	e.patience = time.Minute
	e.Add(span(), Span{Trace: [16]byte{1}, ID: [8]byte{2}, Name: "x", Kind: Client, Start: time.Unix(1, 0), End: time.Unix(2, 0)})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	var got tracepb.TracesData
	c.got(t, "/v1/traces", &got)
	want := span()
	trace, id := want.Trace, want.ID
	expected := &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: nil,
		ScopeSpans: []*tracepb.ScopeSpans{{
			Scope: &commonpb.InstrumentationScope{Name: "postern", Version: "1.2"},
			Spans: []*tracepb.Span{
				{
					TraceId: trace[:], SpanId: id[:], ParentSpanId: []byte{6, 0, 0, 0, 0, 0, 0, 0}, TraceState: "a=b", Name: "GET /pets",
					Kind: tracepb.Span_SPAN_KIND_SERVER, StartTimeUnixNano: 1700000000123456789, EndTimeUnixNano: 1700000000124956789,
					Attributes: []*commonpb.KeyValue{text("http.route", "/pets"), number("http.response.status_code", 500), number("zero", 0), text("bad", "\ufffd"+strings.Repeat("x", 300))},
					Status:     &tracepb.Status{Message: "it broke", Code: tracepb.Status_STATUS_CODE_ERROR},
				},
				{TraceId: []byte{0: 1, 15: 0}, SpanId: []byte{0: 2, 7: 0}, Name: "x", Kind: tracepb.Span_SPAN_KIND_CLIENT, StartTimeUnixNano: 1e9, EndTimeUnixNano: 2e9},
			},
		}},
	}}}
	if len(got.ResourceSpans) != 1 || len(got.ResourceSpans[0].Resource.GetAttributes()) != 1 || !proto.Equal(got.ResourceSpans[0].Resource.Attributes[0], text("service.name", "gw")) {
		t.Fatalf("resource: %v", &got)
	}
	got.ResourceSpans[0].Resource = nil
	if !proto.Equal(&got, expected) {
		t.Errorf("got  %v\nwant %v", &got, expected)
	}
	if c.header.Get("X-Token") != "t" || c.header.Get("Content-Type") != "application/x-protobuf" || e.figures.Sent.Load() != 2 {
		t.Errorf("%v, sent %d", c.header, e.figures.Sent.Load())
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "All."}, []string{"api", "none"})
	open := prometheus.NewGauge(prometheus.GaugeOpts{Name: "open"})
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "latency_seconds", Buckets: []float64{0.1, 1}})
	wait := prometheus.NewSummary(prometheus.SummaryOpts{Name: "wait_seconds", Objectives: map[float64]float64{0.5: 0.1}})
	registry.MustRegister(requests, open, latency, wait)
	requests.WithLabelValues("pets", "").Add(3)
	open.Set(-2.5)
	for _, v := range []float64{0.05, 0.5, 0.6, 7} {
		latency.Observe(v)
		wait.Observe(v)
	}
	c := collect(t)
	e := New(Options{Endpoint: c.URL, Interval: time.Hour, Metrics: registry, Timeout: time.Minute})
	e.patience = time.Minute
	if err := e.Close(); err != nil { // which reports a last time
		t.Fatal(err)
	}
	var got metricspb.MetricsData
	c.got(t, "/v1/metrics", &got)
	byName := map[string]*metricspb.Metric{}
	for _, m := range got.ResourceMetrics[0].ScopeMetrics[0].Metrics {
		byName[m.Name] = m
	}
	sum := byName["requests_total"].GetSum()
	if p := sum.GetDataPoints(); byName["requests_total"].Description != "All." || !sum.IsMonotonic || sum.AggregationTemporality != metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE ||
		len(p) != 1 || p[0].GetAsDouble() != 3 || len(p[0].Attributes) != 1 || !proto.Equal(p[0].Attributes[0], text("api", "pets")) ||
		p[0].StartTimeUnixNano == 0 || p[0].TimeUnixNano < p[0].StartTimeUnixNano {
		t.Errorf("counter: %v", sum)
	}
	if p := byName["open"].GetGauge().GetDataPoints(); len(p) != 1 || p[0].GetAsDouble() != -2.5 {
		t.Errorf("gauge: %v", byName["open"])
	}
	h := byName["latency_seconds"].GetHistogram()
	if p := h.GetDataPoints()[0]; p.Count != 4 || p.GetSum() != 8.15 || len(p.ExplicitBounds) != 2 || p.ExplicitBounds[1] != 1 ||
		len(p.BucketCounts) != 3 || p.BucketCounts[0] != 1 || p.BucketCounts[1] != 2 || p.BucketCounts[2] != 1 || h.AggregationTemporality != 2 {
		t.Errorf("histogram: %v", h)
	}
	if p := byName["wait_seconds"].GetSummary().GetDataPoints()[0]; p.Count != 4 || len(p.QuantileValues) != 1 || p.QuantileValues[0].Quantile != 0.5 {
		t.Errorf("summary: %v", p)
	}
}

// A collector that is busy is asked again; one that refuses isn't.
func TestRetry(t *testing.T) {
	f := func(status int, sent, failures uint64) {
		t.Helper()
		c := collect(t, status, 200)
		core, logs := observer.New(zapcore.InfoLevel)
		e := New(Options{Endpoint: c.URL, Queue: 10, Timeout: time.Minute, Logger: zap.New(core)})
		e.patience = time.Minute
		e.Add(span())
		_ = e.Close()
		if e.figures.Sent.Load() != sent || e.figures.Dropped.Load() != 1-sent || e.figures.Failures.Load() != failures {
			t.Errorf("%d: sent %d, dropped %d, failures %d", status, e.figures.Sent.Load(), e.figures.Dropped.Load(), e.figures.Failures.Load())
		}
		if n := logs.Len(); n != int(1-sent) {
			t.Errorf("%d: %d messages", status, n)
		}
	}
	f(503, 1, 1)
	f(429, 1, 1)
	f(400, 0, 1)
	f(500, 0, 1)
	f(302, 0, 1)
}

// One that hangs, or isn't there, costs spans and nothing else.
func TestAway(t *testing.T) {
	c := collect(t)
	c.hang = make(chan struct{})
	defer close(c.hang)
	for _, endpoint := range []string{c.URL, "http://127.0.0.1:1"} {
		core, logs := observer.New(zapcore.InfoLevel)
		e := New(Options{Endpoint: endpoint, Queue: 600, Timeout: time.Minute, Logger: zap.New(core)})
		begin := time.Now()
		for range 5000 {
			e.Add(span())
		}
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("5000 spans took %v", took)
		}
		if n := e.figures.Dropped.Load(); n < 3000 {
			t.Errorf("%d dropped", n)
		}
		begin = time.Now()
		_ = e.Close()
		if took := time.Since(begin); took > closePatience+30*time.Second {
			t.Errorf("Close took %v", took)
		}
		if n := e.figures.Dropped.Load(); n != 5000 {
			t.Errorf("%d dropped in the end", n)
		}
		if logs.Len() != 1 {
			t.Errorf("%d messages, want 1", logs.Len())
		}
	}
}

func TestConcurrent(t *testing.T) {
	c := collect(t)
	e := New(Options{Endpoint: c.URL, Queue: 100_000, Timeout: time.Minute})
	e.patience = time.Minute
	var adding sync.WaitGroup
	for range 8 {
		adding.Go(func() {
			for range 500 {
				e.Add(span(), span())
			}
		})
	}
	adding.Wait()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e.Add(span())
	var got tracepb.TracesData
	c.got(t, "/v1/traces", &got)
	n := 0
	for _, r := range got.ResourceSpans {
		n += len(r.ScopeSpans[0].Spans)
	}
	if n != 8000 || e.figures.Sent.Load() != 8000 || e.figures.Dropped.Load() != 1 {
		t.Errorf("%d arrived, %d sent, %d dropped", n, e.figures.Sent.Load(), e.figures.Dropped.Load())
	}
}

func BenchmarkAdd(b *testing.B) {
	e := New(Options{Endpoint: "http://127.0.0.1:1", Queue: 1 << 30, Timeout: time.Minute})
	s := span()
	b.ReportAllocs()
	for b.Loop() {
		e.Add(s)
		if e.mu.Lock(); len(e.pending) > 1<<20 {
			e.pending, e.count = e.pending[:0], 0
		}
		e.mu.Unlock()
	}
	e.left()
	_ = e.Close()
}

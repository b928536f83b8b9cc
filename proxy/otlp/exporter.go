// Package otlp sends spans and metrics to a collector: OTLP 1.x over HTTP, in protobuf.
// Nobody waits for the collector.
package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

const (
	// batch is how many spans are sent at once, if so many wait.
	batch = 512

	// linger is how long a span waits for company.
	linger = 2 * time.Second

	// tries is how often the same batch is sent, if the collector asks for it.
	tries = 4

	// closePatience is how long Close waits for the collector.
	closePatience = 2 * time.Second

	// longestText is how many bytes of one text are sent: clients choose some.
	longestText = 4096
)

// Options are what an Exporter is made of.
type Options struct {
	Endpoint string            // "http://127.0.0.1:4318"
	Headers  map[string]string // of each request
	Resource []Attribute       // service.name and others
	Version  string            // of the gateway
	Timeout  time.Duration     // of one request
	Queue    int               // spans that wait at most; 0 for no spans
	Interval time.Duration     // between reports of metrics; 0 for none
	Metrics  prometheus.Gatherer
	Figures  *Figures    // counts what is done; nil for nobody who asks
	Logger   *zap.Logger // nil logs nothing
}

// Exporter collects spans and sends them, and metrics at regular times. Its methods are
// safe for concurrent use.
type Exporter struct {
	// Set at construction.
	options Options
	client  *http.Client
	begin   time.Time
	wake    chan struct{} // one token: a batch is there
	ctx     context.Context
	cancel  context.CancelFunc
	stop    chan struct{} // closed by Close
	ended   sync.WaitGroup

	patience time.Duration // of Close; tests that aren't about it have more

	figures *Figures
	failing atomic.Bool  // since the last success
	told    atomic.Int64 // when the operator was, in seconds

	mu      sync.Mutex // guards what follows
	pending []byte     // spans, encoded
	count   int
	spare   []byte
	closed  bool
}

// Figures are what exporters have done.
type Figures struct {
	Sent     atomic.Uint64 // spans
	Dropped  atomic.Uint64 // spans
	Failures atomic.Uint64 // requests that the collector did not take
}

// New starts an exporter.
func New(o Options) *Exporter {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Figures == nil {
		o.Figures = new(Figures)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 2
	e := &Exporter{
		options: o, figures: o.Figures, begin: time.Now(),
		client: &http.Client{Transport: transport, Timeout: o.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // headers hold credentials
		}},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), patience: closePatience,
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	if o.Queue > 0 {
		e.ended.Go(e.sendSpans)
	}
	if o.Interval > 0 && o.Metrics != nil {
		e.ended.Go(e.sendMetrics)
	}
	return e
}

// Add takes spans, which it copies, and returns at once. Those that find no room are
// dropped and counted.
func (e *Exporter) Add(spans ...Span) {
	e.mu.Lock()
	if e.closed || e.count+len(spans) > e.options.Queue {
		e.mu.Unlock()
		e.figures.Dropped.Add(uint64(len(spans)))
		e.tell(errors.New("more spans wait than may"))
		return
	}
	before := e.count
	for i := range spans {
		e.pending = appendSpan(e.pending, &spans[i])
	}
	e.count += len(spans)
	rouse := before == 0 || before < batch && e.count >= batch
	e.mu.Unlock()
	if rouse {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
}

// Close sends what waits, 2 s at most, and ends the goroutines.
func (e *Exporter) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.mu.Unlock()
	close(e.stop)
	limit := time.AfterFunc(e.patience, e.cancel)
	e.ended.Wait()
	limit.Stop()
	e.cancel()
	e.client.CloseIdleConnections()
	if n := e.left(); n > 0 {
		return fmt.Errorf("the collector at %s didn't take the last %d spans", e.options.Endpoint, n)
	}
	return nil
}

// left drops what nobody will send any more.
func (e *Exporter) left() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.count
	e.figures.Dropped.Add(uint64(n))
	e.pending, e.count = nil, 0
	return n
}

// sendSpans is the goroutine that sends spans.
func (e *Exporter) sendSpans() {
	for stopping := false; !stopping; {
		select {
		case <-e.wake:
			stopping = e.gather()
		case <-e.stop:
			stopping = true
		}
		spans, n := e.take()
		if n == 0 {
			continue
		}
		body := e.envelope(nil, func(b []byte) []byte { return append(b, spans...) })
		if err := e.deliver("/v1/traces", body); err != nil {
			e.figures.Dropped.Add(uint64(n))
			e.tell(err)
		} else {
			e.figures.Sent.Add(uint64(n))
			e.recovered()
		}
		e.mu.Lock()
		e.spare = spans[:0]
		e.mu.Unlock()
	}
}

// gather waits for more spans to send along, and reports whether the end has come.
func (e *Exporter) gather() (stopping bool) {
	pause := time.NewTimer(linger)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-e.wake: // a batch is full
	case <-e.stop:
		return true
	}
	return false
}

func (e *Exporter) take() (spans []byte, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	spans, n = e.pending, e.count
	e.pending, e.spare, e.count = e.spare, nil, 0
	return spans, n
}

// sendMetrics is the goroutine that reports metrics, the last time when it ends.
func (e *Exporter) sendMetrics() {
	tick := time.NewTicker(e.options.Interval)
	defer tick.Stop()
	for stopping := false; !stopping; {
		select {
		case <-tick.C:
		case <-e.stop:
			stopping = true
		}
		families, err := e.options.Metrics.Gather()
		if len(families) > 0 { // what could be gathered, although something couldn't
			now := time.Now()
			body := e.envelope(nil, func(b []byte) []byte { return appendFamilies(b, families, e.begin, now) })
			err = e.deliver("/v1/metrics", body)
		}
		if err != nil {
			e.tell(err)
		} else {
			e.recovered()
		}
	}
}

// envelope appends what surrounds spans and metrics alike: ResourceSpans and ScopeSpans,
// ResourceMetrics and ScopeMetrics have the same numbers.
func (e *Exporter) envelope(b []byte, fill func(b []byte) []byte) []byte {
	return appendMessage(b, 1, func(b []byte) []byte {
		b = appendMessage(b, 1, func(b []byte) []byte {
			for i := range e.options.Resource {
				b = appendAttribute(b, 1, &e.options.Resource[i])
			}
			return b
		})
		return appendMessage(b, 2, func(b []byte) []byte {
			b = appendMessage(b, 1, func(b []byte) []byte {
				return appendText(appendText(b, 1, "postern"), 2, e.options.Version)
			})
			return fill(b)
		})
	})
}

// deliver posts body, again if the collector asks for that. OTLP Specification, "OTLP/HTTP
// Response".
func (e *Exporter) deliver(path string, body []byte) error {
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // the level is valid
	_, _ = z.Write(body)                                 // memory takes it
	_ = z.Close()
	pause := time.Second
	for try := 1; ; try++ {
		again, after, err := e.post(path, packed.Bytes())
		if err == nil {
			return nil
		}
		e.figures.Failures.Add(1)
		if !again || try == tries {
			return err
		}
		timer := time.NewTimer(max(pause, min(after, 30*time.Second)))
		select {
		case <-timer.C:
		case <-e.stop: // one more try, at once
			try = tries - 1
		}
		timer.Stop()
		pause *= 2
	}
}

// post sends body once. after is how long the collector wants to be left alone.
func (e *Exporter) post(path string, body []byte) (again bool, after time.Duration, err error) {
	r, err := http.NewRequestWithContext(e.ctx, "POST", strings.TrimSuffix(e.options.Endpoint, "/")+path, bytes.NewReader(body))
	if err != nil {
		return false, 0, err
	}
	for name, value := range e.options.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", "gzip")
	r.Header.Set("User-Agent", "postern/"+e.options.Version)
	answer, err := e.client.Do(r)
	if err != nil {
		return true, 0, err
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // so that the connection can be used again
	if answer.StatusCode >= 200 && answer.StatusCode <= 299 {
		return false, 0, nil
	}
	after, _ = time.ParseDuration(answer.Header.Get("Retry-After") + "s")
	return slices.Contains([]int{429, 502, 503, 504}, answer.StatusCode), after, fmt.Errorf("POST %s: %s", path, answer.Status)
}

// tell has the operator know, once until it works again, and once a minute at most.
func (e *Exporter) tell(err error) {
	if now := time.Now().Unix(); !e.failing.Swap(true) && now-e.told.Swap(now) >= 60 {
		e.options.Logger.Warn("the OpenTelemetry collector doesn't take everything", zap.String("endpoint", e.options.Endpoint),
			zap.Uint64("dropped_spans", e.figures.Dropped.Load()), zap.Error(err))
	}
}

func (e *Exporter) recovered() {
	if e.failing.Load() && e.failing.Swap(false) {
		e.options.Logger.Info("the OpenTelemetry collector takes everything again", zap.String("endpoint", e.options.Endpoint),
			zap.Uint64("dropped_spans", e.figures.Dropped.Load()))
	}
}

// clean returns s as valid UTF-8 of a bounded length.
func clean(s string) string {
	if len(s) > longestText {
		s = s[:longestText]
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

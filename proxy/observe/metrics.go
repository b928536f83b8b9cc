package observe

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-gateway/postern/proxy"
)

// metrics are the families of which each stage has its series.
//
// AWS: "Amazon API Gateway dimensions and metrics"; the help texts name the
// metric that has the same meaning there.
type metrics struct {
	requests, clientErrors, serverErrors *prometheus.CounterVec
	latency, integrationLatency          *prometheus.HistogramVec
	bytesIn, bytesOut                    *prometheus.CounterVec
	truncated, clientGone, retries       *prometheus.CounterVec
	faults, unmatched                    *prometheus.CounterVec
}

// buckets are upper bounds in seconds. AWS ends an integration after 29 s.
func buckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 29}
}

// newMetrics makes the families and registers them.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	perStage := []string{"api", "stage"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets()}, perStage)
	}
	m := &metrics{
		requests:           counter("postern_requests_total", "Requests that reached a stage. AWS: Count.", perStage...),
		clientErrors:       counter("postern_4xx_total", "Requests answered with 400 to 499. AWS: 4XXError (Sum).", perStage...),
		serverErrors:       counter("postern_5xx_total", "Requests answered with 500 to 599. AWS: 5XXError (Sum).", perStage...),
		latency:            histogram("postern_latency_seconds", "Time from a request's head to the end of its reply. AWS: Latency."),
		integrationLatency: histogram("postern_integration_latency_seconds", "Time from sending to the backend to the head of its answer. AWS: IntegrationLatency."),
		bytesIn:            counter("postern_request_bytes_total", "Bytes of content received from clients. AWS: part of DataProcessed.", perStage...),
		bytesOut:           counter("postern_reply_bytes_total", "Bytes of content sent to clients. AWS: part of DataProcessed.", perStage...),
		truncated:          counter("postern_truncated_replies_total", "Replies that ended before their content did.", perStage...),
		clientGone:         counter("postern_client_gone_total", "Requests whose client left before the reply was complete.", perStage...),
		retries:            counter("postern_integration_retries_total", "Further tries of integrations.", perStage...),
		faults:             counter("postern_faults_total", "Requests that the gateway itself refused or failed, by gateway response type.", "api", "stage", "type"),
		unmatched:          counter("postern_unmatched_requests_total", "Requests that no stage took, by gateway response type.", "type"),
	}
	for _, c := range []prometheus.Collector{
		m.requests, m.clientErrors, m.serverErrors, m.latency, m.integrationLatency, m.bytesIn,
		m.bytesOut, m.truncated, m.clientGone, m.retries, m.faults, m.unmatched,
	} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// series are one stage's handles.
type series struct {
	requests, clientErrors, serverErrors prometheus.Counter
	latency, integrationLatency          prometheus.Observer
	bytesIn, bytesOut                    prometheus.Counter
	truncated, clientGone, retries       prometheus.Counter
	faults                               faultCounters
}

func (m *metrics) bind(api, stage string) *series {
	return &series{
		requests:           m.requests.WithLabelValues(api, stage),
		clientErrors:       m.clientErrors.WithLabelValues(api, stage),
		serverErrors:       m.serverErrors.WithLabelValues(api, stage),
		latency:            m.latency.WithLabelValues(api, stage),
		integrationLatency: m.integrationLatency.WithLabelValues(api, stage),
		bytesIn:            m.bytesIn.WithLabelValues(api, stage),
		bytesOut:           m.bytesOut.WithLabelValues(api, stage),
		truncated:          m.truncated.WithLabelValues(api, stage),
		clientGone:         m.clientGone.WithLabelValues(api, stage),
		retries:            m.retries.WithLabelValues(api, stage),
		faults:             faultCounters{family: m.faults, labels: []string{api, stage}},
	}
}

// drop removes a stage's series from what is exposed.
func (m *metrics) drop(api, stage string) {
	for _, family := range []*prometheus.CounterVec{
		m.requests, m.clientErrors, m.serverErrors, m.bytesIn, m.bytesOut, m.truncated, m.clientGone, m.retries,
	} {
		family.DeleteLabelValues(api, stage)
	}
	m.latency.DeleteLabelValues(api, stage)
	m.integrationLatency.DeleteLabelValues(api, stage)
	m.faults.DeletePartialMatch(prometheus.Labels{"api": api, "stage": stage})
}

func (s *series) record(ex *proxy.Exchange) {
	s.requests.Inc()
	switch status := ex.Reply.Status; {
	case status >= 400 && status <= 499:
		s.clientErrors.Inc()
	case status >= 500 && status <= 599:
		s.serverErrors.Inc()
	}
	s.latency.Observe(ex.Times.Total.Seconds())
	if ex.Times.Integration > 0 {
		s.integrationLatency.Observe(ex.Times.Integration.Seconds())
	}
	notes := &ex.Notes
	addTo(s.bytesIn, notes.BytesIn)
	addTo(s.bytesOut, notes.BytesOut)
	addTo(s.retries, int64(notes.Retries))
	if notes.Truncated {
		s.truncated.Inc()
	}
	if notes.ClientGone {
		s.clientGone.Inc()
	}
	if ex.Fault != nil {
		s.faults.inc(ex.Fault.Kind)
	}
}

// addTo spares the counter the common addition of nothing.
func addTo(c prometheus.Counter, n int64) {
	if n > 0 {
		c.Add(float64(n))
	}
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

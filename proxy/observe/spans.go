package observe

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/otlp"
)

// phaseNames are the names of the phases' spans.
var phaseNames = [...]string{"method request", "integration request", "integration", "integration response", "method response"}

// export hands ex's spans over: one for the request, and below it one for each phase that
// ran; the integration's is the backend call. OpenTelemetry, "Semantic conventions for
// HTTP spans".
func (o *Observer) export(ex *proxy.Exchange) {
	to := o.exporter.Load()
	if to == nil {
		return
	}
	var memory [len(phaseNames) + 1]otlp.Span
	spans := append(memory[:0], requestSpan(ex))
	began := &ex.Times.Began
	for i, name := range phaseNames {
		if began[i] == 0 {
			continue
		}
		end := ended(ex, i)
		s := otlp.Span{
			Trace: ex.Trace.ID, ID: derived(ex.Trace.Span, byte(i)), Parent: ex.Trace.Span, State: ex.Trace.State,
			Name: name, Kind: otlp.Internal, Start: ex.Start.Add(began[i]), End: ex.Start.Add(end),
		}
		if proxy.Phase(i) == proxy.Integration {
			call(&s, ex)
		}
		spans = append(spans, s)
	}
	to.Add(spans...)
}

// ended returns when a phase was over: when the next one began, or the reply was ready.
func ended(ex *proxy.Exchange, phase int) time.Duration {
	for _, next := range ex.Times.Began[phase+1:] {
		if next != 0 {
			return next
		}
	}
	return ex.Times.Total
}

// derived returns the id of a phase's span: others never see it, and it must only differ
// from the rest of its trace.
func derived(id [8]byte, phase byte) [8]byte {
	id[0] ^= 0x80
	id[7] ^= (phase + 1) << 4
	return id
}

func requestSpan(ex *proxy.Exchange) otlp.Span {
	in := &ex.In
	version := strings.TrimSuffix(strings.TrimPrefix(in.Proto, "HTTP/"), ".0")
	if in.Proto == "HTTP/1.0" {
		version = "1.0"
	}
	s := otlp.Span{
		Trace: ex.Trace.ID, ID: ex.Trace.Span, Parent: ex.Trace.Parent, State: ex.Trace.State,
		Name: in.Method, Kind: otlp.Server, Start: ex.Start, End: ex.Start.Add(ex.Times.Total),
		Attributes: make([]otlp.Attribute, 0, 20),
	}
	text := func(name, value string) {
		if value != "" {
			s.Attributes = append(s.Attributes, otlp.Attribute{Name: name, Text: value})
		}
	}
	text("http.request.method", in.Method)
	// The query isn't there: it often carries tokens.
	text("url.path", in.Path)
	text("url.scheme", in.Scheme)
	text("server.address", in.Host)
	text("client.address", ex.ClientAddress())
	text("network.protocol.version", version)
	text("user_agent.original", in.Fields.GetKnown(http1.UserAgent))
	text("aws.request_id", ex.ID)
	if st := ex.Stage; st != nil {
		// X-Ray has these two as annotations.
		text("aws.api_id", st.API.ID)
		text("aws.api_stage", st.Name)
		text("postern.api", st.API.Name)
		text("postern.deployment", st.Deployment)
	}
	if ex.Route != nil {
		s.Name = in.Method + " " + ex.Route.Resource
		text("http.route", ex.Route.Resource)
	}
	switch ex.Notes.Cache {
	case proxy.CacheHit:
		text("postern.cache", "hit")
	case proxy.CacheMiss:
		text("postern.cache", "miss")
	}
	s.Attributes = append(s.Attributes, otlp.Attribute{Name: "http.response.status_code", Number: int64(ex.Reply.Status)},
		otlp.Attribute{Name: "http.request.body.size", Number: ex.Notes.BytesIn}, otlp.Attribute{Name: "http.response.body.size", Number: ex.Notes.BytesOut})
	if f := ex.Fault; f != nil {
		text("error.type", f.Kind.String())
	}
	// A client's mistake isn't the server's.
	if ex.Reply.Status >= 500 || ex.Notes.Truncated {
		s.Failed = true
		if ex.Fault != nil {
			s.Failure = causeOf(ex.Fault)
		}
	}
	return s
}

// call makes s, the span of the phase, the call of the integration.
func call(s *otlp.Span, ex *proxy.Exchange) {
	s.ID, s.Kind = ex.Trace.Call, otlp.Client
	notes := &ex.Notes
	text := func(name, value string) {
		if value != "" {
			s.Attributes = append(s.Attributes, otlp.Attribute{Name: name, Text: value})
		}
	}
	number := func(name string, value int) {
		if value != 0 {
			s.Attributes = append(s.Attributes, otlp.Attribute{Name: name, Number: int64(value)})
		}
	}
	if ex.Route != nil {
		text("postern.integration", ex.Route.Kind)
	}
	text("http.request.method", ex.Out.Method)
	text("server.address", ex.Out.Host)
	text("network.peer.address", notes.Target)
	number("http.response.status_code", notes.BackendStatus)
	number("http.request.resend_count", notes.Retries)
	text("postern.plugin", notes.Plugin)
	text("postern.plugin.failure", notes.PluginFailure)
	number("postern.plugin.requests", notes.PluginRequests)
	if notes.BackendStatus >= 400 {
		text("error.type", strconv.Itoa(notes.BackendStatus))
	}
	s.Failed = notes.BackendStatus >= 400
	if why := integrationError(ex); why != "" {
		s.Failed, s.Failure = true, why
	}
}

// followOTLP has an exporter for what cfg says, the present one if that is the same. o.mu is
// held.
func (o *Observer) followOTLP(cfg *config.OTLP) {
	if reflect.DeepEqual(o.collector, cfg) {
		return
	}
	o.collector = cfg
	var next *otlp.Exporter
	if cfg != nil {
		settings := otlp.Options{
			Endpoint: cfg.Endpoint, Headers: cfg.Headers, Timeout: time.Duration(cfg.Timeout), Version: o.options.Version,
			Metrics: o.options.Registry, Figures: &o.figures, Logger: o.options.Logger,
			Resource: []otlp.Attribute{{Name: "service.name", Text: cfg.Service}, {Name: "service.version", Text: o.options.Version}},
		}
		for _, name := range sortedKeys(cfg.Attributes) {
			settings.Resource = append(settings.Resource, otlp.Attribute{Name: name, Text: cfg.Attributes[name]})
		}
		if cfg.Traces != nil {
			settings.Queue = cfg.Traces.Queue
		}
		if cfg.Metrics != nil {
			settings.Interval = time.Duration(cfg.Metrics.Interval)
		}
		next = otlp.New(settings)
	}
	before := o.exporter.Swap(next)
	if before == nil {
		return
	}
	o.leaving.Go(func() { // it may wait for its collector, which no reload should
		if err := before.Close(); err != nil {
			o.options.Logger.Warn("spans are lost", zap.Error(err))
		}
	})
}

// registerOTLP registers what exporters have done.
func (o *Observer) registerOTLP() error {
	for _, c := range []struct {
		name, help string
		value      *atomic.Uint64
	}{
		{"postern_otlp_sent_spans_total", "Spans that the OpenTelemetry collector took.", &o.figures.Sent},
		{"postern_otlp_dropped_spans_total", "Spans that were lost because the OpenTelemetry collector is away, refuses them or is too slow.", &o.figures.Dropped},
		{"postern_otlp_failed_requests_total", "Requests to the OpenTelemetry collector that failed.", &o.figures.Failures},
	} {
		err := o.options.Registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help},
			func() float64 { return float64(c.value.Load()) }))
		if err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	}
	return nil
}

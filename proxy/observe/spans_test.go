package observe

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// A sampled exchange becomes a span with one below it for each phase that ran.
func TestSpans(t *testing.T) {
	bodies := make(chan []byte, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		z, _ := gzip.NewReader(r.Body)
		body, _ := io.ReadAll(z)
		bodies <- body
	}))
	defer server.Close()
	registry := prometheus.NewRegistry()
	ob := newObserver(t, Options{Log: config.Log{Access: Off}, Registry: registry, Version: "9"})
	cfg := staged(config.Stage{})
	cfg.OTLP = &config.OTLP{Endpoint: server.URL, Service: "gw", Timeout: config.Duration(time.Minute), Traces: &config.OTLPTraces{Queue: 100}}
	stage := ob.Stage("pets", "prod")
	if err := ob.Follow(cfg); err != nil {
		t.Fatal(err)
	}
	ex := full()
	stage.Record(ex) // not sampled: nothing is sent
	ex.Trace = proxy.Trace{ID: [16]byte{1}, Parent: [8]byte{2}, Span: [8]byte{3}, Call: [8]byte{4}, Sampled: true, State: "a=b"}
	ms := time.Millisecond
	ex.Times = proxy.Times{Total: 9 * ms, Integration: 3 * ms}
	ex.Times.Began[proxy.MethodRequest], ex.Times.Began[proxy.Integration], ex.Times.Began[proxy.IntegrationResponse] = ms, 3*ms, 6*ms
	ex.Times.Began[len(ex.Times.Began)-1] = 8 * ms
	ex.Reply.Status, ex.Notes.BackendStatus, ex.Notes.Target = 502, 503, "10.0.0.1:80"
	ex.Fault = &proxy.Fault{Kind: proxy.BadIntegration, Cause: errors.New("malformed")}
	stage.Record(ex)
	if err := ob.Close(); err != nil {
		t.Fatal(err)
	}
	var got tracepb.TracesData
	if err := proto.Unmarshal(<-bodies, &got); err != nil || len(bodies) != 0 {
		t.Fatal(err, len(bodies))
	}
	spans := got.ResourceSpans[0].ScopeSpans[0].Spans
	if len(spans) != 4 {
		t.Fatalf("%d spans: %v", len(spans), spans)
	}
	f := func(i int, name string, kind tracepb.Span_SpanKind, parent byte, begin, end time.Duration) {
		t.Helper()
		s := spans[i]
		from := uint64(ex.Start.UnixNano())
		if s.Name != name || s.Kind != kind || s.ParentSpanId[0] != parent || s.TraceId[0] != 1 || s.TraceState != "a=b" ||
			s.StartTimeUnixNano != from+uint64(begin) || s.EndTimeUnixNano != from+uint64(end) {
			t.Errorf("span %d: %v", i, s)
		}
	}
	f(0, "GET /pets/{id}", tracepb.Span_SPAN_KIND_SERVER, 2, 0, 9*ms)
	f(1, "method request", tracepb.Span_SPAN_KIND_INTERNAL, 3, ms, 3*ms)
	f(2, "integration", tracepb.Span_SPAN_KIND_CLIENT, 3, 3*ms, 6*ms)
	f(3, "integration response", tracepb.Span_SPAN_KIND_INTERNAL, 3, 6*ms, 8*ms)
	if spans[0].SpanId[0] != 3 || spans[2].SpanId[0] != 4 || spans[0].Status.GetMessage() != "malformed" {
		t.Errorf("ids or status: %v", spans)
	}
	attributes := map[string]string{}
	for _, s := range []int{0, 2} {
		for _, a := range spans[s].Attributes {
			attributes[a.Key] = a.Value.String()
		}
	}
	for name, want := range map[string]string{
		"http.route": "/pets/{id}", "url.path": "/prod/pets/7", "network.protocol.version": "1.1", "client.address": "192.0.2.7",
		"network.peer.address": "10.0.0.1:80", "http.response.status_code": "503", "aws.api_stage": "prod",
	} {
		if !strings.Contains(attributes[name], want) {
			t.Errorf("%s = %s, want %s", name, attributes[name], want)
		}
	}
	if strings.Contains(got.String(), "geheim") {
		t.Error("the query was sent")
	}
	if gathered(t, registry, "postern_otlp_sent_spans_total") != 4 {
		t.Error("the spans weren't counted")
	}
}

// The execution log has AWS's lines, credentials masked.
func TestExecution(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	ob := newObserver(t, Options{Log: config.Log{Access: Off}})
	c := config.Stage{
		Log: &config.StageLog{Execution: &config.ExecutionLog{Level: "info", DataTrace: true, Output: path}},
		Method: map[string]config.MethodSettings{
			"GET /quiet": {LogLevel: "off"}, "GET /bad": {LogLevel: "error"}, "GET /brief": {DataTrace: new(bool)},
		},
	}
	stage := ob.Stage("pets", "prod").(*stage)
	if err := ob.Follow(staged(c)); err != nil {
		t.Fatal(err)
	}
	lines := func(route string, ex *proxy.Exchange) []string {
		t.Helper()
		if r := stage.Method(route, &c); r != nil {
			r.Record(ex)
		}
		_ = ob.Flush()
		text, err := os.ReadFile(path)
		if err != nil || os.Truncate(path, 0) != nil {
			t.Fatal(err)
		}
		all := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		for i, line := range all {
			line, found := strings.CutPrefix(line, "2026-03-04T05:06:07.089Z pets/prod ("+ex.ID+") ")
			if all[i] = line; !found && line != "" {
				t.Errorf("line %q", line)
			}
		}
		return all
	}
	ex := full()
	ex.Path, ex.Method, ex.Params = "/pets/7", "GET", []proxy.Param{{Name: "id", Value: "7"}}
	ex.In.Fields.Add("Authorization", "Bearer abcdefghijklmnopqrstuvwxyz")
	ex.Out = proxy.Outgoing{Method: "GET", Host: "b", Target: "/x?api_key=abcdefghijklmnopqrstuvwxyz&q=1", Fields: http1.Fields{http1.NewField("X-Api-Key", "short")}}
	ex.Back.Content, ex.Notes.Target = []byte("a\nb"+strings.Repeat("x", 2000)), "10.0.0.1:80"
	ex.Reply.Content = []byte("{}")
	want := []string{
		"Extended Request Id: Mc7UVioPPHcEKPA=",
		"Verifying Usage Plan for request: " + ex.ID + ". API Key:  API Stage: pets/prod",
		"API Key  authorized because method 'GET /pets/{id}' does not require API Key. Request will not contribute to throttle or quota limits",
		"Starting execution for request: " + ex.ID,
		"HTTP Method: GET, Resource Path: /pets/7",
		"Method request path: {id=7}",
		"Method request query string: {token=**********}",
		"Method request headers: {User-Agent=curl/8.5.0, Authorization=Bearer **********uvwxyz}",
		"Method request body before transformations: ",
		"Endpoint request URI: b/x {api_key=**********uvwxyz, q=1}",
		"Endpoint request headers: {X-Api-Key=**********}",
		"Endpoint request body after transformations: ",
		"Sending request to 10.0.0.1:80",
		"Received response. Status: 200, Integration latency: 3 ms",
		"Endpoint response headers: {}",
		`Endpoint response body before transformations: a\nb` + strings.Repeat("x", 995) + " [TRUNCATED]",
		"Method response body after transformations: {}",
		"Method response headers: {}",
		"Successfully completed execution",
		"Method completed with status: 200",
	}
	if got := lines("GET /pets/{id}", ex); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := lines("GET /brief", ex); len(got) != 10 || got[5] != "Endpoint request URI: b/x" {
		t.Errorf("without data: %q", got)
	}
	for _, route := range []string{"GET /quiet", "GET /bad"} {
		if got := lines(route, ex); len(got) != 1 || got[0] != "" {
			t.Errorf("%s: %q", route, got)
		}
	}
	ex.Fault, ex.Reply.Status = &proxy.Fault{Kind: proxy.IntegrationTimeout, Cause: errors.New("29 s")}, 504
	if got := lines("GET /bad", ex); strings.Join(got, "|") != "Execution failed due to a timeout error: 29 s|Gateway response type: INTEGRATION_TIMEOUT with status code: 504|Method completed with status: 504" {
		t.Errorf("%q", got)
	}
	if got := strings.Join(lines("GET /pets/{id}", ex), "\n"); !strings.HasSuffix(got, "status code: 504\nGateway response body: {}\nGateway response headers: {}\nMethod completed with status: 504") {
		t.Errorf("%s", got)
	}
	ex.Fault, ex.Reply.Status = &proxy.Fault{Kind: proxy.AccessDenied}, 403
	if got := lines("GET /bad", ex); got[0] != "Gateway response type: ACCESS_DENIED with status code: 403: User is not authorized to access this resource" {
		t.Errorf("%q", got)
	}
}

// streaming is content that comes in pieces.
type streaming struct {
	pieces  []string
	aborted bool
}

func (s *streaming) Read(b []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; s.pieces[0] == "" {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *streaming) Trailers() http1.Fields { return nil }
func (s *streaming) Abort()                 { s.aborted = true }

// Content that streams is in the log as far as a line goes, credentials masked, whichever
// way it was read; and its readers notice nothing.
func TestExecutionStreams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	ob := newObserver(t, Options{Log: config.Log{Access: Off}})
	no := false
	c := config.Stage{
		Log:    &config.StageLog{Execution: &config.ExecutionLog{Level: "info", DataTrace: true, Output: path}},
		Method: map[string]config.MethodSettings{"GET /brief": {DataTrace: &no}, "GET /bad": {LogLevel: "error"}},
	}
	stage := ob.Stage("pets", "prod").(*stage)
	if err := ob.Follow(staged(c)); err != nil {
		t.Fatal(err)
	}
	for _, route := range []string{"GET /brief", "GET /bad"} {
		if steps := stage.Method(route, &c).(*method).Witness(); steps != (proxy.Steps{}) {
			t.Errorf("%s is looked at", route)
		}
	}
	m := stage.Method("GET /pets/{id}", &c).(*method)
	json := []http1.Field{http1.NewField("Content-Type", "application/json")}
	large := strings.Repeat("0123456789", 50_000)
	up := &streaming{pieces: []string{`{"password":"hun`, `ter2","a":"`, large, `"}`}}
	down := &streaming{pieces: []string{"caf\xc3\xa9 ", large}}
	ex := full()
	ex.In.Fields, ex.In.Body, ex.In.Length, ex.In.Whole = json, up, 500_030, false
	read := func(step proxy.Phase, passes func()) {
		t.Helper()
		if v, err := m.Witness()[step].Run(t.Context(), ex); v != proxy.Continue || err != nil {
			t.Fatal(v, err)
		}
		passes()
	}
	all := func(b proxy.Body) string {
		t.Helper()
		text, err := io.ReadAll(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	read(proxy.MethodRequest, func() {
		ex.Out = proxy.Outgoing{Method: "POST", Host: "b", Target: "/", Fields: json, Body: ex.In.Body, Length: ex.In.Length}
	})
	read(proxy.IntegrationRequest, func() {
		if got := all(ex.Out.Body); got != `{"password":"hunter2","a":"`+large+`"}` {
			t.Errorf("the backend gets %.100s", got)
		}
		ex.Back = proxy.Response{Status: 200, Body: down}
	})
	read(proxy.Integration, func() { ex.Reply = ex.Back })
	read(proxy.MethodResponse, func() {
		if got := all(ex.Reply.Body); got != "café "+large {
			t.Errorf("the client gets %.100s", got)
		}
		ex.Reply.Body.(interface{ Abort() }).Abort()
	})
	if !down.aborted {
		t.Error("the content wasn't given up")
	}
	m.Record(ex)
	_ = ob.Flush()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`Method request body before transformations: {\"password\":\"**********\",\"a\":\"0123`, `Endpoint request body after transformations: {\"password\":\"**********\",\"a\":\"0123`,
		`Endpoint response body before transformations: caf`, "Method response body after transformations: caf", " [TRUNCATED]\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if n := strings.Count(string(text), " [TRUNCATED]\n"); n != 4 || len(text) > 7000 || strings.Contains(string(text), "hunter2") {
		t.Errorf("%d lines are cut: %s", n, text)
	}
	// Content that nobody has read isn't there, and what isn't text is not shown.
	ex = full()
	ex.In.Body, ex.In.Whole = &streaming{pieces: []string{"x"}}, false
	read(proxy.MethodRequest, func() {})
	ex.Reply.Content = []byte{0xff, 0, 1}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	m.Record(ex)
	_ = ob.Flush()
	if text, err = os.ReadFile(path); err != nil || !strings.Contains(string(text), "body before transformations: \n") || !strings.Contains(string(text), "transformations: [Binary Data]\n") {
		t.Errorf("%v: %s", err, text)
	}
}

// The log tells what API key and authorizer came to.
func TestExecutionCallers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	ob := newObserver(t, Options{Log: config.Log{Access: Off}})
	c := config.Stage{Log: &config.StageLog{Execution: &config.ExecutionLog{Level: "info", Output: path}}}
	stage := ob.Stage("pets", "prod").(*stage)
	if err := ob.Follow(staged(c)); err != nil {
		t.Fatal(err)
	}
	f := func(prepare func(ex *proxy.Exchange), want ...string) {
		t.Helper()
		ex := full()
		route := *ex.Route
		route.Authorizer, route.KeyRequired = "gate", true
		ex.Route = &route
		prepare(ex)
		stage.Method("GET /pets/{id}", &c).Record(ex)
		_ = ob.Flush()
		text, err := os.ReadFile(path)
		if err != nil || os.Truncate(path, 0) != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(string(text)) {
			_, line, _ = strings.Cut(strings.TrimSpace(line), ") ")
			if strings.Contains(line, "lan") || strings.Contains(line, "API Key") || strings.Contains(line, "authorizer") {
				got = append(got, strings.ReplaceAll(line, ex.ID, "ID"))
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got  %s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	f(func(ex *proxy.Exchange) {
		ex.Caller.Key, ex.Caller.KeyID, ex.Caller.Principal = "0123456789abcdef0123456789", "mobile", "ann"
	},
		"Verifying Usage Plan for request: ID. API Key: **********456789 API Stage: pets/prod",
		"Usage Plan check succeeded for API Key mobile and API Stage pets/prod",
		"Starting authorizer: gate for request: ID",
		"Using valid authorizer policy for principal: ann",
		"Successfully completed authorizer execution")
	f(func(ex *proxy.Exchange) {
		ex.Caller = proxy.Caller{}
		ex.Fault = &proxy.Fault{Kind: proxy.AuthorizerConfigurationError, Cause: errors.New("no")}
	}, "Verifying Usage Plan for request: ID. API Key:  API Stage: pets/prod", "Starting authorizer: gate for request: ID")
	f(func(ex *proxy.Exchange) {
		ex.Caller = proxy.Caller{}
		ex.Fault = &proxy.Fault{Kind: proxy.AccessDenied}
	},
		"Verifying Usage Plan for request: ID. API Key:  API Stage: pets/prod")
}

// Methods count by themselves where that is wanted, and as long as it is.
func TestMethodMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	ob := newObserver(t, Options{Log: config.Log{Access: Off}, Registry: registry})
	stage, ex := ob.Stage("pets", "prod").(*stage), full()
	no := false
	c := config.Stage{Metrics: true, Method: map[string]config.MethodSettings{"GET /quiet": {Metrics: &no}}}
	if stage.Method("GET /quiet", &c) != nil {
		t.Error("a method that wants no figures has a recorder")
	}
	ex.Notes.Cache = proxy.CacheHit
	stage.Method("GET /pets/{id}", &c).Record(ex)
	ex.Notes.Cache, ex.Reply.Status = proxy.CacheMiss, 404
	stage.Method("GET /pets/{id}", &c).Record(ex)
	for family, want := range map[string]float64{"requests": 2, "4xx": 1, "5xx": 0, "cache_hits": 1, "cache_misses": 1} {
		if got := gathered(t, registry, "postern_method_"+family+"_total", "pets", "GET", "/pets/{id}", "prod"); got != want {
			t.Errorf("%s: %v, want %v", family, got, want)
		}
		if got := gathered(t, registry, "postern_"+family+"_total", "pets", "prod"); got != want {
			t.Errorf("%s of the stage: %v, want %v", family, got, want)
		}
	}
	if err := ob.Follow(staged(config.Stage{})); err != nil {
		t.Fatal(err)
	}
	if got := gathered(t, registry, "postern_method_requests_total", "pets", "GET", "/pets/{id}", "prod"); got != -1 {
		t.Errorf("still %v", got)
	}
}

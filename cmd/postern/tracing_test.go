package main

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// What the gateway sends to a collector is a trace by OpenTelemetry's own messages: it
// goes on from the client's span to the backend's, which is told its parent.
func TestTracing(t *testing.T) {
	var mu sync.Mutex
	spans := map[string]*tracepb.Span{} // by kind
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil || r.URL.Path != "/v1/traces" {
			w.WriteHeader(400)
			return
		}
		body, err := io.ReadAll(unpacked)
		var got tracepb.TracesData
		if err != nil || proto.Unmarshal(body, &got) != nil {
			w.WriteHeader(400)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range got.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					spans[span.Kind.String()] = span
				}
			}
		}
	}))
	t.Cleanup(collector.Close)
	var told string
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		told = r.Header.Get("Traceparent")
	}))
	t.Cleanup(backend.Close)
	r := startChild(t, write(t, `
[listen.public]
address = "127.0.0.1:0"
[otlp]
endpoint = "`+collector.URL+`"
traces = { ratio = 0 }
[api.hello]
type = "rest"
[api.hello.stage.prod]
[api.hello.route."GET /v"]
integration = { type = "http_proxy", url = "`+backend.URL+`/" }
`), nil, "--no-watch")
	r.get("/v") // not sampled
	q, err := http.NewRequest("GET", "http://"+r.addr+"/prod/v", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Host = "hello.localhost"
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	q.Header.Set("Traceparent", "00-"+trace+"-"+parent+"-01")
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	r.await("the spans", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(spans) == 3
	})
	mu.Lock()
	defer mu.Unlock()
	server, client := spans["SPAN_KIND_SERVER"], spans["SPAN_KIND_CLIENT"]
	for _, span := range spans {
		if hex.EncodeToString(span.TraceId) != trace || span.EndTimeUnixNano < span.StartTimeUnixNano || span.StartTimeUnixNano == 0 {
			t.Errorf("span %v", span)
		}
	}
	if server == nil || hex.EncodeToString(server.ParentSpanId) != parent || server.Name != "GET /v" {
		t.Errorf("the request's span: %v", server)
	}
	if client == nil || server != nil && string(client.ParentSpanId) != string(server.SpanId) || !strings.Contains(told, "-"+hex.EncodeToString(client.SpanId)+"-") {
		t.Errorf("the call's span: %v; the backend was told %q", client, told)
	}
}

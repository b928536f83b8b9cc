package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/postern-gateway/postern/builtins"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/observe"
	"github.com/postern-gateway/postern/proxy/snapshot"
)

// present is a backend that has its answer ready.
type present struct{}

func (present) Send(_ context.Context, ex *proxy.Exchange) error {
	ex.Back = proxy.Response{Status: 200, Fields: append(ex.Back.Fields[:0], http1.NewField("Content-Type", "text/plain")), Content: []byte("x"), Length: 1}
	return nil
}

// BenchmarkTracing takes requests from the matcher through the pipeline of http_proxy to
// the record, with a backend that costs nothing: without tracing, with one of a hundred
// traced, and with all. Spans go to a collector in the same process, whose work counts,
// too. The goal is less than 1 µs of processor time more for one of a hundred.
func BenchmarkTracing(b *testing.B) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer collector.Close()
	f := func(name, otlp string, more ...http1.Field) {
		b.Run(name, func(b *testing.B) {
			cfg, findings := config.Parse("postern.toml", []byte(`
[listen.public]
address = "127.0.0.1:0"
[log]
access = "off"
`+otlp+`
[api.a]
type = "rest"
[api.a.stage.prod]
[api.a.route."GET /pets/{id}"]
integration = { type = "http_proxy", url = "http://127.0.0.1:1/{id}" }
`))
			if findings.Failed() {
				b.Fatal(findings.Text())
			}
			observer, err := observe.New(observe.Options{Log: cfg.Log, Variable: contextVariable})
			if err != nil {
				b.Fatal(err)
			}
			defer observer.Close()
			snap, findings := snapshot.Compile(cfg, snapshot.Options{
				Kinds:    builtins.Kinds(builtins.Options{}),
				Backend:  func(string, *config.Backend) (proxy.Backend, error) { return present{}, nil },
				Recorder: observer.Stage,
			})
			if findings.Failed() {
				b.Fatal(findings.Text())
			}
			defer snap.Close()
			if err := observer.Follow(cfg); err != nil {
				b.Fatal(err)
			}
			fields := append(http1.Fields{
				http1.NewField("Host", "a.localhost"), http1.NewField("User-Agent", "Mozilla/5.0"), http1.NewField("Accept", "*/*"), http1.NewField("Accept-Encoding", "gzip"),
			}, more...)
			ex := &proxy.Exchange{}
			b.ReportAllocs()
			began := spent(b)
			for b.Loop() {
				ex.Begin(time.Now(), nil)
				ex.ID, ex.ExtendedID = "6c1d9a4e-5a5c-4c3f-9a52-5d3ad0b9a3c2", "Mc7UVioPPHcEKPA="
				in := &ex.In
				in.Method, in.Scheme, in.Host, in.Path, in.Proto, in.Whole = "GET", "https", "a.localhost", "/prod/pets/7", "HTTP/1.1", true
				in.Fields, in.Client, in.ClientText = append(in.Fields[:0], fields...), netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 7}), 1234), "192.0.2.7"
				if fault, ok := snap.Match(ex); !ok {
					b.Fatal(fault)
				}
				ex.Route.Pipeline.Run(context.Background(), ex, 1<<20)
				if ex.Reply.Status != 200 {
					b.Fatal(ex.Fault)
				}
				ex.Times.Total = ex.Now().Sub(ex.Start)
				ex.Stage.Recorder.Record(ex)
				ex.End()
			}
			b.ReportMetric(float64((spent(b)-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
	traces := func(ratio string) string {
		return "[otlp]\nendpoint = \"" + collector.URL + "\"\ntraces = { queue = 100000, ratio = " + ratio + " }"
	}
	f("off", "")
	f("hundredth", traces("0.01"))
	f("hundredth-followed", traces("0.01"), http1.NewField("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"), http1.NewField("tracestate", "vendor=1"))
	f("all", traces("1"))
}

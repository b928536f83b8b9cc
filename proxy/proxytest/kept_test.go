package proxytest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/upstream"
)

// keptStreams is what two clients of HTTP/2 ask for at the same time with the
// default of limits.streams.
const keptStreams = 200

// Clients of HTTP/2 that ask for many things at once, again and again, find the
// backend's connections still open: as many as there are requests at once are
// opened, and no further ones.
func TestKeptConnections(t *testing.T) {
	w := startWaves(t, "")
	for range 20 {
		w.wave()
	}
	if n := w.opened.Load(); n != keptStreams {
		t.Errorf("%d connections for %d requests at a time, want as many", n, keptStreams)
	}
}

// BenchmarkKeptConnections shows what max_idle is worth to such clients.
func BenchmarkKeptConnections(b *testing.B) {
	for _, maxIdle := range []int{64, 128, 256, 512} {
		b.Run(fmt.Sprint(maxIdle), func(b *testing.B) {
			w := startWaves(b, fmt.Sprintf("max_idle = %d", maxIdle))
			w.wave()
			before := w.opened.Load()
			for b.Loop() {
				w.wave()
			}
			b.ReportMetric(float64(w.opened.Load()-before)/float64(b.N), "connections/op")
		})
	}
}

// waves are clients of HTTP/2 in front of a backend that speaks HTTP/1.1.
type waves struct {
	t       testing.TB
	url     string
	clients [2]*http.Transport
	opened  atomic.Int64

	backends *upstream.Set // the gateway's
	arrived  chan struct{}
	answer   chan struct{}
}

func startWaves(t testing.TB, options string) *waves {
	t.Helper()
	w := &waves{t: t, arrived: make(chan struct{}, keptStreams), answer: make(chan struct{})}
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		w.arrived <- struct{}{}
		<-w.answer
	}))
	backend.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			w.opened.Add(1)
		}
	}
	backend.Start()
	t.Cleanup(backend.Close)
	gateway := assemble(t, "").(*assembly)
	w.backends = gateway.backends
	t.Cleanup(gateway.Close)
	apply(t, gateway, fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"
h2c = true
[backend.b]
targets = ["%s"]
%s
[api.x]
type = "rest"
[api.x.route."GET /"]
integration = { type = "http_proxy", url = "http://b/", backend = "b" }
[api.x.stage.prod]
[domain."127.0.0.1".map]
"/" = "x:prod"
`, backend.Listener.Addr(), options))
	w.url = "http://" + gateway.Addr("public") + "/"
	for i := range w.clients {
		w.clients[i] = &http.Transport{Protocols: new(http.Protocols)}
		w.clients[i].Protocols.SetUnencryptedHTTP2(true)
		t.Cleanup(w.clients[i].CloseIdleConnections)
	}
	return w
}

// wave sends keptStreams requests, which are all at the backend before the first
// one is answered.
func (w *waves) wave() {
	var all sync.WaitGroup
	for i := range keptStreams {
		all.Go(func() {
			request, err := http.NewRequest("GET", w.url, nil)
			if err != nil {
				w.t.Error(err)
				return
			}
			response, err := w.clients[i%len(w.clients)].RoundTrip(request)
			if err != nil {
				w.t.Error(err)
				return
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode != 200 {
				w.t.Errorf("status %d", response.StatusCode)
			}
		})
	}
	for range keptStreams {
		<-w.arrived
	}
	for range keptStreams {
		w.answer <- struct{}{}
	}
	all.Wait()
	// A reply is at its client a moment before its connection is back.
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		one := w.backends.Stats()[0].Targets[0]
		if one.Active == 0 && one.Idle == one.Open {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("not all connections come back: %+v", one)
		}
	}
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"

	"github.com/postern-gateway/postern/proxy/pausetest"
)

// network is a bad way to a backend: what goes over it passes toxiproxy's toxics.
type network struct {
	listener   net.Listener
	backend    string
	up, down   toxics.Toxic // towards the backend and back
	accepted   atomic.Int32
	work       sync.WaitGroup
	connection sync.Mutex // guards what follows
	open       []net.Conn
	stubs      []*toxics.ToxicStub
}

// disturb starts the network of c to backend.
func disturb(t testing.TB, backend string, c toxic) *network {
	t.Helper()
	up, down := toxics.Toxic(new(toxics.NoopToxic)), toxics.Toxic(new(toxics.NoopToxic))
	if c.up != nil {
		up = c.up()
	}
	if c.down != nil {
		down = c.down()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{listener: l, backend: backend, up: up, down: down}
	n.work.Go(n.serve)
	t.Cleanup(func() {
		l.Close()
		n.connection.Lock()
		for _, c := range n.open {
			c.Close()
		}
		for _, s := range n.stubs {
			s.InterruptToxic()
		}
		n.connection.Unlock()
		n.work.Wait()
	})
	return n
}

func (n *network) serve() {
	for {
		near, err := n.listener.Accept()
		if err != nil {
			return
		}
		n.accepted.Add(1)
		far, err := net.Dial("tcp", n.backend)
		if err != nil {
			near.Close()
			continue
		}
		n.connection.Lock()
		n.open = append(n.open, near, far)
		n.link(n.up, far.(*net.TCPConn), near.(*net.TCPConn))
		n.link(n.down, near.(*net.TCPConn), far.(*net.TCPConn))
		n.connection.Unlock()
	}
}

// link carries what comes from one side to the other, through a toxic.
func (n *network) link(toxic toxics.Toxic, to, from *net.TCPConn) {
	size := 0
	if b, ok := toxic.(toxics.BufferedToxic); ok {
		size = b.GetBufferSize()
	}
	in, out := make(chan *stream.StreamChunk, size), make(chan *stream.StreamChunk)
	stub := toxics.NewToxicStub(in, out)
	if s, ok := toxic.(toxics.StatefulToxic); ok {
		stub.State = s.NewState()
	}
	if _, ok := toxic.(*toxics.ResetToxic); ok {
		to.SetLinger(0)
		from.SetLinger(0)
	}
	n.work.Go(func() {
		io.Copy(stream.NewChanWriter(in), from)
		close(in)
	})
	n.stubs = append(n.stubs, stub)
	n.work.Go(func() {
		stub.Run(&toxics.ToxicWrapper{Toxic: toxic, Toxicity: 1})
		stub.Close()
		for range in { // what it doesn't want any more
		}
	})
	n.work.Go(func() {
		io.Copy(to, stream.NewChanReader(out))
		to.Close()
		for range out {
		}
	})
}

// toxicContent is what backends behind toxics answer with.
const toxicContent = 20_000

// toxicBackend starts a backend that speaks HTTP/1.1 and HTTP/2 and answers as
// the last part of the path says: length, chunks, or close for content that the
// end of the connection ends.
func toxicBackend(t testing.TB) (address string) {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content := strings.Repeat("x", toxicContent)
		io.Copy(io.Discard, r.Body)
		switch {
		case strings.HasSuffix(r.URL.Path, "/length"):
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		case strings.HasSuffix(r.URL.Path, "/close") && r.ProtoMajor == 1:
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"+content)
			return
		}
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		io.WriteString(w, content)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

// toxic is what a bad network does and what is expected of the gateway.
type toxic struct {
	name     string
	up, down func() toxics.Toxic
	path     string // the last part
	want     outcome
	h2       *outcome // for a backend that speaks HTTP/2; nil: the same
	once     bool     // what the first request left on its way disturbs a second one
}

// outcome is what becomes of one request, and of the connection that carried it.
type outcome struct {
	status    int
	fault     string
	truncated bool
	kept      bool // the next request goes over the same connection
}

func (o outcome) String() string {
	return fmt.Sprintf("status %d, fault %q, truncated %t, connection kept %t", o.status, o.fault, o.truncated, o.kept)
}

func toxicCases() []toxic {
	latency := func(ms int64) func() toxics.Toxic {
		return func() toxics.Toxic { return &toxics.LatencyToxic{Latency: ms} }
	}
	limit := func(bytes int64) func() toxics.Toxic {
		return func() toxics.Toxic { return &toxics.LimitDataToxic{Bytes: bytes} }
	}
	timeout := func(ms int64) func() toxics.Toxic {
		return func() toxics.Toxic { return &toxics.TimeoutToxic{Timeout: ms} }
	}
	bandwidth := func(rate int64) func() toxics.Toxic {
		return func() toxics.Toxic { return &toxics.BandwidthToxic{Rate: rate} }
	}
	reset := func() toxics.Toxic { return new(toxics.ResetToxic) }
	slicer := func() toxics.Toxic { return &toxics.SlicerToxic{AverageSize: 100, SizeVariation: 50, Delay: 10} }
	slowClose := func() toxics.Toxic { return &toxics.SlowCloseToxic{Delay: 60_000} }
	good := outcome{status: 200, kept: true}
	failed := outcome{status: 502, fault: "INTEGRATION_FAILURE"}
	late := outcome{status: 504, fault: "INTEGRATION_TIMEOUT"}
	cut := outcome{status: 200, fault: "INTEGRATION_FAILURE", truncated: true}
	silent := outcome{status: 200, fault: "INTEGRATION_TIMEOUT", truncated: true}
	// A connection that HTTP/2 is being agreed on isn't given up with the first
	// request that waits for it: the next one takes it.
	opening := late
	opening.kept = true
	return []toxic{
		{name: "latency", up: latency(20), down: latency(50), path: "chunks", want: good},
		{name: "latency beyond the limit", down: latency(6000), path: "length", want: late, h2: &opening},
		{name: "close that never comes", down: slowClose, path: "length", want: good},
		{name: "close that never comes and would be the end", down: slowClose, path: "close", want: silent, h2: &good},
		{name: "end within the head", down: limit(20), path: "length", want: failed},
		{name: "end within the content", down: limit(5000), path: "length", want: cut},
		{name: "end within a chunk", down: limit(5000), path: "chunks", want: cut},
		{name: "end within the request", up: limit(30), path: "length", want: failed},
		{name: "reset", down: reset, path: "length", want: failed},
		{name: "reset by the request", up: reset, path: "length", want: failed},
		{name: "black hole", down: timeout(0), path: "length", want: late, h2: &opening},
		{name: "black hole for the request", up: timeout(0), path: "length", want: late, h2: &opening},
		{name: "nothing and then the end", down: timeout(50), path: "length", want: failed},
		{name: "slices", up: slicer, down: slicer, path: "chunks", want: good},
		{name: "little bandwidth", down: bandwidth(60), path: "chunks", want: good},
		// 20 KB at 2 KB/s, with pauses of 100 ms: too long in all.
		{name: "too little bandwidth", down: bandwidth(2), path: "length", want: silent, once: true},
		{name: "too little bandwidth for chunks", down: bandwidth(2), path: "chunks", want: silent, once: true},
		{name: "too little bandwidth until the end", down: bandwidth(2), path: "close", want: silent, once: true},
	}
}

// Backends behind bad networks: what clients of each protocol get, what the log
// says, that nothing which was sent is sent again, and which connections are
// used again.
func TestToxics(t *testing.T) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxics tell of each connection
	pausetest.Run(t, 500*time.Millisecond, playToxics)
}

func playToxics(t testing.TB) {
	address := toxicBackend(t)
	var runs []toxicRun
	text := "[listen.public]\naddress = \"127.0.0.1:0\"\nh2c = true\n[api.hello]\ntype = \"rest\"\n[api.hello.stage.prod]\n"
	for _, c := range toxicCases() {
		for _, protocol := range []string{"http/1.1", "h2c"} {
			for _, front := range []string{"HTTP/1.0", "HTTP/1.1", "HTTP/2.0"} {
				one := toxicRun{toxic: c, id: fmt.Sprint("b", len(runs)), front: front, protocol: protocol, network: disturb(t, address, c)}
				if c.h2 != nil && protocol == "h2c" {
					one.want = *c.h2
				}
				runs = append(runs, one)
				text += fmt.Sprintf(`
[backend.%s]
protocol = "%s"
targets = ["%s"]
idle_timeout = "3s"
content_timeout = "7s"
eject.failures = 0
[api.hello.route."ANY /%[1]s/{rest+}"]
integration = { type = "http_proxy", url = "http://b/{rest}", backend = "%[1]s", timeout = "3s" }
`, one.id, protocol, one.network.listener.Addr())
			}
		}
	}
	r := startChild(t, write(t, text), nil)
	var all sync.WaitGroup
	paths := map[string]*toxicRun{} // what the log should tell of, once
	for i := range runs {
		one := &runs[i]
		for n := range one.times() {
			paths[one.target(n)] = one
		}
		all.Go(func() { one.play(t, r.addr) })
	}
	all.Wait()
	r.await("the last access record", func() bool { return strings.Count(r.stdout.String(), "\n") >= len(paths) })
	for text := range strings.Lines(r.stdout.String()) {
		type record struct {
			Path, Fault, Protocol string
			Status, Retries       int
			Truncated             bool
			ClientGone            bool `json:"client_gone"`
		}
		var got record
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		one := paths[got.Path]
		if one == nil {
			t.Errorf("a record too many: %s", text)
			continue
		}
		delete(paths, got.Path)
		want := record{Path: got.Path, Fault: one.want.fault, Protocol: one.front, Status: one.want.status, Truncated: one.want.truncated}
		if got != want {
			t.Errorf("%s: recorded %s, want %+v", one, text, want)
		}
	}
}

// toxicRun is one case with one protocol on each side.
type toxicRun struct {
	toxic
	id, front, protocol string
	network             *network
}

func (one *toxicRun) String() string {
	return fmt.Sprintf("%s, %s to %s", one.name, one.front, one.protocol)
}

// target returns the path and query of the nth request.
func (one *toxicRun) target(n int) string { return fmt.Sprintf("/prod/%s/%d/%s", one.id, n, one.path) }

// times returns how many requests are sent.
func (one *toxicRun) times() int {
	if one.once {
		return 1
	}
	return 2
}

// play sends POSTs, each of which may be sent once only, and judges what the
// client gets of them. The second one finds the connection that the first one left.
func (one *toxicRun) play(t testing.TB, addr string) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(one.front == "HTTP/1.1")
	transport.Protocols.SetUnencryptedHTTP2(one.front == "HTTP/2.0")
	defer transport.CloseIdleConnections()
	for n := range one.times() {
		if n > 0 {
			// Over HTTP/2 the client has the end of a reply before the gateway has
			// put the backend's connection back.
			time.Sleep(time.Second)
		}
		begin := time.Now()
		status, length, err := one.post(transport, addr, one.target(n))
		if err != nil && !one.want.truncated || err == nil && (one.want.truncated || status != one.want.status || status == 200 && length != toxicContent) {
			t.Errorf("%s: request %d got %d with %d bytes and %v, want %s", one, n+1, status, length, err, one.want)
		}
		if took := time.Since(begin); took > patience {
			t.Errorf("%s: request %d took %s", one, n+1, took)
		}
	}
	opened := one.network.accepted.Load()
	if kept := opened < 2; kept != one.want.kept && !one.once {
		t.Errorf("%s: %d connections for two requests, want them kept: %t", one, opened, one.want.kept)
	}
}

// post sends a POST by the protocol of the front. The error is that of the
// content, or of a reply that didn't come at all.
func (one *toxicRun) post(transport *http.Transport, addr, path string) (status, length int, err error) {
	var response *http.Response
	if one.front == "HTTP/1.0" { // which Go's client doesn't speak
		var c net.Conn
		if c, err = net.Dial("tcp", addr); err != nil {
			return 0, 0, err
		}
		defer c.Close()
		fmt.Fprintf(c, "POST %s HTTP/1.0\r\nHost: hello.localhost\r\nContent-Length: 4\r\n\r\nabcd", path)
		response, err = http.ReadResponse(bufio.NewReader(c), nil)
	} else {
		var request *http.Request
		if request, err = http.NewRequest("POST", "http://"+addr+path, strings.NewReader(strings.Repeat("y", 3000))); err != nil {
			return 0, 0, err
		}
		request.Host = "hello.localhost"
		response, err = transport.RoundTrip(request)
	}
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, len(content), err
}

package plugins

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/pausetest"
	"github.com/postern-gateway/postern/sdk/abi"
)

// needs is a module that imports something of each group, and allows everybody.
func needs(t testing.TB, groups ...string) string {
	t.Helper()
	imports := map[string]string{"kv": "postern_v1_kv.delete:ii:i", "http": "postern_v1_http.wait:i:i", "metric": "postern_v1_metric.set:iI:i", "crypto": "postern_v1_crypto.equal:iiii:i"}
	var list []string
	for _, g := range groups {
		list = append(list, imports[g])
	}
	return wasmFile(t, list, map[string]int32{abi.ExportVersion: abi.Version, abi.ExportAuthorize: abi.Allow})
}

// A group that isn't granted is refused with the line that grants it; a grant of
// what isn't imported is a warning.
func TestGrants(t *testing.T) {
	h := newHost(t, Options{})
	f := func(groups []string, options string, want ...string) {
		t.Helper()
		g, findings := h.Begin(context.Background(), parse(t, pluginTOML(needs(t, groups...), options)))
		defer g.Discard()
		var got []string
		for _, f := range findings {
			got = append(got, f.Severity+" "+f.Key+": "+f.Text+" / "+f.Hint)
		}
		if len(got) != len(want) {
			t.Fatalf("%v, %q: got %q", groups, options, got)
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("got %q, want %q", got[i], want[i])
			}
		}
	}
	const kv, http, metric = "kv = {}", `http = { allow = ["https://api.example.com"] }`, "metrics = true"
	f([]string{"crypto"}, "")
	f([]string{"kv"}, "", `error plugin.p.module: the module imports from what isn't granted: kv / if it may, add to [plugin.p]: kv = { size = "1MiB" }`)
	f([]string{"http"}, kv, `isn't granted: http / if it may, add to [plugin.p]: http = { allow = ["https://api.example.com"] }`)
	f([]string{"metric"}, "metrics = false", "isn't granted: metric / if it may, add to [plugin.p]: metrics = true")
	f([]string{"metric", "kv"}, "", `isn't granted: metric, kv / if it may, add to [plugin.p]: metrics = true; kv = { size = "1MiB" }`)
	f([]string{"kv", "http", "metric"}, kv+"\n"+http+"\n"+metric)
	f(nil, kv+"\n"+http+"\n"+metric, "warning plugin.p.kv: the module imports nothing that this grants", "warning plugin.p.http: ", "warning plugin.p.metrics: ")
	f([]string{"http"}, `http = { allow = ["https://api.example.com", "http://127.0.0.1"] }`,
		"error plugin.p.http.allow[1]: 127.0.0.1 is a private address / add private = true")
	f([]string{"http"}, `http = { allow = ["https://api.example.com"], methods = ["CONNECT"] }`, "error plugin.p.http.methods[0]: ")
	if n := len(h.modules) + len(h.plugins) + len(h.spaces); n != 0 {
		t.Errorf("%d things are left of what was refused", n)
	}
}

func withKV(module, name, rest string) string {
	return fmt.Sprintf("[plugin.%s]\nmodule = %q\n[plugin.%s.kv]\n%s\n", name, module, name, rest)
}

// Plugins share a namespace by its name; it lives as long as one of them, over
// reloads, and its size follows the configuration.
func TestNamespaces(t *testing.T) {
	h := newHost(t, Options{})
	const head = "[listen.public]\naddress = \"127.0.0.1:0\"\n"
	module := needs(t, "kv")
	a := head + withKV(module, "a", `namespace = "shared"`+"\nsize = \"32KiB\"")
	g := begin(t, h, a+withKV(module, "b", `namespace = "shared"`+"\nsize = \"32KiB\"")+withKV(module, "c", ""))
	space := func(name string) *space { return g.plugins[name].grants.space }
	if space("a") != space("b") || space("a") == space("c") {
		t.Error("a and b should share, c should not")
	}
	if err := space("a").Set("k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(h.Namespaces()); got != "[{c 0 0 1048576 0} {shared 1 258 32768 0}]" {
		t.Errorf("namespaces are %s", got)
	}

	bad, findings := h.Begin(context.Background(), parse(t, a+withKV(module, "b", `namespace = "shared"`)))
	if len(findings) != 1 || findings[0].Key != "plugin.b.kv" || !strings.Contains(findings[0].Text, `plugin "a" shares the namespace "shared"`) {
		t.Errorf("sizes that differ: %s", findings.Text())
	}
	bad.Discard()

	larger := strings.Replace(a, "32KiB", "64KiB", 1)
	given, findings := h.Begin(context.Background(), parse(t, larger))
	if len(findings) > 0 {
		t.Fatal(findings.Text())
	}
	given.Discard()
	if got := h.Namespaces()[1].Size; got != 32<<10 {
		t.Errorf("a configuration that was given up made it %d", got)
	}
	g = begin(t, h, larger)
	if got := fmt.Sprint(h.Namespaces()); got != "[{shared 1 258 65536 0}]" {
		t.Errorf("after the reload there are %s", got)
	}
	begin(t, h, head)
	if got := h.Namespaces(); len(got) != 0 {
		t.Errorf("nobody refers to %v", got)
	}
}

func TestKVFunctions(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	h := newHost(t, Options{Clock: func() time.Time { return now }})
	c := callerOf(t, begin(t, h, pluginTOML(needs(t, "kv"), "kv = { size = \"1MiB\" }")))
	m := kvFunctions()
	forever, second := int64(0), int64(time.Second)
	c.want(m, abi.NotFound, "get", "a", buffer(9))
	c.want(m, 0, "set", "a", "one", second)
	c.want(m, "one", "get", "a", buffer(9))
	c.want(m, 3, "get", "a", buffer(2)) // too small: nothing written
	now = now.Add(time.Second)
	c.want(m, abi.NotFound, "get", "a", buffer(9))
	c.want(m, 1, "cas", "a", "", "one", forever)
	c.want(m, 0, "cas", "a", "", "two", forever)
	c.want(m, 0, "cas", "a", "x", "two", forever)
	c.want(m, 1, "cas", "a", "one", "two", forever)
	c.want(m, "two", "get", "a", buffer(9))
	c.want(m, 0, "delete", "a")
	c.want(m, 0, "delete", "a")
	c.want(m, 5, "add", "n", int64(5), forever)
	c.want(m, 0, "add", "n", int64(-9), forever)
	c.want(m, abi.NotFound, "get", "n", buffer(9)) // a counter is no value
	c.want(m, abi.BadArgument, "cas", "n", "", "x", forever)
	c.want(m, 0, "set", "v", "x", forever)
	c.want(m, abi.BadArgument, "add", "v", int64(1), forever)
	c.want(m, 0, "add", "max", int64(0), forever)
	c.want(m, abi.BadArgument, "set", "", "x", forever)
	c.want(m, abi.BadArgument, "set", strings.Repeat("k", 513), "x", forever)
	c.want(m, abi.BadArgument, "set", "a", "x", int64(-1))
	c.want(m, abi.BadArgument, "add", "a", int64(1), int64(-1))
	c.want(m, abi.BadArgument, "cas", "a", "", "x", int64(-1))
	c.want(m, 1<<62, "add", "big", int64(1<<62), forever)
	c.want(m, abi.Limit, "add", "big", int64(1<<62), forever)
	if n, _ := c.call(m, "set", "a", strings.Repeat("x", 60_000), forever); n != 0 {
		t.Errorf("a large value: %d", n)
	}
	c.begin(abi.Start) // it may be used at the start, too
	c.want(m, 60_000, "get", "a", buffer(10))

	// A space of 16 KiB has no room for that.
	small := callerOf(t, begin(t, newHost(t, Options{}), pluginTOML(needs(t, "kv"), "kv = { size = \"16KiB\" }")))
	small.want(m, abi.Limit, "set", "a", strings.Repeat("x", 1000), forever)
	small.want(m, abi.Limit, "cas", "a", "", strings.Repeat("x", 1000), forever)

	// Copying is work, and that is bounded.
	c.begin(abi.Integrate)
	text := strings.Repeat("x", 60_000)
	for i := 0; ; i++ {
		if n, _ := c.call(m, "set", "a", text, forever); n == abi.Limit {
			break
		}
		if i > 10_000 {
			t.Fatal("a call may copy without end")
		}
	}
}

func TestMetricFunctions(t *testing.T) {
	h := newHost(t, Options{})
	text := pluginTOML(needs(t, "metric"), "metrics = true")
	c := callerOf(t, begin(t, h, text))
	m := metricFunctions()
	for _, f := range m.functions {
		if want := map[bool]abi.Phase{true: abi.Start, false: abi.Always}[f.name == "define"]; f.phases != want {
			t.Errorf("%s is for phases %b", f.name, f.phases)
		}
	}
	c.begin(abi.Start)
	c.want(m, 1, "define", abi.Counter, "calls")
	c.want(m, 2, "define", abi.Gauge, "level")
	c.want(m, 3, "define", abi.Histogram, "took")
	c.want(m, 2, "define", abi.Gauge, "level")
	for _, name := range []string{"", "9lives", "a-b", "a b", "ä", "x_total", "x_bucket", "x_sum", "x_count", strings.Repeat("x", 65), "a\n"} {
		c.want(m, abi.BadArgument, "define", abi.Gauge, name)
	}
	c.want(m, abi.BadArgument, "define", abi.Counter, "level") // it is a gauge
	c.want(m, abi.BadArgument, "define", 0, "x")
	c.want(m, abi.BadArgument, "define", 4, "x")
	c.begin(abi.Integrate)
	c.want(m, 0, "add", 1, int64(2))
	c.want(m, 0, "add", 2, int64(-5))
	c.want(m, abi.BadArgument, "add", 1, int64(-1)) // a counter
	c.want(m, abi.BadArgument, "add", 3, int64(1))
	c.want(m, abi.BadArgument, "add", 0, int64(1))
	c.want(m, abi.BadArgument, "add", 4, int64(1))
	c.want(m, abi.BadArgument, "set", 1, int64(1))
	c.want(m, 0, "set", 2, int64(40))
	c.want(m, 0, "add", 2, int64(2))
	c.want(m, abi.BadArgument, "observe", 2, int64(1))
	for _, value := range []int64{-1, 0, 1, 2, 3, 5_000_000, 10_000_000, 10_000_001} {
		c.want(m, 0, "observe", 3, value)
	}
	all := stats(t, h).Metrics
	if len(all) != 3 || all[0].Name != "calls" || all[0].Value != 2 || all[1].Value != 42 {
		t.Fatalf("metrics are %+v", all)
	}
	took := all[2]
	if took.Count != 8 || took.Sum != 25_000_006 || len(took.Buckets) != 22 {
		t.Errorf("the histogram is %+v", took)
	}
	for _, b := range took.Buckets {
		if want := map[int64]uint64{1: 3, 2: 4, 5: 5, 10: 5, 5_000_000: 6, 10_000_000: 7}[b.Bound]; want != 0 && b.Count != want {
			t.Errorf("%d values up to %d, want %d", b.Count, b.Bound, want)
		}
	}

	// A reload keeps the values of what the next version defines, too, and drops the rest.
	next, findings := h.Begin(context.Background(), parse(t, text+"rate = 1000\n"))
	if len(findings) > 0 {
		t.Fatal(findings.Text())
	}
	d := callerOf(t, next)
	d.begin(abi.Start)
	d.want(m, 1, "define", abi.Gauge, "took") // it was a histogram
	d.want(m, 2, "define", abi.Counter, "calls")
	c.want(m, 0, "add", 1, int64(1)) // the old version still runs
	d.want(m, 0, "add", 2, int64(1))
	if got := stats(t, h).Metrics; len(got) != 3 || got[0].Value != 4 || got[2].Kind != Gauge {
		t.Errorf("two versions have %+v", got)
	}
	next.Commit()
	if got := stats(t, h).Metrics; len(got) != 2 || got[0].Value != 4 {
		t.Errorf("the new version has %+v", got)
	}
	for i := 2; i < maxMetrics; i++ {
		d.want(m, i+1, "define", abi.Counter, fmt.Sprint("m", i))
	}
	d.want(m, abi.Limit, "define", abi.Counter, "one_more")
}

// When the last version is gone, so are its metrics.
func TestMetricsEnd(t *testing.T) {
	h := newHost(t, Options{})
	g := begin(t, h, pluginTOML(needs(t, "metric"), "metrics = true"))
	for i := range 3 {
		if n := g.plugins["p"].grants.metrics.define(Counter, fmt.Sprint("m", i)); n != int32(i+1) {
			t.Fatal(n)
		}
	}
	begin(t, h, "[listen.public]\naddress = \"127.0.0.1:0\"\n")
	if got := stats(t, h).Metrics; len(got) != 0 {
		t.Errorf("there are %+v", got)
	}
}

// echo is a server that answers with what it got.
func echo(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			select {
			case <-r.Context().Done():
			case <-time.After(300 * time.Millisecond):
			}
		case "/never":
			<-r.Context().Done()
		}
		w.Header().Set("X-Said", r.Header.Get("X-Say"))
		w.WriteHeader(200)
		fmt.Fprint(w, r.Method, " ", r.RequestURI)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func httpGrant(url, rest string) string {
	if !strings.Contains(rest, "timeout =") {
		rest += `, timeout = "1m"`
	}
	return fmt.Sprintf("http = { allow = [%q], private = true %s }", url, rest)
}

func TestHTTPFunctions(t *testing.T) {
	url := echo(t)
	h := newHost(t, Options{})
	c := callerOf(t, begin(t, h, pluginTOML(needs(t, "http"), httpGrant(url, `, max_calls = 4, max_bytes = 100`))))
	m := httpFunctions()
	const none = int64(0)
	c.want(m, abi.BadArgument, "wait", 1) // before anything was sent
	c.want(m, 1, "send", "GET", url+"/a?b", "X-Say: hi\n", "", none)
	c.want(m, 2, "send", "POST", url+"/c", "", "content", none)
	c.want(m, 0, "wait", 1)
	c.want(m, 200, "status", 2)
	c.want(m, "hi", "header", 1, "x-said", buffer(9))
	c.want(m, abi.NotFound, "header", 1, "x-none", buffer(9))
	c.want(m, "GET ", "read", 1, buffer(4))
	c.want(m, "/a?b", "read", 1, buffer(9))
	c.want(m, 0, "read", 1, buffer(9))
	c.want(m, 0, "read", 2, buffer(0))
	c.want(m, "POST /c", "read", 2, buffer(9))
	var names []string
	for i := 0; ; i++ {
		n, _ := c.call(m, "header_entry", 1, i, buffer(64), buffer(64))
		if n < 0 {
			if n != abi.NotFound {
				t.Errorf("after the last entry: %d", n)
			}
			break
		}
		b, _ := c.in.memory.Read(1024, uint32(n>>32))
		names = append(names, string(b))
	}
	if !slices.Contains(names, "X-Said") || !slices.IsSorted(names) {
		t.Errorf("the headers are %v", names)
	}
	c.want(m, abi.BadArgument, "header_entry", 9, 0, buffer(64), buffer(64))
	c.want(m, abi.BadArgument, "read", 0, buffer(9))
	c.want(m, abi.BadArgument, "status", -1)

	// None of these counts as a request.
	c.want(m, abi.Denied, "send", "GET", "http://127.0.0.1:1/", "", "", none)
	c.want(m, abi.Denied, "send", "DELETE", url, "", "", none)
	c.want(m, abi.Denied, "send", "GET", url, "Host: x\n", "", none)
	c.want(m, abi.BadArgument, "send", "GET", "nonsense", "", "", none)
	c.want(m, abi.BadArgument, "send", "GET", url, "nonsense\n", "", none)
	c.want(m, abi.BadArgument, "send", "GET", url, "", "", int64(-1))
	c.want(m, abi.Limit, "send", "POST", url, "", strings.Repeat("x", 101), none)

	c.want(m, 3, "send", "GET", url+"/never", "", "", int64(20*time.Millisecond))
	c.want(m, abi.Deadline, "wait", 3)
	c.want(m, abi.Deadline, "read", 3, buffer(9))
	c.want(m, 4, "send", "GET", url+"/"+strings.Repeat("x", 100), "", "", none)
	c.want(m, 200, "status", 4)
	c.want(m, abi.Limit, "read", 4, buffer(200))
	c.want(m, abi.Limit, "send", "GET", url, "", "", none)
	for _, f := range m.functions {
		if f.phases != abi.Calls {
			t.Errorf("%s is for phases %b", f.name, f.phases)
		}
	}
	c.begin(abi.Integrate) // another call has nothing of this
	c.want(m, abi.BadArgument, "status", 1)

	closed := "http://127.0.0.1:1"
	d := callerOf(t, begin(t, newHost(t, Options{}), pluginTOML(needs(t, "http"), httpGrant(closed, ""))))
	d.want(m, 1, "send", "GET", closed, "", "", none)
	d.want(m, abi.Unavailable, "wait", 1)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	local := "http://localhost:" + port
	e := callerOf(t, begin(t, newHost(t, Options{}), pluginTOML(needs(t, "http"), fmt.Sprintf("http = { allow = [%q], timeout = \"1m\" }", local))))
	e.want(m, 1, "send", "GET", local, "", "", none)
	e.want(m, abi.Denied, "wait", 1) // a name for loopback
}

// asks is an authorizer that sends a GET to url and allows if the answer's status
// is 200; with loop it sends them without end.
func asks(t testing.TB, url string, loop bool) string {
	t.Helper()
	i32 := func(n int32) []byte { return append([]byte{0x41}, sleb(n)...) }
	send := slices.Concat(i32(4096), i32(3), i32(4100), i32(int32(len(url))), i32(0), i32(0), i32(0), i32(0), []byte{0x42, 0}, []byte{0x10, 0})
	// status(1) - 199
	code := slices.Concat(send, []byte{0x1a}, i32(1), []byte{0x10, 1}, i32(199), []byte{0x6b, 0x0b})
	if loop {
		code = slices.Concat([]byte{0x03, 0x40}, send, []byte{0x1a, 0x0c, 0, 0x0b, 0x00, 0x0b}) // loop … br 0 end unreachable end
	}
	data := append([]byte("GET "), url...)
	section := slices.Concat([]byte{1, 0, 0x41, 0x80, 0x20, 0x0b}, leb(len(data)), data)
	return handMade(t, []string{"postern_v1_http.send:iiiiiiiiI:i", "postern_v1_http.status:i:i"},
		map[string][]byte{abi.ExportVersion: append(i32(abi.Version), 0x0b), abi.ExportAuthorize: code},
		slices.Concat([]byte{11}, leb(len(section)), section))
}

// The time that a guest waits for others isn't its own; http.timeout bounds it.
func TestWaiting(t *testing.T) {
	pausetest.Run(t, 50*time.Millisecond, func(t testing.TB) {
		url := echo(t)
		f := func(path, options string, calls int) (*proxy.Exchange, *Host, error) {
			t.Helper()
			h := newHost(t, Options{})
			r := authorizerRig(t, begin(t, h, pluginTOML(asks(t, url+path, false), options, `timeout = "100ms"`)))
			var ex *proxy.Exchange
			var err error
			for range calls {
				ex, err = r.authorize("x")
			}
			return ex, h, err
		}
		ex, h, err := f("/slow", httpGrant(url, ""), 2)
		if err != nil {
			t.Errorf("300 ms of waiting, 100 ms for the guest: %v", err)
		}
		cost := stats(t, h).Costs
		if len(cost) != 1 {
			t.Fatalf("costs are %+v", cost)
		}
		c := cost[0]
		if c.API != "pets" || c.Calls != 2 || c.Failures != 0 || c.Requests != 2 || c.Rejected != 0 || c.HostCalls != 4 || c.Sent != 0 || c.Received != 2*int64(len("GET /slow")) ||
			c.Waiting < 600*time.Millisecond || c.Waiting > 5*time.Second || c.Processor <= 0 || c.Processor > 100*time.Millisecond {
			t.Errorf("the cost is %+v", c)
		}
		if n := ex.Notes; n.PluginRequests != 1 || n.PluginWaiting < 300*time.Millisecond || n.PluginTime <= 0 || n.PluginTime > 50*time.Millisecond {
			t.Errorf("the notes are %+v", n)
		}

		began := time.Now()
		_, h, err = f("/never", httpGrant(url, `, timeout = "100ms"`), 1)
		wantFault(t, err, proxy.AuthorizerFailure) // the guest returned what isn't a decision
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		if c := stats(t, h).Costs[0]; c.Failures != 1 || c.Rejected != 1 {
			t.Errorf("the cost is %+v", c)
		}
	})
}

// An integration's timeout bounds the waiting, too.
func TestWaitingWithinIntegration(t *testing.T) {
	pausetest.Run(t, 100*time.Millisecond, func(t testing.TB) {
		url := echo(t)
		h := newHost(t, Options{})
		c := callerOf(t, begin(t, h, pluginTOML(needs(t, "http"), httpGrant(url, ""))))
		m := httpFunctions()
		c.in.latest = h.now() + int64(80*time.Millisecond)
		c.in.deadline = c.in.latest
		began := time.Now()
		c.want(m, 1, "send", "GET", url+"/never", "", "", int64(0))
		c.want(m, abi.Deadline, "wait", 1)
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		if left := c.in.left(); left > 0 {
			t.Errorf("%v are left", left)
		}
	})
}

// When the client leaves, the requests are broken off.
func TestClientLeaves(t *testing.T) {
	var arrived, left atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived.Add(1)
		<-r.Context().Done()
		left.Add(1)
	}))
	c := callerOf(t, begin(t, newHost(t, Options{}), pluginTOML(needs(t, "http"), httpGrant(server.URL, ""))))
	m := httpFunctions()
	ctx, cancel := context.WithCancel(context.Background())
	c.in.caller = ctx
	c.want(m, 1, "send", "GET", server.URL, "", "", int64(0))
	go func() {
		for arrived.Load() < 1 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	c.want(m, abi.Unavailable, "wait", 1)

	c.begin(abi.Integrate)
	c.in.ex.Begin(c.in.ex.Start, leaving{func() bool { return arrived.Load() == 2 }})
	c.want(m, 1, "send", "GET", server.URL, "", "", int64(0))
	c.want(m, abi.Unavailable, "wait", 1)
	server.Close() // waits for its requests
	if left.Load() != 2 {
		t.Errorf("%d requests were broken off", left.Load())
	}
}

// A flood of requests is bounded in number, and ends with the call.
func TestFloodOfRequests(t *testing.T) {
	pausetest.Run(t, 50*time.Millisecond, func(t testing.TB) {
		var got atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got.Add(1)
			<-r.Context().Done()
		}))
		defer server.Close()
		h := newHost(t, Options{})
		r := authorizerRig(t, begin(t, h, pluginTOML(asks(t, server.URL, true), httpGrant(server.URL, `, max_calls = 5`), `timeout = "100ms"`)))
		began := time.Now()
		_, err := r.authorize("x")
		wantFault(t, err, proxy.AuthorizerFailure)
		if !errors.Is(err, errDeadline) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		if c := stats(t, h).Costs[0]; got.Load() > 5 || c.Requests != 5 || c.Rejected != 0 || c.Failures != 1 {
			t.Errorf("%d requests, %+v", got.Load(), c)
		}
	})
}

// No more calls in a second than the plugin's rate.
func TestRate(t *testing.T) {
	h := newHost(t, Options{})
	r := authorizerRig(t, begin(t, h, pluginTOML(readsHeader(t), "rate = 5")))
	refused := 0
	began := time.Now()
	for range 20 {
		if _, err := r.authorize("x"); err != nil {
			wantFault(t, err, proxy.Overloaded)
			refused++
		}
	}
	allowed := 5 + int(time.Since(began)/(200*time.Millisecond))
	if 20-refused > allowed || refused > 15 {
		t.Errorf("%d of 20 were refused", refused)
	}
	if s := stats(t, h); s.Busy != uint64(refused) || s.Calls != uint64(20-refused) {
		t.Errorf("the figures are %+v", s)
	}
	p := pace{rate: 2}
	for i, x := range []struct {
		now time.Duration
		ok  bool
	}{{0, true}, {0, true}, {0, false}, {499 * time.Millisecond, false}, {500 * time.Millisecond, true}, {500 * time.Millisecond, false}, {9 * time.Second, true}, {9 * time.Second, true}, {9 * time.Second, false}} {
		if got := p.admit(int64(time.Hour + x.now)); got != x.ok {
			t.Errorf("call %d at %v: %v", i, x.now, got)
		}
	}
}

// Every API has its own account, over reloads.
func TestAccounts(t *testing.T) {
	h := newHost(t, Options{})
	text := pluginTOML(guest(t, "native"))
	r := authorizerRig(t, begin(t, h, text))
	for _, token := range []string{"allow", "deny", "trap"} {
		_, _ = r.authorize(token)
	}
	other := newRig(t)
	api := *other.route.Stage.API
	api.Name = "cars"
	other.route.Stage = &proxy.Stage{API: &api, Name: "prod"}
	g := begin(t, h, text+"rate = 1000\n")
	steps, err := g.newAuthorizer(other.build(), proxy.Options{Plugin: "p"})
	if err != nil {
		t.Fatal(err)
	}
	other.steps = steps
	if _, err := other.authorize("allow"); err != nil {
		t.Fatal(err)
	}
	got := stats(t, h).Costs
	if len(got) != 2 || got[0].API != "cars" || got[0].Calls != 1 || got[1].API != "pets" || got[1].Calls != 3 || got[1].Failures != 1 || got[1].HostCalls < 3 {
		t.Errorf("the costs are %+v", got)
	}
}

// leaving is a client that leaves at some time.
type leaving struct{ gone func() bool }

func (leaving) Inform(int, http1.Fields) error { return nil }

func (c leaving) Gone() bool { return c.gone() }

// Guests of other ABIs can't use what only native ones can import.
func TestGrantsOfOtherABIs(t *testing.T) {
	h := newHost(t, Options{})
	g, findings := h.Begin(context.Background(), parse(t, pluginTOML(guest(t, "command"), "kv = {}")))
	defer g.Discard()
	if len(findings) != 1 || findings[0].Severity != "warning" || findings[0].Key != "plugin.p.kv" {
		t.Errorf("got %s", findings.Text())
	}
}

// A guest that calls the host without end is stopped like one that computes.
func TestFloodOfHostCalls(t *testing.T) {
	i32 := func(n int32) []byte { return append([]byte{0x41}, sleb(n)...) }
	loop := slices.Concat([]byte{0x03, 0x40}, i32(4096), i32(3), i32(8192), i32(50_000), []byte{0x42, 0, 0x10, 0, 0x1a}, i32(0), i32(3), []byte{0x42, 1, 0x42, 0, 0x10, 1, 0x1a, 0x0c, 0, 0x0b, 0x00, 0x0b})
	module := handMade(t, []string{"postern_v1_kv.set:iiiiI:i", "postern_v1_kv.add:iiII:I"},
		map[string][]byte{abi.ExportVersion: append(i32(abi.Version), 0x0b), abi.ExportAuthorize: loop})
	h := newHost(t, Options{})
	r := authorizerRig(t, begin(t, h, pluginTOML(module, "kv = {}", `timeout = "100ms"`)))
	for range 3 {
		began := time.Now()
		_, err := r.authorize("x")
		wantFault(t, err, proxy.AuthorizerFailure)
		if took := time.Since(began); !errors.Is(err, errDeadline) || took > 30*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	}
	if c := stats(t, h).Costs[0]; c.HostCalls < 100 || c.Processor < 250*time.Millisecond {
		t.Errorf("the cost is %+v", c)
	}
}

// BenchmarkTogether is calls of one plugin on all processors: what they share is
// written to by all.
func BenchmarkTogether(b *testing.B) {
	r := authorizerRig(b, begin(b, newHost(b, Options{}), pluginTOML(readsHeader(b))))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ex := r.exchange("Authorization", "allow")
		step, fields, in := r.steps[proxy.MethodRequest], ex.In.Fields, ex.In
		for pb.Next() {
			ex.Begin(ex.Start, nil)
			ex.Route, ex.In = r.route, in
			ex.In.Fields = fields
			if _, err := step.Run(context.Background(), ex); err != nil {
				b.Error(err)
			}
		}
	})
}

package observe

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exchange returns a finished exchange like those that the server records.
func exchange() *proxy.Exchange {
	ex := new(proxy.Exchange)
	ex.Begin(time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC), nil)
	ex.ID = "5b2d7a55-7d4c-4b7e-9d6e-8f9f5a3b1c2d"
	ex.Route = &proxy.Route{Key: "GET /pets/{id}"}
	ex.In.Method, ex.In.Path, ex.In.RawQuery, ex.In.HasQuery = "GET", "/prod/pets/7", "token=geheim", true
	ex.In.Proto, ex.In.Host = "HTTP/1.1", "pets.localhost"
	ex.In.Client = netip.MustParseAddrPort("[::ffff:192.0.2.7]:4711")
	ex.In.Fields.Add("User-Agent", "curl/8.5.0")
	ex.Reply.Status = 200
	ex.Times = proxy.Times{Authorizer: 120 * time.Microsecond, Integration: 3210 * time.Microsecond, Total: 3456789}
	ex.Notes = proxy.Notes{BackendStatus: 200, BytesIn: 12, BytesOut: 3400}
	return ex
}

func newObserver(t testing.TB, o Options) *Observer {
	t.Helper()
	ob, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ob.Close() })
	return ob
}

// lines reads a log file as JSON objects.
func lines(t *testing.T, path string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range strings.Lines(string(text)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		all = append(all, m)
	}
	return all
}

func TestAccessLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	ob := newObserver(t, Options{Log: config.Log{Access: path}})
	ex := exchange()
	ob.Stage("pets", "prod").Record(ex)

	ex.Fault = &proxy.Fault{Kind: proxy.IntegrationFailure, Cause: errors.New("dial tcp: refused\nsecond line")}
	ex.Reply.Status = 502
	ex.Times.Authorizer = 0
	ex.Notes = proxy.Notes{Retries: 1, Target: "10.0.0.1:80", Plugin: "guard", PluginRole: "authorize", PluginFailure: "trap", PluginTime: 1500 * time.Microsecond, PluginWaiting: 2 * time.Second, PluginRequests: 3, Truncated: true, ClientGone: true}
	ob.Stage("pets", "dev").Record(ex)

	ex.Route = nil
	ex.Fault = &proxy.Fault{Kind: proxy.UnknownAPI}
	ob.Unmatched().Record(ex)
	if err := ob.Close(); err != nil {
		t.Fatal(err)
	}

	got := lines(t, path)
	if len(got) != 3 {
		t.Fatalf("%d lines, want 3: %v", len(got), got)
	}
	check := func(line int, want map[string]any) {
		t.Helper()
		for key, value := range want {
			if got[line][key] != value {
				t.Errorf("line %d: %s = %v, want %v", line, key, got[line][key], value)
			}
			delete(got[line], key)
		}
		for key, value := range got[line] {
			t.Errorf("line %d: unexpected %s = %v", line, key, value)
		}
	}
	common := func(more map[string]any) map[string]any {
		m := map[string]any{
			"time": "2026-03-04T05:06:07.089Z", "request_id": "5b2d7a55-7d4c-4b7e-9d6e-8f9f5a3b1c2d",
			"method": "GET", "path": "/prod/pets/7", "protocol": "HTTP/1.1", "host": "pets.localhost",
			"latency_ms": 3.456, "client_address": "192.0.2.7", "client_port": 4711.0, "user_agent": "curl/8.5.0",
			"integration_latency_ms": 3.21,
		}
		for key, value := range more {
			m[key] = value
		}
		return m
	}
	check(0, common(map[string]any{
		"api": "pets", "stage": "prod", "route": "GET /pets/{id}", "status": 200.0, "bytes_in": 12.0, "bytes_out": 3400.0,
		"authorizer_latency_ms": 0.12, "integration_status": 200.0,
	}))
	failed := map[string]any{
		"status": 502.0, "bytes_in": 0.0, "bytes_out": 0.0, "retries": 1.0, "target": "10.0.0.1:80", "plugin": "guard", "plugin_role": "authorize", "plugin_failure": "trap", "plugin_ms": 1.5, "plugin_wait_ms": 2000.0, "plugin_requests": 3.0,
		"truncated": true, "client_gone": true,
	}
	failed["fault"] = "UNKNOWN_API"
	check(2, common(failed))
	failed["fault"], failed["error"] = "INTEGRATION_FAILURE", "dial tcp: refused\nsecond line"
	failed["api"], failed["stage"], failed["route"] = "pets", "dev", "GET /pets/{id}"
	check(1, common(failed))
}

// What a client sends can't start a line of its own or steer a terminal.
func TestAccessLineInjection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	ob := newObserver(t, Options{Log: config.Log{Access: path}})
	ex := exchange()
	ex.In.Path = "/a\r\n{\"forged\":true}\x1b[2J\x00\x7f"
	ex.In.Host = "h\u009b31m\"}"
	ex.In.Fields[0].Value = strings.Repeat("é\xff", longest)
	ob.Stage("pets", "prod").Record(ex)
	if err := ob.Close(); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(path)
	for i, c := range strings.TrimSuffix(string(text), "\n") {
		if c < ' ' || c >= 0x7f && c <= 0x9f {
			t.Fatalf("control character %U at %d: %q", c, i, text)
		}
	}
	got := lines(t, path)
	if len(got) != 1 || got[0]["path"] != "/a\r\n{\"forged\":true}\x1b[2J\x00\ufffd" || got[0]["host"] != "h\ufffd31m\"}" {
		t.Errorf("got %v", got)
	}
	if n := len(text); n > 4*longest {
		t.Errorf("the line has %d bytes", n)
	}
}

func TestOff(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	ob := newObserver(t, Options{Log: config.Log{Access: Off}})
	stage := ob.Stage("pets", "prod")
	stage.Record(exchange())
	if err := ob.Configure(config.Log{Access: path}); err != nil {
		t.Fatal(err)
	}
	stage.Record(exchange())
	if err := ob.Configure(config.Log{Access: filepath.Join(dir, "missing", "x")}); err == nil {
		t.Error("a file in a missing folder was accepted")
	}
	stage.Record(exchange())
	if err := ob.Configure(config.Log{Access: Off}); err != nil {
		t.Fatal(err)
	}
	stage.Record(exchange())
	if got := len(lines(t, path)); got != 2 {
		t.Errorf("%d lines, want the 2 while it was on", got)
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	ob := newObserver(t, Options{Log: config.Log{Access: path}})
	stage := ob.Stage("pets", "prod")
	stage.Record(exchange())
	if err := ob.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := ob.Reopen(); err != nil {
		t.Fatal(err)
	}
	stage.Record(exchange())
	stage.Record(exchange())
	if err := ob.Flush(); err != nil {
		t.Fatal(err)
	}
	if before, after := len(lines(t, path+".1")), len(lines(t, path)); before != 1 || after != 2 {
		t.Errorf("%d lines in the old file and %d in the new, want 1 and 2", before, after)
	}
}

// counted is a logger that remembers its messages.
func counted() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.InfoLevel)
	return zap.New(core), logs
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// A full disk costs lines and one warning, nothing else.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	logger, logs := counted()
	registry := prometheus.NewRegistry()
	ob := newObserver(t, Options{Log: config.Log{Access: "/dev/full"}, Logger: logger, Registry: registry})
	stage := ob.Stage("pets", "prod")
	for range 10 {
		for range 100 {
			stage.Record(exchange())
		}
		if err := ob.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "a warning", func() bool { return logs.Len() > 0 })
	if got := ob.Dropped(); got != 1000 {
		t.Errorf("dropped %d, want 1000", got)
	}
	if got := logs.Len(); got != 1 {
		t.Errorf("%d warnings, want 1: %v", got, logs.All())
	}
	want := "# HELP postern_access_log_dropped_lines_total Lines of access and execution logs that were lost because their destination is full, broken or too slow.\n" +
		"# TYPE postern_access_log_dropped_lines_total counter\npostern_access_log_dropped_lines_total 1000\n"
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "postern_access_log_dropped_lines_total"); err != nil {
		t.Error(err)
	}
}

// A pipe that nobody reads costs lines, and no request waits for it.
func TestBlockedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	logger, logs := counted()
	ob := newObserver(t, Options{Log: config.Log{Access: "stdout"}, Stdout: w, Logger: logger, Buffer: 64 << 10})
	stage := ob.Stage("pets", "prod")
	const records = 2000
	begin := time.Now()
	for range records {
		stage.Record(exchange())
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("%d records took %v", records, took)
	}
	waitFor(t, "a warning", func() bool { return logs.Len() > 0 })
	if ob.Dropped() == 0 {
		t.Error("nothing was dropped")
	}

	// Once somebody reads, lines flow again, whole.
	var got int
	read := make(chan struct{})
	go func() {
		defer close(read)
		scan := bufio.NewScanner(r)
		for scan.Scan() {
			if !json.Valid(scan.Bytes()) {
				t.Errorf("not a line: %q", scan.Text())
			}
			got++
		}
	}()
	if err := ob.Flush(); err != nil {
		t.Fatal(err)
	}
	stage.Record(exchange())
	if err := ob.Close(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	<-read
	if want := records + 1 - int(ob.Dropped()); got != want {
		t.Errorf("read %d lines, want the %d that weren't dropped", got, want)
	}
	if logs.Len() != 1 {
		t.Errorf("%d warnings, want 1", logs.Len())
	}
}

// Close gives a blocked pipe up and leaves nothing running.
func TestCloseBlocked(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	ob := newObserver(t, Options{Log: config.Log{Access: "stdout"}, Stdout: w})
	for range 500 {
		ob.Stage("pets", "prod").Record(exchange())
	}
	begin := time.Now()
	if err := ob.Close(); err == nil {
		t.Error("Close reports nothing")
	}
	if took := time.Since(begin); took > closePatience+30*time.Second {
		t.Errorf("Close took %v", took)
	}
}

// tearing takes some bytes of each write and fails, until told otherwise.
type tearing struct {
	mu     sync.Mutex
	broken bool
	text   []byte
}

func (w *tearing) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		w.broken = false
		w.text = append(w.text, b[:len(b)/2]...)
		return len(b) / 2, io.ErrShortWrite
	}
	w.text = append(w.text, b...)
	return len(b), nil
}

// After a write that ended inside a line the next one starts a line.
func TestTornLine(t *testing.T) {
	w := &tearing{broken: true}
	s, err := NewSink(SinkOptions{Target: "stdout", Stdout: w})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"one is torn\n", "two\n"} {
		_, _ = s.Write([]byte(line))
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := string(w.text), "one is\ntwo\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if s.Dropped() != 1 {
		t.Errorf("dropped %d, want 1", s.Dropped())
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	ob := newObserver(t, Options{Log: config.Log{Access: Off}, Registry: registry})
	ex := exchange()
	prod := ob.Stage("pets", "prod")
	prod.Record(ex)
	ex.Reply.Status = 404
	prod.Record(ex)
	ex.Fault = &proxy.Fault{Kind: proxy.IntegrationTimeout}
	ex.Reply.Status, ex.Notes.Truncated, ex.Notes.ClientGone, ex.Notes.Retries = 504, true, true, 2
	ex.Times.Integration = 0
	prod.Record(ex)
	prod.Record(ex)
	ex.Fault = &proxy.Fault{Kind: proxy.Forbidden}
	ob.Unmatched().Record(ex)

	value := func(want float64, family string, labels ...string) {
		t.Helper()
		if got := gathered(t, registry, family, labels...); got != want {
			t.Errorf("%s %v: got %v, want %v", family, labels, got, want)
		}
	}
	value(4, "postern_requests_total", "pets", "prod")
	value(1, "postern_4xx_total", "pets", "prod")
	value(2, "postern_5xx_total", "pets", "prod")
	value(48, "postern_request_bytes_total", "pets", "prod")
	value(4*3400, "postern_reply_bytes_total", "pets", "prod")
	value(2, "postern_truncated_replies_total", "pets", "prod")
	value(2, "postern_client_gone_total", "pets", "prod")
	value(4, "postern_integration_retries_total", "pets", "prod")
	value(2, "postern_faults_total", "pets", "prod", "INTEGRATION_TIMEOUT")
	value(1, "postern_unmatched_requests_total", "FORBIDDEN")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, f := range families {
		if h := f.GetMetric()[0].GetHistogram(); h != nil {
			counts[f.GetName()] = h.GetSampleCount()
		}
	}
	// An exchange without a backend's answer says nothing about the backend.
	if counts["postern_latency_seconds"] != 4 || counts["postern_integration_latency_seconds"] != 2 {
		t.Errorf("observations: %v", counts)
	}
}

// A stage that a reload keeps counts on; one that it drops is no more exposed.
// gathered returns the value of the counter with these label values.
func gathered(t *testing.T, registry *prometheus.Registry, family string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var got []string
			for _, l := range m.GetLabel() {
				got = append(got, l.GetValue())
			}
			if f.GetName() == family && slices.Equal(got, labels) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

// What is counted by hand is what Prometheus's own histogram would say.
func TestHistogram(t *testing.T) {
	registry := prometheus.NewRegistry()
	ob := newObserver(t, Options{Log: config.Log{Access: Off}, Registry: registry})
	var upper []float64
	for _, b := range bounds {
		upper = append(upper, b.Seconds())
	}
	plain := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "plain", Buckets: upper})
	registry.MustRegister(plain)
	ex, stage := exchange(), ob.Stage("pets", "prod")
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 5000 {
		ex.Times.Total = time.Duration(random.ExpFloat64() * float64(time.Second))
		if i < len(bounds) {
			ex.Times.Total = bounds[i] // a bound belongs to its own bucket
		}
		ex.Shard = uint8(i)
		stage.Record(ex)
		plain.Observe(ex.Times.Total.Seconds())
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, f := range families {
		if h := f.GetMetric()[0].GetHistogram(); h != nil {
			texts[f.GetName()] = fmt.Sprint(h.GetSampleCount(), math.Round(h.GetSampleSum()*1e6))
			for _, b := range h.GetBucket() {
				texts[f.GetName()] += fmt.Sprint(" ", b.GetUpperBound(), ":", b.GetCumulativeCount())
			}
		}
	}
	if got, want := texts["postern_latency_seconds"], texts["plain"]; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestKeep(t *testing.T) {
	registry := prometheus.NewRegistry()
	ob := newObserver(t, Options{Log: config.Log{Access: Off}, Registry: registry})
	prod, dev := ob.Stage("pets", "prod"), ob.Stage("pets", "dev")
	ex := exchange()
	ex.Fault = &proxy.Fault{Kind: proxy.Throttled}
	prod.Record(ex)
	dev.Record(ex)
	ob.Keep(&config.Config{API: map[string]config.API{"pets": {Stage: map[string]config.Stage{"prod": {}}}}})
	dev.Record(ex)
	if ob.Stage("pets", "prod") != prod {
		t.Error("a kept stage got another recorder")
	}
	ob.Stage("pets", "prod").Record(ex)
	want := `# HELP postern_requests_total Requests that reached a stage. AWS: Count.
# TYPE postern_requests_total counter
postern_requests_total{api="pets",stage="prod"} 2
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "postern_requests_total"); err != nil {
		t.Error(err)
	}
	families, _ := registry.Gather()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == "dev" {
					t.Errorf("%s still has the dropped stage", f.GetName())
				}
			}
		}
	}
}

// Records, reopening, reconfiguration and scrapes at the same time.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	registry := prometheus.NewRegistry()
	ob := newObserver(t, Options{Log: config.Log{Access: filepath.Join(dir, "a")}, Registry: registry})
	var writers, changers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		writers.Go(func() {
			for range 2000 {
				ex := exchange()
				ex.Fault = &proxy.Fault{Kind: proxy.Throttled}
				ob.Stage("pets", "prod").Record(ex)
				ob.Unmatched().Record(ex)
			}
		})
	}
	changers.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			for _, err := range []error{
				ob.Reopen(), ob.Flush(), ob.Configure(config.Log{Access: filepath.Join(dir, []string{"a", "b"}[i%2])}),
			} {
				if err != nil {
					t.Error(err)
				}
			}
			if _, err := registry.Gather(); err != nil {
				t.Error(err)
			}
		}
	})
	writers.Wait()
	close(stop)
	changers.Wait()
	if err := ob.Close(); err != nil {
		t.Fatal(err)
	}
	got := len(lines(t, filepath.Join(dir, "a"))) + int(ob.Dropped())
	if b := filepath.Join(dir, "b"); fileExists(b) {
		got += len(lines(t, b))
	}
	if got != 16000 {
		t.Errorf("%d lines written or counted as dropped, want 16000", got)
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func BenchmarkRecord(b *testing.B) {
	for _, access := range []string{"stdout", Off} {
		b.Run("access="+access, func(b *testing.B) {
			ob := newObserver(b, Options{Log: config.Log{Access: access}, Stdout: io.Discard})
			stage, ex := ob.Stage("pets", "prod"), exchange()
			b.ReportAllocs()
			for b.Loop() {
				stage.Record(ex)
			}
			if n := ob.Dropped(); n > 0 {
				b.Logf("dropped %d", n)
			}
		})
	}
}

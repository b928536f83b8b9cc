package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newServer(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.Status == nil {
		o.Status = NewStatus(nil)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// ask gets path from wherever s listens.
func ask(t *testing.T, s *Server, method, path, host string) (*http.Response, string) {
	t.Helper()
	addr := s.Addr()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, addr.Network(), addr.String())
		},
	}}
	req, err := http.NewRequest(method, "http://"+host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestPaths(t *testing.T) {
	status := NewStatus(nil)
	s := newServer(t, Options{
		Status:      status,
		Config:      func() ([]byte, error) { return []byte(`{"listen":{}}`), nil },
		Connections: func() Connections { return Connections{Open: 7, InFlight: 3} },
		Plugins: func() []Plugin {
			return []Plugin{
				{
					Name: "guard", Calls: 5, Traps: 2, Deadlines: 1, Busy: 8, Queued: 1.25, Refused: 6, Unhealthy: true, Instances: 4, Memory: 1 << 20,
					Costs: []PluginCost{
						{"pets", 3, 1, 0.5, 0.25, 30, 4, 2, 1000, 2000},
						{API: "cars", Calls: 2},
					},
					Metrics: []PluginMetric{
						{Name: "seen", Kind: Counter, Value: 7},
						{Name: "size", Kind: Gauge, Value: -3},
						{Name: "took", Kind: Histogram, Value: 25, Count: 3, Buckets: map[float64]uint64{10: 2, 20: 3}},
					},
				},
				{Name: "other", Metrics: []PluginMetric{
					{Name: "seen", Kind: Counter, Value: 1}, {Name: "size", Kind: Histogram}, {Name: "took", Kind: Gauge, Value: 99},
				}},
			}
		},
		Namespaces: func() []Namespace { return []Namespace{{"shared", 3, 1000, 2000, 9}} },
		Backends: func() []Backend {
			return []Backend{
				{Name: "pets", Active: 3, Waiting: 2, Full: true, Refused: 7, Retries: 4, Spared: 1, Targets: []Target{
					{Address: "10.0.0.1:80", Healthy: true, Open: 5, Idle: 2, Active: 3, Requests: 90, Failures: 6},
					{Address: "10.0.0.2:80", Ejected: true, Ejections: 2},
				}},
				{Name: "http://a:80"},
			}
		},
		Issuers: func() []Issuer {
			return []Issuer{{Name: "https://login.example.com", Keys: 2, Age: 90.5, Usable: true, Fetches: 7, Failures: 3, Unknown: 4}, {Name: "https://down.example.com"}}
		},
	})
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	get := func(method, path string, status int, parts ...string) {
		t.Helper()
		resp, text := ask(t, s, method, path, "localhost")
		if resp.StatusCode != status {
			t.Errorf("%s %s: status %d, want %d", method, path, resp.StatusCode, status)
		}
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%s %s: %q isn't in %s", method, path, part, text)
			}
		}
	}
	get("GET", "/health/live", 200, `"live": true`)
	get("GET", "/health/ready", 503, `"ready": false`, "no configuration is loaded yet")
	get("GET", "/config", 200, `{"listen":{}}`)
	get("GET", "/debug/pprof/", 200, "goroutine")
	get("GET", "/debug/pprof/goroutine?debug=1", 200, "goroutine profile")
	get("GET", "/metrics", 200, "postern_connections 7", "postern_requests_in_flight 3", "go_goroutines",
		`postern_plugin_calls_total{plugin="guard"} 5`, `postern_plugin_traps_total{plugin="guard"} 2`,
		`postern_plugin_deadlines_total{plugin="guard"} 1`, `postern_plugin_instances{plugin="guard"} 4`,
		`postern_plugin_busy_total{plugin="guard"} 8`, `postern_plugin_queue_seconds_total{plugin="guard"} 1.25`,
		`postern_plugin_api_calls_total{api="pets",plugin="guard"} 3`, `postern_plugin_api_calls_total{api="cars",plugin="guard"} 2`,
		`postern_plugin_api_failures_total{api="pets",plugin="guard"} 1`,
		`postern_plugin_api_cpu_seconds_total{api="pets",plugin="guard"} 0.5`, `postern_plugin_api_wait_seconds_total{api="pets",plugin="guard"} 0.25`,
		`postern_plugin_api_host_calls_total{api="pets",plugin="guard"} 30`, `postern_plugin_api_requests_total{api="pets",plugin="guard"} 4`,
		`postern_plugin_api_request_failures_total{api="pets",plugin="guard"} 2`,
		`postern_plugin_api_sent_bytes_total{api="pets",plugin="guard"} 1000`, `postern_plugin_api_received_bytes_total{api="pets",plugin="guard"} 2000`,
		`postern_plugin_metric_seen_total{plugin="guard"} 7`, `postern_plugin_metric_seen_total{plugin="other"} 1`,
		`postern_plugin_metric_size{plugin="guard"} -3`, `postern_plugin_metric_took_bucket{plugin="guard",le="10"} 2`,
		`postern_plugin_metric_took_bucket{plugin="guard",le="+Inf"} 3`, `postern_plugin_metric_took_sum{plugin="guard"} 25`, `postern_plugin_metric_took_count{plugin="guard"} 3`,
		`postern_plugin_kv_entries{namespace="shared"} 3`, `postern_plugin_kv_bytes{namespace="shared"} 1000`,
		`postern_plugin_kv_size_bytes{namespace="shared"} 2000`, `postern_plugin_kv_evictions_total{namespace="shared"} 9`,
		`postern_plugin_refused_total{plugin="guard"} 6`, `postern_plugin_healthy{plugin="guard"} 0`,
		`postern_backend_requests_in_flight{backend="pets"} 3`, `postern_backend_requests_waiting{backend="pets"} 2`,
		`postern_backend_circuit_open{backend="pets"} 1`, `postern_backend_circuit_open{backend="http://a:80"} 0`,
		`postern_backend_requests_refused_total{backend="pets"} 7`, `postern_backend_retries_total{backend="pets"} 4`,
		`postern_backend_retries_spared_total{backend="pets"} 1`,
		`postern_target_healthy{backend="pets",target="10.0.0.1:80"} 1`, `postern_target_healthy{backend="pets",target="10.0.0.2:80"} 0`,
		`postern_target_ejected{backend="pets",target="10.0.0.2:80"} 1`, `postern_target_ejections_total{backend="pets",target="10.0.0.2:80"} 2`,
		`postern_target_connections{backend="pets",target="10.0.0.1:80"} 5`, `postern_target_idle_connections{backend="pets",target="10.0.0.1:80"} 2`,
		`postern_target_requests_in_flight{backend="pets",target="10.0.0.1:80"} 3`,
		`postern_target_requests_total{backend="pets",target="10.0.0.1:80"} 90`, `postern_target_failures_total{backend="pets",target="10.0.0.1:80"} 6`,
		`postern_issuer_keys{issuer="https://login.example.com"} 2`, `postern_issuer_keys_age_seconds{issuer="https://login.example.com"} 90.5`,
		`postern_issuer_keys_usable{issuer="https://login.example.com"} 1`, `postern_issuer_keys_usable{issuer="https://down.example.com"} 0`,
		`postern_issuer_fetches_total{issuer="https://login.example.com"} 7`, `postern_issuer_fetch_failures_total{issuer="https://login.example.com"} 3`,
		`postern_issuer_unknown_keys_total{issuer="https://login.example.com"} 4`,
		`postern_plugin_memory_bytes{plugin="guard"} 1.048576e+06`, "postern_ready 0")
	get("GET", "/", 404, "/health/ready", "/metrics", "/config", "/debug/pprof/")
	get("GET", "/healthz", 404, "/health/live")
	get("POST", "/metrics", 405, "only GET")
	get("POST", "/other", 404)
}

// A page in a browser can have its own name resolve to loopback.
func TestForeignHost(t *testing.T) {
	s := newServer(t, Options{Config: func() ([]byte, error) { return []byte("geheim"), nil }})
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"attacker.example": 421, "127.0.0.1.attacker.example": 421, "127.0.0.1": 200, "[::1]:99": 200, "LOCALHOST:1": 200,
	} {
		resp, text := ask(t, s, "GET", "/config", host)
		if resp.StatusCode != want || want != 200 && strings.Contains(text, "geheim") {
			t.Errorf("%s: %d %s, want %d", host, resp.StatusCode, text, want)
		}
	}
}

// A page can't have the machine that shows it profile the gateway; somebody who types
// the address can.
func TestForeignPage(t *testing.T) {
	s := newServer(t, Options{})
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	for site, want := range map[string]int{"cross-site": 403, "same-site": 403, "same-origin": 200, "none": 200, "": 200} {
		req, err := http.NewRequest("GET", "http://"+s.Addr().String()+"/debug/pprof/cmdline", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Site", site)
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%q: %d, want %d", site, resp.StatusCode, want)
		}
	}
}

func TestReadiness(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	status := NewStatus(func() time.Time { return at })
	registry := prometheus.NewRegistry()
	s := newServer(t, Options{Status: status, Registry: registry})
	if err := s.Listen("unix:" + filepath.Join(t.TempDir(), "admin.sock")); err != nil {
		t.Fatal(err)
	}
	check := func(wantStatus int, want readiness) {
		t.Helper()
		resp, text := ask(t, s, "GET", "/health/ready", "any.example")
		var got readiness
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if resp.StatusCode != wantStatus || string(a) != string(b) {
			t.Errorf("got %d %s\nwant %d %s", resp.StatusCode, a, wantStatus, b)
		}
	}
	metrics := func(lines ...string) {
		t.Helper()
		var want strings.Builder
		for _, line := range lines {
			want.WriteString(line + "\n")
		}
		_, text := ask(t, s, "GET", "/metrics", "any")
		for _, line := range lines {
			if !slices.Contains(strings.Split(text, "\n"), line) {
				t.Errorf("no line %q in the metrics", line)
			}
		}
	}
	metrics("postern_config_last_reload_successful 0", "postern_ready 0")
	status.Loaded("/etc/postern.toml", "sha256:1")
	good := readiness{Ready: true, Checks: checks{
		Configuration: configurationCheck{OK: true, File: "/etc/postern.toml", Loaded: &at, Digest: "sha256:1"},
		Reload:        reloadCheck{OK: true}, Drain: drainCheck{OK: true},
	}}
	check(200, good)
	metrics("postern_config_last_reload_successful 1", "postern_ready 1",
		`postern_config_reloads_total{result="success"} 0`, `postern_config_reloads_total{result="failure"} 0`,
		"postern_config_last_reload_success_timestamp_seconds 1.767323045e+09")

	// A failed reload is told, but the last good configuration serves.
	status.ReloadFailed([]string{"postern.toml:1:1: error: x"})
	broken := good
	broken.Checks.Reload = reloadCheck{Failed: &at, Reasons: []string{"postern.toml:1:1: error: x"}}
	check(200, broken)
	metrics("postern_config_last_reload_successful 0", "postern_ready 1", `postern_config_reloads_total{result="failure"} 1`)

	status.Loaded("/etc/postern.toml", "sha256:1")
	check(200, good)
	metrics("postern_config_last_reload_successful 1", `postern_config_reloads_total{result="success"} 1`)

	status.Draining()
	stopping := good
	stopping.Ready = false
	stopping.Checks.Drain = drainCheck{Reason: "the gateway is stopping", Since: &at}
	check(503, stopping)
	metrics("postern_ready 0")
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "admin.sock")
	first, second := newServer(t, Options{}), newServer(t, Options{})
	if err := first.Listen("unix:" + path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v, want mode 0600", info, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("more than the socket is there: %v", entries)
	}

	// One that answers stays.
	if err := second.Listen("unix:" + path); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
	if resp, _ := ask(t, first, "GET", "/health/live", "x"); resp.StatusCode != 200 {
		t.Errorf("the first one answers %d", resp.StatusCode)
	}
	first.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}

	// One that nobody answers at, as after kill -9, is replaced.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	if err := second.Listen("unix:" + path); err != nil {
		t.Fatal(err)
	}
	if resp, _ := ask(t, second, "GET", "/health/live", "x"); resp.StatusCode != 200 {
		t.Errorf("the second one answers %d", resp.StatusCode)
	}

	// Somebody else's socket in its place isn't removed.
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	second.Close()
	if text, _ := os.ReadFile(path); string(text) != "precious" {
		t.Error("a foreign file was removed")
	}
	if err := first.Listen("unix:" + path); err == nil {
		t.Error("a plain file was taken for a socket")
	}
	if err := first.Listen("unix:/tmp/" + strings.Repeat("x", 120)); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("got %v for a path that is too long", err)
	}
}

func TestAddresses(t *testing.T) {
	s := newServer(t, Options{})
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:80", "[::]:0", "localhost", "example.com:0", "nonsense"} {
		if err := s.Listen(address); err == nil {
			t.Errorf("%s was accepted", address)
		}
	}
	if s.Addr() != nil || s.Address() != Off {
		t.Errorf("it listens at %v", s.Addr())
	}
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	// A bad address leaves the one before it.
	before := s.Addr().String()
	if err := s.Listen("0.0.0.0:0"); err == nil || s.Addr().String() != before {
		t.Errorf("got %v at %v", err, s.Addr())
	}
	if resp, _ := ask(t, s, "GET", "/health/live", "localhost"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	if err := s.Listen(Off); err != nil || s.Addr() != nil {
		t.Errorf("off: %v, %v", err, s.Addr())
	}
}

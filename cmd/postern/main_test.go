package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asGateway makes the test binary behave as the gateway's.
const asGateway = "POSTERN_TEST_AS_GATEWAY"

func TestMain(m *testing.M) {
	if os.Getenv(asGateway) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// output is a stream that can be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// mock is an API whose GET /v answers version.
func mock(version string) string {
	return fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"

[api.hello]
type = "rest"
[api.hello.route."GET /v"]
integration = { type = "mock" }
[api.hello.route."GET /v".response.default]
template."text/plain" = "%s"
[api.hello.stage.prod]
`, version)
}

// write puts a configuration, with its own folder for state, into a new folder.
func write(t testing.TB, text string) (file string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "postern.toml")
	rewrite(t, file, text)
	return file
}

func rewrite(t testing.TB, file, text string) {
	t.Helper()
	if err := writeConfig(file, text); err != nil {
		t.Fatal(err)
	}
}

func writeConfig(file, text string) error {
	text = fmt.Sprintf("data_dir = %q\n%s", filepath.Join(filepath.Dir(file), "state"), text)
	return os.WriteFile(file, []byte(text), 0o600)
}

// running is a gateway under test: in this process, or in one of its own.
type running struct {
	t              testing.TB
	file           string
	stdout, stderr output
	stop           func()   // as SIGTERM does
	code           chan int // its exit code
	child          *os.Process
	addr           string
}

// start runs the gateway in this process and waits until it listens.
func start(t *testing.T, file string, args ...string) *running {
	t.Helper()
	r := &running{t: t, file: file, code: make(chan int, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() {
		r.code <- run(ctx, append([]string{"run", "-c", file}, args...), &r.stdout, &r.stderr)
	}()
	t.Cleanup(func() {
		cancel()
		code := <-r.code
		r.code <- code
	})
	r.listening()
	return r
}

// startChild runs the gateway in a process of its own and waits until it
// listens. stdout is where its output goes; nil keeps it.
func startChild(t testing.TB, file string, stdout io.Writer, args ...string) *running {
	t.Helper()
	r := &running{t: t, file: file, code: make(chan int, 1)}
	if stdout == nil {
		stdout = &r.stdout
	}
	cmd := exec.Command(os.Args[0], append([]string{"run", "-c", file}, args...)...)
	cmd.Env = append(os.Environ(), asGateway+"=1")
	cmd.Stdout, cmd.Stderr = stdout, &r.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.child = cmd.Process
	go func() {
		_ = cmd.Wait() // the code says it all
		r.code <- cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = r.child.Kill() // it has ended, unless the test failed
		code := <-r.code
		r.code <- code
	})
	r.listening()
	return r
}

// listening waits for the line that says where the public listener is.
func (r *running) listening() {
	r.t.Helper()
	r.await("the listener", func() bool {
		for _, line := range r.log() {
			if line["message"] == "listening" {
				r.addr, _ = line["address"].(string)
			}
		}
		select {
		case code := <-r.code:
			r.code <- code
			r.t.Fatalf("ended with %d: %s", code, r.stderr.String())
		default:
		}
		return r.addr != ""
	})
}

// log returns the operator log.
func (r *running) log() (lines []map[string]any) {
	for line := range strings.Lines(r.stderr.String()) {
		var m map[string]any
		if json.Unmarshal([]byte(line), &m) == nil {
			lines = append(lines, m)
		}
	}
	return lines
}

// patience is how long is waited for anything: machines that others use too may pause
// for seconds.
const patience = time.Minute

// await waits until done is true.
func (r *running) await(what string, done func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("waited in vain for %s; log:\n%s", what, r.stderr.String())
		}
	}
}

// ended waits for the exit code.
func (r *running) ended() int {
	r.t.Helper()
	select {
	case code := <-r.code:
		r.code <- code
		return code
	case <-time.After(patience):
		r.t.Fatalf("it doesn't end; log:\n%s", r.stderr.String())
		return -1
	}
}

// fetch gets a URL over a connection of its own to addr.
func fetch(network, addr, host, path string) (status int, text string, err error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}}
	resp, err := client.Get("http://" + host + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

// get asks the API hello in the stage prod.
func (r *running) get(path string) (status int, text string) {
	r.t.Helper()
	status, text, err := fetch("tcp", r.addr, "hello.localhost", "/prod"+path)
	if err != nil {
		r.t.Fatalf("%s: %v; log:\n%s", path, err, r.stderr.String())
	}
	return status, text
}

// admin asks the admin socket.
func (r *running) admin(path string) (status int, text string) {
	r.t.Helper()
	status, text, err := fetch("unix", filepath.Join(filepath.Dir(r.file), "state", "admin.sock"), "localhost", path)
	if err != nil {
		r.t.Fatalf("admin %s: %v", path, err)
	}
	return status, text
}

func TestCommands(t *testing.T) {
	good := write(t, mock("1"))
	bad := write(t, mock("1")+"\nlistne = 1\n[plugin.x]\nmodule = \"missing.wasm\"\n")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := write(t, strings.Replace(mock("1"), "127.0.0.1:0", taken.Addr().String(), 1))
	empty := t.TempDir()
	t.Chdir(empty)

	f := func(want int, outPart, errPart string, args ...string) (stdout string) {
		t.Helper()
		var out, errs bytes.Buffer
		if got := run(t.Context(), args, &out, &errs); got != want {
			t.Errorf("%q: exit code %d, want %d\n%s", args, got, want, errs.String())
		}
		if !strings.Contains(out.String(), outPart) {
			t.Errorf("%q: stdout lacks %q: %s", args, outPart, out.String())
		}
		if !strings.Contains(errs.String(), errPart) || errPart == "" && errs.Len() > 0 {
			t.Errorf("%q: stderr should have %q: %s", args, errPart, errs.String())
		}
		return out.String()
	}
	f(exitOK, "validate", "")
	f(exitOK, "SIGTERM", "", "run", "--help")
	f(exitOK, "postern ", "", "version")
	f(exitOK, "__start_postern", "", "completion", "bash")
	f(exitUsage, "", `unknown command "rnu"`, "rnu")
	f(exitUsage, "", "unknown flag", "run", "--fast")
	f(exitUsage, "", "unknown command", "run", "postern.toml")
	f(exitUsage, "", "given twice", "validate", "-c", good, good)
	f(exitUsage, "", "text or json", "validate", good, "--format", "yaml")
	f(exitUsage, "", "accepts at most 1", "validate", good, good)

	f(exitOK, "is valid", "", "validate", good)
	f(exitOK, "is valid", "", "check", "-c", good)
	f(exitInvalid, "", "listne", "validate", bad)
	f(exitInvalid, "", "missing.wasm", "validate", bad)
	f(exitInvalid, "", "can't read", "validate", "-c", "nowhere.toml")
	f(exitInvalid, "", "name one with -c FILE", "validate")
	f(exitInvalid, "", "name one with -c FILE", "run")
	f(exitInvalid, "", "listne", "run", "-c", bad)
	f(exitFailed, "", "address already in use", "run", "-c", busy)

	var findings []map[string]any
	text := f(exitInvalid, "", "", "validate", "--format", "json", bad)
	if err := json.Unmarshal([]byte(text), &findings); err != nil || len(findings) < 2 || findings[0]["line"] == 0.0 {
		t.Errorf("findings: %v %s", err, text)
	}
	text = f(exitOK, "", "", "validate", "--format", "json", good)
	if err := json.Unmarshal([]byte(text), &findings); err != nil || len(findings) != 0 {
		t.Errorf("findings: %v %s", err, text)
	}
	var b build
	if err := json.Unmarshal([]byte(f(exitOK, "", "", "version", "--json")), &b); err != nil ||
		!strings.HasPrefix(b.Go, "go1") || b.Dependencies["github.com/tetratelabs/wazero"] == "" {
		t.Errorf("version: %v %+v", err, b)
	}
	var schema map[string]any
	if err := json.Unmarshal([]byte(f(exitOK, "", "", "schema")), &schema); err != nil || schema["properties"] == nil {
		t.Errorf("schema: %v", err)
	}

	// ./postern.toml is the default.
	if err := os.Link(good, "postern.toml"); err != nil {
		t.Fatal(err)
	}
	f(exitOK, "is valid", "", "validate")
	f(exitOK, "is valid", "", "check")
}

// All findings are told, those of the modules too, and nothing listens.
func TestRefusedAtStart(t *testing.T) {
	file := write(t, mock("1")+`
[plugin.broken]
module = "broken.wasm"
[listen.secure]
address = "127.0.0.1:0"
tls.certificates = [{ cert = "broken.wasm", key = "broken.wasm" }]
`)
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "broken.wasm"), []byte("\x00asm but no more"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"run", "validate"} {
		var out, errs bytes.Buffer
		if got := run(t.Context(), []string{command, "-c", file}, &out, &errs); got != exitInvalid {
			t.Errorf("%s: exit code %d, want %d", command, got, exitInvalid)
		}
		for _, part := range []string{"plugin.broken", "listen.secure.tls.certificates", "postern.toml:"} {
			if !strings.Contains(errs.String(), part) {
				t.Errorf("%s: no %q in %s", command, part, errs.String())
			}
		}
		if strings.Contains(errs.String(), "listening") {
			t.Errorf("%s: it listened: %s", command, errs.String())
		}
	}
}

// What only the plugins' host and the kinds can judge is found together with
// what the file's reader finds, and nothing is told twice.
func TestFindingsOfAllLayers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "postern.toml")
	text := `[listen.public]
address = "127.0.0.1:0"
data = 1
[api.a]
type = "rest"
[api.a.route."GET /x"]
integraton = { type = "mock" }
[api.a.route."GET /y"]
integration = { type = "mock" }
response.default.template."application/json" = '#if('
[api.a.route."GET /z"]
integration = { type = "http", url = "http://127.0.0.1:1/" }
[api.a.stage.s]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"validate", file}, {"run", "-c", file}} {
		var stdout, stderr bytes.Buffer
		if code := run(context.Background(), args, &stdout, &stderr); code != exitInvalid {
			t.Errorf("%s: exit %d, want %d", args[0], code, exitInvalid)
		}
		var got []string
		for line := range strings.Lines(stderr.String()) {
			if place, _, found := strings.Cut(strings.TrimPrefix(line, file+":"), ": error:"); found {
				got = append(got, place)
			}
		}
		if want := []string{"3:1", "7:1", "10:48", "11:1"}; !slices.Equal(got, want) {
			t.Errorf("%s: findings at %v, want %v\n%s", args[0], got, want, stderr.String())
		}
	}
}

func TestServe(t *testing.T) {
	r := start(t, write(t, mock("one")))
	if status, text := r.get("/v"); status != 200 || text != "one" {
		t.Errorf("got %d %q", status, text)
	}
	if status, _ := r.get("/nothing"); status != 403 {
		t.Errorf("got %d, want 403", status)
	}
	if status, text := r.admin("/health/ready"); status != 200 || !strings.Contains(text, `"digest": "sha256:`) {
		t.Errorf("ready: %d %s", status, text)
	}
	if status, text := r.admin("/config"); status != 200 || !json.Valid([]byte(text)) || !strings.Contains(text, "hello") {
		t.Errorf("config: %d %s", status, text)
	}
	_, text := r.admin("/metrics")
	for _, line := range []string{
		`postern_requests_total{api="hello",stage="prod"} `, `postern_latency_seconds_count{api="hello",stage="prod"} `,
		"postern_ready 1", "postern_connections ", "postern_access_log_dropped_lines_total 0", "postern_operator_log_dropped_lines_total 0",
		"go_goroutines ",
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("no %q in the metrics", line)
		}
	}
	if want := "http://hello.localhost:" + r.addr[strings.LastIndexByte(r.addr, ':')+1:] + "/prod/"; !strings.Contains(r.stderr.String(), want) {
		t.Errorf("%s isn't announced: %s", want, r.stderr.String())
	}
	r.stop()
	if code := r.ended(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Lstat(filepath.Join(filepath.Dir(r.file), "state", "admin.sock")); !os.IsNotExist(err) {
		t.Errorf("the admin socket is left behind: %v", err)
	}
	// Records are made once the reply is sent: in any order between connections.
	for line := range strings.Lines(r.stdout.String()) {
		var access map[string]any
		if err := json.Unmarshal([]byte(line), &access); err != nil {
			t.Errorf("access log: %v %q", err, line)
		}
		if access["route"] == "GET /v" && access["api"] == "hello" && access["status"] == 200.0 {
			return
		}
	}
	t.Errorf("no line of GET /v in the access log: %q", r.stdout.String())
}

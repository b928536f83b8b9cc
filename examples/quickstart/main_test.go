package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
)

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

// free returns an address that nobody else uses until the test ends.
func free(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", pebbletest.FreePort(t))
}

// prepare builds the gateway and copies the example, with ports of its own.
func prepare(t *testing.T) (q *quickstart, stdout, stderr *output) {
	t.Helper()
	stdout, stderr = new(output), new(output)
	dir := t.TempDir()
	public := free(t)
	q = &quickstart{
		gateway: filepath.Join(dir, "postern"), folder: dir, backend: free(t),
		port: public[strings.LastIndexByte(public, ':')+1:], stdout: stdout, stderr: stderr,
	}
	for _, name := range []string{"postern.toml", "greeter.wasm", "guard.wasm"} {
		content, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			t.Skipf("%v; `make examples` builds it", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if name == "postern.toml" {
			content = []byte(strings.NewReplacer("127.0.0.1:8080", public, "127.0.0.1:9080", q.backend,
				"../../build/quickstart", "state", "[plugin.guard]\n", "[plugin.guard]\ntimeout = \"1m\"\n").Replace(string(content)))
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := exec.Command("go", "build", "-o", q.gateway, "../../cmd/postern").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return q, stdout, stderr
}

// Every request that is printed does what is said of it, and the end is clean.
func TestTries(t *testing.T) {
	q, stdout, stderr := prepare(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- q.run(ctx) }()
	for end := time.Now().Add(startLimit); !strings.Contains(stdout.String(), "Ctrl-C ends"); time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("%v\n%s", err, stderr.String())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("nothing is printed: %s", stderr.String())
		}
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		// Names below localhost: not every resolver knows them, curl does.
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+q.port)
		},
	}}
	for _, try := range tries(q.port) {
		method := try.method
		if method == "" {
			method = http.MethodGet
		}
		req, err := http.NewRequest(method, try.url, strings.NewReader(try.body))
		if err != nil {
			t.Fatal(err)
		}
		if name, value, found := strings.Cut(try.header, ": "); found {
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s: %v\n%s", try.what, err, stderr.String())
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != try.status || !strings.Contains(string(text), try.shows) {
			t.Errorf("%s: %d %s %v, want %d with %s", try.what, resp.StatusCode, text, err, try.status, try.shows)
		}
		if !strings.Contains(stdout.String(), "  "+try.curl()+"\n") {
			t.Errorf("%s isn't printed", try.curl())
		}
	}
	if curl, err := exec.LookPath("curl"); err == nil {
		for _, try := range tries(q.port) {
			// What is printed, as it is printed.
			text, err := exec.Command("sh", "-c", strings.Replace(try.curl(), "curl", curl+" -s -m 30", 1)).CombinedOutput()
			if err != nil || !strings.Contains(string(text), try.shows) {
				t.Errorf("%s: %v\n%s", try.curl(), err, text)
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the end: %v\n%s", err, stderr.String())
	}
	for _, address := range []string{q.backend, "127.0.0.1:" + q.port} {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Errorf("%s still answers", address)
		}
	}
}

// A gateway that can't start ends the quickstart, with its own words.
func TestGatewayFails(t *testing.T) {
	q, stdout, stderr := prepare(t)
	if err := os.WriteFile(filepath.Join(q.folder, "postern.toml"), []byte("nonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := q.run(t.Context()); err == nil || !strings.Contains(stderr.String(), "nonsense") || strings.Contains(stdout.String(), "curl") {
		t.Errorf("got %v\n%s\n%s", err, stdout.String(), stderr.String())
	}
	if err := os.Remove(filepath.Join(q.folder, "guard.wasm")); err != nil {
		t.Fatal(err)
	}
	if err := q.run(t.Context()); err == nil || !strings.Contains(err.Error(), "make build examples") {
		t.Errorf("got %v without a plugin", err)
	}
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// ready returns what /health/ready says of reloads.
func (r *running) ready() (ok bool, reasons []string) {
	r.t.Helper()
	status, text := r.admin("/health/ready")
	var answer struct {
		Ready  bool
		Checks struct {
			Reload struct {
				OK      bool
				Reasons []string
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != 200 || !answer.Ready {
		r.t.Fatalf("it isn't ready: %d %s", status, text)
	}
	return answer.Checks.Reload.OK, answer.Checks.Reload.Reasons
}

func (r *running) answers(version string) bool {
	_, text := r.get("/v")
	return text == version
}

// A good file is taken over, a bad one leaves the last good one serving.
func TestReload(t *testing.T) {
	for name, args := range map[string][]string{"signal": {"--no-watch"}, "watch": nil} {
		t.Run(name, func(t *testing.T) {
			file := write(t, mock("one"))
			r := startChild(t, file, nil, args...)
			change := func(text string) {
				t.Helper()
				rewrite(t, file, text)
				if name == "signal" {
					if err := r.child.Signal(syscall.SIGHUP); err != nil {
						t.Fatal(err)
					}
				}
			}
			change(mock("two"))
			r.await("the second version", func() bool { return r.answers("two") })

			change(mock("three") + "\n[broken")
			r.await("the failure", func() bool { ok, _ := r.ready(); return !ok })
			if _, reasons := r.ready(); len(reasons) == 0 || !strings.Contains(reasons[0], "postern.toml:") {
				t.Errorf("reasons: %q", reasons)
			}
			if !r.answers("two") {
				t.Error("the last good configuration doesn't serve")
			}
			if _, text := r.admin("/metrics"); !strings.Contains(text, "\npostern_config_last_reload_successful 0") ||
				!strings.Contains(text, "\n"+`postern_config_reloads_total{result="failure"} 1`) {
				t.Error("the metrics don't tell of the failure")
			}
			r.await("a line in the log", func() bool {
				return strings.Contains(r.stderr.String(), "reload refused") && strings.Contains(r.stderr.String(), "postern.toml:")
			})

			// Back to what serves is a success, too.
			change(mock("two"))
			r.await("the repair", func() bool { ok, _ := r.ready(); return ok })

			// What can't be opened changes nothing either.
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			change(mock("four") + fmt.Sprintf("\n[listen.second]\naddress = %q\n", taken.Addr()))
			r.await("the failure", func() bool { ok, _ := r.ready(); return !ok })
			if !r.answers("two") {
				t.Error("the last good configuration doesn't serve")
			}
			change(mock("five"))
			r.await("the fifth version", func() bool { return r.answers("five") })
			if err := r.child.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if code := r.ended(); code != exitOK {
				t.Errorf("exit code %d: %s", code, r.stderr.String())
			}
		})
	}
}

// Series of a stage outlive reloads; those of one that is gone go with it.
func TestSeriesOverReloads(t *testing.T) {
	file := write(t, mock("one")+"[api.hello.stage.dev]\n")
	r := startChild(t, file, nil, "--no-watch")
	for range 3 {
		r.get("/v")
	}
	rewrite(t, file, mock("two"))
	if err := r.child.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.await("the second version", func() bool {
		ok, _ := r.ready()
		_, text := r.admin("/metrics")
		return ok && strings.Contains(text, `postern_config_reloads_total{result="success"} 1`)
	})
	r.get("/v")
	var text string
	r.await("the fourth request, which is counted after its reply", func() bool {
		_, text = r.admin("/metrics")
		return strings.Contains(text, "\n"+`postern_requests_total{api="hello",stage="prod"} 4`)
	})
	if strings.Contains(text, `stage="dev"`) {
		t.Error("the stage dev still has series")
	}
}

// Requests never fail while the configuration changes under them.
func TestReloadUnderLoad(t *testing.T) {
	file := write(t, mock("0"))
	r := startChild(t, file, nil, "--no-watch")
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var sent atomic.Int64
	for range 4 {
		clients.Go(func() {
			client := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				req, _ := http.NewRequest("GET", "http://"+r.addr+"/prod/v", nil)
				req.Host = "hello.localhost"
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is kept
				resp.Body.Close()
				if resp.StatusCode != 200 {
					t.Errorf("status %d", resp.StatusCode)
				}
				sent.Add(1)
			}
		})
	}
	for i := 1; i <= 20; i++ {
		rewrite(t, file, mock(fmt.Sprint(i)))
		if err := r.child.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		r.await("the next version", func() bool { return r.answers(fmt.Sprint(i)) })
	}
	close(stop)
	clients.Wait()
	if sent.Load() == 0 {
		t.Error("nothing was sent")
	}
}

// proxied is an API in front of a backend.
func proxied(backend, drain string) string {
	return fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"
[drain]
%s
[api.hello]
type = "rest"
[api.hello.route."GET /slow"]
integration = { type = "http_proxy", url = "%s/slow" }
[api.hello.stage.prod]
`, drain, backend)
}

// slow is a backend whose answer waits until release is closed.
func slow(t *testing.T) (url string, asked chan struct{}, release chan struct{}) {
	t.Helper()
	asked, release = make(chan struct{}, 16), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		case <-release: // nobody counts any more
		case <-r.Context().Done():
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "done") // a gateway that left needs no answer
	}))
	t.Cleanup(server.Close)
	return server.URL, asked, release
}

// result is what came of a request.
type result struct {
	status int
	text   string
	err    error
}

func (r *running) ask(path string) chan result {
	c := make(chan result, 1)
	go func() {
		status, text, err := fetch("tcp", r.addr, "hello.localhost", "/prod"+path)
		c <- result{status, text, err}
	}()
	return c
}

// TERM: readiness fails while the listener still answers, then the listener
// closes, then the request in flight ends well.
func TestDrain(t *testing.T) {
	url, asked, release := slow(t)
	r := startChild(t, write(t, proxied(url, `delay = "3s"`)), nil)
	answer := r.ask("/slow")
	<-asked
	if err := r.child.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.await("readiness to fail", func() bool { status, _ := r.admin("/health/ready"); return status == 503 })
	if status, text := r.admin("/health/ready"); status != 503 || !strings.Contains(text, "stopping") {
		t.Errorf("ready: %d %s", status, text)
	}
	if status, _ := r.get("/nothing"); status != 403 { // still open: the delay isn't over
		t.Errorf("got %d during the delay", status)
	}
	r.await("the listener to close", func() bool {
		conn, err := net.Dial("tcp", r.addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if status, _ := r.admin("/health/live"); status != 200 {
		t.Errorf("live: %d while it drains", status)
	}
	close(release)
	if got := <-answer; got.err != nil || got.status != 200 || got.text != "done" {
		t.Errorf("the request in flight got %+v", got)
	}
	if code := r.ended(); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.stderr.String())
	}
}

// The time to drain is bounded, and what is cut is told.
func TestDrainTimeout(t *testing.T) {
	url, asked, release := slow(t)
	defer close(release)
	r := startChild(t, write(t, proxied(url, `timeout = "200ms"`)), nil)
	answer := r.ask("/slow")
	<-asked
	if err := r.child.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := r.ended(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if got := <-answer; got.err == nil && got.status == 200 {
		t.Errorf("got %+v", got)
	}
	if !strings.Contains(r.stderr.String(), "cut off") {
		t.Errorf("log: %s", r.stderr.String())
	}
}

// A second signal ends the wait.
func TestForce(t *testing.T) {
	url, asked, release := slow(t)
	defer close(release)
	r := startChild(t, write(t, proxied(url, `delay = "10m"`)), nil)
	r.ask("/slow")
	<-asked
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		if err := r.child.Signal(sig); err != nil {
			t.Fatal(err)
		}
		r.await("the reaction", func() bool { return strings.Contains(r.stderr.String(), "stopping") })
	}
	began := time.Now()
	if code := r.ended(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it took %v", took)
	}
	if _, err := os.Lstat(filepath.Join(filepath.Dir(r.file), "state", "admin.sock")); !os.IsNotExist(err) {
		t.Errorf("the admin socket is left behind: %v", err)
	}
}

func TestQuit(t *testing.T) {
	url, asked, release := slow(t)
	defer close(release)
	r := startChild(t, write(t, proxied(url, "")), nil)
	r.ask("/slow")
	<-asked
	if err := r.child.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if code := r.ended(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if text := r.stderr.String(); !strings.Contains(text, "goroutine 1 [") || !strings.Contains(text, "SIGQUIT") {
		t.Errorf("no dump: %s", text)
	}
}

func TestReopenLogs(t *testing.T) {
	dir := t.TempDir()
	access, operator := filepath.Join(dir, "access.log"), filepath.Join(dir, "postern.log")
	r := startChild(t, write(t, mock("one")+fmt.Sprintf("[log]\naccess = %q\n", access)), nil)
	r.get("/v")
	r.await("a line", func() bool { text, _ := os.ReadFile(access); return strings.Count(string(text), "\n") > 0 })
	if err := os.Rename(access, access+".1"); err != nil {
		t.Fatal(err)
	}
	if err := r.child.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.await("the new file", func() bool { _, err := os.Stat(access); return err == nil })
	r.get("/v")
	r.await("a line", func() bool { text, _ := os.ReadFile(access); return strings.Count(string(text), "\n") == 1 })

	// A reload moves both logs.
	second := filepath.Join(dir, "second.log")
	rewrite(t, r.file, mock("two")+fmt.Sprintf("[log]\naccess = %q\noutput = %q\nlevel = \"debug\"\n", second, operator))
	r.await("the second version", func() bool { return r.answers("two") })
	r.await("both logs", func() bool {
		a, _ := os.ReadFile(second)
		b, _ := os.ReadFile(operator)
		return strings.Contains(string(a), "GET /v") && strings.Contains(string(b), "reloaded")
	})
}

// Whatever becomes of the access log, requests are answered.
func TestAccessLogBlocked(t *testing.T) {
	read, blocked, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer blocked.Close()
	full := io.Writer(io.Discard)
	for name, stdout := range map[string]io.Writer{"pipe": blocked, "/dev/full": full} {
		t.Run(name, func(t *testing.T) {
			text := mock("one")
			if name == "/dev/full" {
				if _, err := os.Stat(name); err != nil {
					t.Skip("this system has no /dev/full")
				}
				text += "[log]\naccess = \"/dev/full\"\n"
			}
			r := startChild(t, write(t, text), stdout)
			conn, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			answers := bufio.NewReader(conn)
			const requests = 6000 // of about 300 bytes in the log, more than pipe and buffers hold
			go func() {
				request := "GET /prod/v HTTP/1.1\r\nHost: hello.localhost\r\nUser-Agent: " + strings.Repeat("x", 300) + "\r\n\r\n"
				for range requests {
					if _, err := io.WriteString(conn, request); err != nil {
						return
					}
				}
			}()
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			for i := range requests {
				resp, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Fatalf("answer %d: %v", i, err)
				}
				_, _ = io.Copy(io.Discard, resp.Body) // up to the next answer
				if resp.StatusCode != 200 {
					t.Fatalf("answer %d: status %d", i, resp.StatusCode)
				}
			}
			r.await("the count of lost lines", func() bool {
				_, text := r.admin("/metrics")
				return strings.Contains(text, "\npostern_access_log_dropped_lines_total ") &&
					!strings.Contains(text, "\npostern_access_log_dropped_lines_total 0\n")
			})
			r.await("a warning", func() bool { return strings.Contains(r.stderr.String(), "log lines are lost") })
			if n := strings.Count(r.stderr.String(), "log lines are lost"); n != 1 {
				t.Errorf("%d warnings, want 1", n)
			}
			conn.Close() // an idle connection would get its time to end
			if err := r.child.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if code := r.ended(); code != exitOK {
				t.Errorf("exit code %d: %s", code, r.stderr.String())
			}
		})
	}
}

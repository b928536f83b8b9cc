package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// launch is startChild for a gateway that hands its place over: its output is
// kept over all processes, and the exit code is that of the first. prepare may
// change the command; nil leaves it as it is.
func launch(t *testing.T, file string, prepare func(*exec.Cmd), args ...string) *running {
	t.Helper()
	r := &running{t: t, file: file, code: make(chan int, 1)}
	binary := filepath.Join(filepath.Dir(file), "postern")
	if err := os.Symlink(os.Args[0], binary); err != nil {
		t.Fatal(err)
	}
	pids := filepath.Join(filepath.Dir(file), "postern.pid")
	cmd := exec.Command(binary, append([]string{"run", "--no-watch", "-c", file, "--pid-file", pids}, args...)...)
	cmd.Env = append(os.Environ(), asGateway+"=1")
	var copies sync.WaitGroup
	pipe := func(to io.Writer) *os.File {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		copies.Go(func() {
			defer read.Close()
			_, _ = io.Copy(to, read) // ends with the last process
		})
		return write
	}
	out, errs := pipe(&r.stdout), pipe(&r.stderr)
	cmd.Stdout, cmd.Stderr = out, errs
	if prepare != nil {
		prepare(cmd)
	}
	err := cmd.Start()
	out.Close()
	errs.Close()
	if err != nil {
		t.Fatal(err)
	}
	r.child = cmd.Process
	go func() {
		_ = cmd.Wait() // the code says it all
		r.code <- cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		if pid := r.pid(); pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it has ended, unless the test failed
		}
		_ = r.child.Kill() // likewise
		code := <-r.code
		r.code <- code
		copies.Wait()
	})
	return r
}

// pid returns the number in the PID file, 0 for none.
func (r *running) pid() int {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(r.file), "postern.pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		r.t.Errorf("PID file: %v", err)
	}
	return pid
}

// signal sends a signal to the process that serves.
func (r *running) signal(sig syscall.Signal) {
	r.t.Helper()
	// It listens before it says who it is; 0 would be this process and all its
	// relatives.
	r.await("the PID file", func() bool { return r.pid() > 0 })
	pid := r.pid()
	if pid <= 0 {
		r.t.Fatalf("nobody is there to get %v:\n%s", sig, r.stderr.String())
	}
	if err := syscall.Kill(pid, sig); err != nil {
		r.t.Fatal(err)
	}
}

// upgrade makes a new process serve and returns its number.
func (r *running) upgrade() int {
	r.t.Helper()
	before := r.pid()
	r.signal(syscall.SIGUSR2)
	r.await("the new process", func() bool { return r.pid() != before })
	return r.pid()
}

// gone waits for the end of a process that isn't this one's child.
func (r *running) gone(pid int) {
	r.t.Helper()
	r.await(fmt.Sprintf("the end of process %d", pid), func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(text), ") Z ") // nobody waits for it here
	})
}

// echo is a backend that answers with the request's content, and with what is
// sent after an upgrade.
func echo(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.Copy(w, r.Body) // a caller that left needs no answer
			return
		}
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(conn, buffered)
	}))
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	return server.URL
}

// echoed is an API in front of echo. version makes configurations differ.
func echoed(backend, version string) string {
	return fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"
[drain]
timeout = "10s"
[api.hello]
type = "rest"
[api.hello.route."ANY /echo"]
integration = { type = "http_proxy", url = "%s/echo" }
[api.hello.route."GET /v"]
integration = { type = "mock" }
[api.hello.route."GET /v".response.default]
template."text/plain" = "%s"
[api.hello.stage.prod]
`, backend, version)
}

// caller is a client with one kept connection, which repeats nothing.
type caller struct {
	addr    string
	conn    net.Conn
	answers *bufio.Reader
}

// post sends content and returns what came back.
func (c *caller) post(content string) (string, error) {
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			return "", err
		}
		c.conn, c.answers = conn, bufio.NewReader(conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	_, err := fmt.Fprintf(c.conn, "POST /prod/echo HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: %d\r\n\r\n%s", len(content), content)
	if err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 {
		return "", fmt.Errorf("status %d: %s", resp.StatusCode, text)
	}
	if resp.Close {
		c.close()
	}
	return string(text), err
}

func (c *caller) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// load posts from n callers until stop is called, which returns how many
// requests there were. Every failure is the test's.
func (r *running) load(n int) (stop func() int64) {
	end := make(chan struct{})
	var callers sync.WaitGroup
	var sent atomic.Int64
	for who := range n {
		callers.Go(func() {
			c := &caller{addr: r.addr}
			defer func() { c.close() }()
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				default:
				}
				content := fmt.Sprintf("caller %d request %d", who, i)
				got, err := c.post(content)
				if err != nil {
					r.t.Errorf("%s: %v", content, err)
					return
				}
				if got != content {
					r.t.Errorf("%s: got the answer %q", content, got)
				}
				sent.Add(1)
				if i%50 == 49 { // connections come, too
					c.close()
				}
			}
		})
	}
	return func() int64 {
		close(end)
		callers.Wait()
		return sent.Load()
	}
}

// tunnel is an upgraded connection to echo.
type tunnel struct {
	t    testing.TB
	conn net.Conn
	read *bufio.Reader
}

func (r *running) tunnel() *tunnel {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, "GET /prod/echo HTTP/1.1\r\nHost: hello.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		r.t.Fatal(err)
	}
	u := &tunnel{t: r.t, conn: conn, read: bufio.NewReader(conn)}
	resp, err := http.ReadResponse(u.read, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != 101 {
		r.t.Fatalf("status %d, want 101", resp.StatusCode)
	}
	return u
}

// check sends a line through and back.
func (u *tunnel) check(line string) {
	u.t.Helper()
	if err := u.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		u.t.Fatal(err)
	}
	if _, err := io.WriteString(u.conn, line+"\n"); err != nil {
		u.t.Fatalf("the upgraded connection: %v", err)
	}
	if got, err := u.read.ReadString('\n'); err != nil || got != line+"\n" {
		u.t.Fatalf("the upgraded connection: got %q, %v", got, err)
	}
}

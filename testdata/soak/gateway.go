package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// gateway is the process under test, and those that take its place. Its socket
// is ours, as it would be systemd's: it stays open over restarts, so that nothing
// may ever be refused.
type gateway struct {
	dir, binary string
	site        *site
	tally       *tally
	address     string
	generation  atomic.Int64 // processes so far
	socket      *os.File
	log         *os.File
	child       *exec.Cmd
	reloads     int
}

func (g *gateway) listen() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	g.address = l.Addr().String()
	g.socket, err = l.(*net.TCPListener).File()
	return err
}

// patience is how long the gateway may take for anything.
const patience = 30 * time.Second

// start starts a process and waits until it is ready.
func (g *gateway) start() error {
	var err error
	if g.log == nil {
		if g.log, err = os.Create(filepath.Join(g.dir, "postern.log")); err != nil {
			return err
		}
	}
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, g.binary, "run", "--no-watch",
		"-c", filepath.Join(g.dir, "postern.toml"), "--pid-file", filepath.Join(g.dir, "pid"))
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=public", "GORACE=exitcode=66")
	cmd.Stdout, cmd.Stderr = g.log, g.log
	cmd.ExtraFiles = []*os.File{g.socket}
	if err := cmd.Start(); err != nil {
		return err
	}
	g.child = cmd
	g.generation.Add(1)
	return g.await("a ready gateway", func() bool {
		status, _, err := g.admin("/health/ready")
		return err == nil && status == http.StatusOK && g.pid() > 0
	})
}

// await waits until done.
func (g *gateway) await(what string, done func() bool) error {
	for end := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("no %s within %v", what, patience)
		}
	}
	return nil
}

// pid returns the process that serves, 0 for none.
func (g *gateway) pid() int {
	text, err := os.ReadFile(filepath.Join(g.dir, "pid"))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text))) // 0 for what is no number
	return n
}

// signal sends sig to the gateway. Number 0 would be this process and all its
// relatives.
func (g *gateway) signal(sig syscall.Signal) error {
	pid := g.pid()
	if pid <= 0 {
		return errors.New("no gateway is there")
	}
	return syscall.Kill(pid, sig)
}

// admin asks the operator's listener.
func (g *gateway) admin(path string) (status int, text string, err error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(g.dir, "state", "admin.sock"))
		},
	}}
	resp, err := client.Get("http://localhost" + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

// serves reports whether a new request gets the configuration's version.
func (g *gateway) serves(version int) bool {
	c := &client{address: g.address}
	defer c.drop()
	resp, text, err := c.do("GET /prod/version HTTP/1.1\r\nHost: soak.localhost\r\n\r\n", "GET")
	return err == nil && resp.StatusCode == 200 && text == strconv.Itoa(version)
}

// reload puts the next version in place and waits until it serves.
func (g *gateway) reload() error {
	g.reloads++
	if err := g.site.configure(g.reloads); err != nil {
		return err
	}
	if err := g.signal(syscall.SIGHUP); err != nil {
		return err
	}
	return g.await("reload", func() bool { return g.serves(g.reloads) })
}

// refuse lets it reload what can't serve: nothing may change.
func (g *gateway) refuse() error {
	if err := g.site.spoil(); err != nil {
		return err
	}
	if err := g.signal(syscall.SIGHUP); err != nil {
		return err
	}
	err := g.await("refusal", func() bool {
		_, text, err := g.admin("/metrics")
		return err == nil && strings.Contains(text, "\npostern_config_last_reload_successful 0")
	})
	if err == nil && !g.serves(g.reloads) {
		err = errors.New("the configuration before a bad one doesn't serve")
	}
	return errors.Join(err, g.reload())
}

// upgrade lets a new process take the place of the one that serves.
func (g *gateway) upgrade() error {
	before := g.pid()
	g.generation.Add(1)
	if err := g.signal(syscall.SIGUSR2); err != nil {
		return err
	}
	if err := g.await("new process", func() bool { now := g.pid(); return now > 0 && now != before }); err != nil {
		return err
	}
	return g.gone(before)
}

// gone waits for the end of a process.
func (g *gateway) gone(pid int) error {
	if g.child != nil && g.child.Process.Pid == pid {
		err := g.child.Wait()
		g.child = nil
		// A WebSocket that outlives drain.timeout is cut, which is exit code 1.
		if code := exitCode(err); code > 1 {
			return fmt.Errorf("a process ended with %d", code)
		}
		return nil
	}
	return g.await(fmt.Sprintf("end of process %d", pid), func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(text), ") Z ")
	})
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// restart drains the process and starts another; meanwhile whoever connects
// waits in the socket's queue.
func (g *gateway) restart() error {
	before := g.pid()
	g.generation.Add(1)
	if err := g.signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := g.gone(before); err != nil {
		return err
	}
	return g.start()
}

// end stops the gateway, whatever came before.
func (g *gateway) end() {
	if g.log == nil {
		return
	}
	if pid := g.pid(); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGTERM) // perhaps it has ended
		if err := g.gone(pid); err != nil {
			g.tally.note("end", err)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if g.child != nil {
		_ = g.child.Process.Kill() // it never served
		_ = g.child.Wait()
		g.child = nil
	}
	g.log.Close()
	g.log = nil
}

// search looks through the log for what must never be in it.
func (g *gateway) search() {
	f, err := os.Open(filepath.Join(g.dir, "postern.log"))
	if err != nil {
		g.tally.note("log", err)
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		for _, bad := range []string{"DATA RACE", "panic", "fatal error", "goroutine "} {
			if strings.Contains(lines.Text(), bad) {
				g.tally.note("log", errors.New(lines.Text()))
			}
		}
	}
}

// figures are what a process uses when nobody asks anything of it.
type figures struct {
	pid                              int
	goroutines, fds, heap, rss, open float64
}

// measure reads the figures.
func (g *gateway) measure() (figures, error) {
	f := figures{pid: g.pid()}
	if _, _, err := g.admin("/debug/pprof/heap?gc=1"); err != nil { // collects garbage
		return f, err
	}
	_, text, err := g.admin("/metrics")
	if err != nil {
		return f, err
	}
	for line := range strings.Lines(text) {
		for name, to := range map[string]*float64{
			"go_goroutines": &f.goroutines, "process_open_fds": &f.fds, "go_memstats_heap_alloc_bytes": &f.heap,
			"process_resident_memory_bytes": &f.rss, "postern_connections": &f.open,
		} {
			if rest, found := strings.CutPrefix(line, name+" "); found {
				if *to, err = strconv.ParseFloat(strings.TrimSpace(rest), 64); err != nil {
					return f, err
				}
			}
		}
	}
	return f, nil
}

// sweep is longer than an unused backend connection is kept before it is found
// and closed.
const sweep = 10 * time.Second

// rest waits until the gateway has come to rest and returns its figures: the
// lowest of a few, for who asks for them is counted, too.
func (g *gateway) rest() (figures, error) {
	err := g.await("end of all connections", func() bool {
		f, err := g.measure()
		return err == nil && f.open == 0
	})
	time.Sleep(sweep)
	f, failed := g.measure()
	for range 5 {
		next, wrong := g.measure()
		failed = errors.Join(failed, wrong)
		f.goroutines = min(f.goroutines, next.goroutines)
		f.fds = min(f.fds, next.fds)
		f.heap = min(f.heap, next.heap)
	}
	return f, errors.Join(err, failed)
}

func (f figures) String() string {
	return fmt.Sprintf("goroutines %g, descriptors %g, heap %.1f MB, resident %.1f MB (process %d)",
		f.goroutines, f.fds, f.heap/1e6, f.rss/1e6, f.pid)
}

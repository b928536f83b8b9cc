package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
)

// systemd is what a supervised gateway tells its supervisor.
type systemd struct {
	t      *testing.T
	path   string
	socket *net.UnixConn
}

func newSystemd(t *testing.T) *systemd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return &systemd{t: t, path: path, socket: socket}
}

// next returns the next message that isn't the watchdog's.
func (s *systemd) next() string {
	s.t.Helper()
	for {
		if m := s.any(); m != "WATCHDOG=1" {
			return m
		}
	}
}

func (s *systemd) any() string {
	s.t.Helper()
	if err := s.socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := s.socket.Read(b)
	if err != nil {
		s.t.Fatalf("systemd hears nothing: %v", err)
	}
	return string(b[:n])
}

// expect checks that the next message has every assignment, given as a pattern
// of a whole line.
func (s *systemd) expect(patterns ...string) {
	s.t.Helper()
	m := s.next()
	for _, p := range patterns {
		if !regexp.MustCompile(`(?m)^(?:` + p + `)$`).MatchString(m) {
			s.t.Errorf("systemd was told %q, which lacks %s", m, p)
		}
	}
}

// What systemd hears from start to stop, over a reload, a refused one and an
// upgrade, and that it hears of a healthy gateway all the time.
func TestNotify(t *testing.T) {
	s := newSystemd(t)
	r := launch(t, write(t, mock("one")), func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+s.path, "WATCHDOG_USEC=60000")
	})
	s.expect("READY=1", "STATUS=serving .*postern.toml")
	r.listening()
	if got := s.any(); got != "WATCHDOG=1" {
		t.Errorf("after the start, systemd was told %q", got)
	}
	if got := s.any(); got != "WATCHDOG=1" {
		t.Errorf("then systemd was told %q", got)
	}
	r.signal(syscall.SIGHUP)
	s.expect("RELOADING=1", "MONOTONIC_USEC=[1-9][0-9]+")
	s.expect("READY=1", "STATUS=serving .*")
	rewrite(t, r.file, "broken")
	r.signal(syscall.SIGHUP)
	s.expect("RELOADING=1")
	s.expect("READY=1", "STATUS=reload refused.*postern.toml:.*")
	rewrite(t, r.file, mock("two"))
	second := r.upgrade()
	s.expect(fmt.Sprint("MAINPID=", second)) // the old one says it
	s.expect(fmt.Sprint("MAINPID=", second), "READY=1", "STATUS=serving .*")
	r.ended()
	if got := s.any(); got != "WATCHDOG=1" {
		t.Errorf("after the upgrade, systemd was told %q", got)
	}
	r.signal(syscall.SIGTERM)
	s.expect("STOPPING=1", "STATUS=stopping", "EXTEND_TIMEOUT_USEC=[1-9][0-9]+")
	r.gone(second)
}

// Without health systemd hears nothing, and restarts the gateway.
func TestWatchdogUnwell(t *testing.T) {
	s := newSystemd(t)
	t.Setenv("NOTIFY_SOCKET", s.path)
	v := &supervisor{logger: zap.NewNop(), every: 3 * time.Millisecond}
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	v.watch(ctx, func(context.Context) error {
		if asked++; asked == 5 {
			cancel()
		}
		return errors.New("unwell")
	})
	v.tell("END=1")
	if got := s.any(); got != "END=1" {
		t.Errorf("systemd was told %q of an unwell gateway", got)
	}

	// A main loop that doesn't answer is unwell, and so is one that got stuck.
	l := &life{gateway: &gateway{supervisor: v}, beats: make(chan chan error)}
	if err := l.healthy(t.Context()); err == nil || !strings.Contains(err.Error(), "main loop") {
		t.Errorf("got %v", err)
	}
	go func() { <-l.beats }()
	if err := l.healthy(t.Context()); err == nil || !strings.Contains(err.Error(), "answer") {
		t.Errorf("got %v", err)
	}
}

// activate starts a gateway with listening sockets as systemd does.
func activate(t *testing.T, file string, names string, sockets ...*os.File) *running {
	t.Helper()
	return launch(t, file, func(cmd *exec.Cmd) {
		// LISTEN_PID is the number that the gateway will have.
		cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`}, append([]string{cmd.Path}, cmd.Args[1:]...)...)
		cmd.Path = "/bin/sh"
		cmd.Env = append(cmd.Env, fmt.Sprint("LISTEN_FDS=", len(sockets)), "LISTEN_FDNAMES="+names)
		cmd.ExtraFiles = sockets
	})
}

// opened returns a listening socket as systemd would pass it, and its address.
func opened(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file, l.Addr().String()
}

func TestSocketActivation(t *testing.T) {
	for _, by := range []string{"name", "address"} {
		t.Run(by, func(t *testing.T) {
			first, address := opened(t)
			second, spare := opened(t)
			wanted := "systemd:web"
			if by == "address" {
				wanted = address
			}
			// A client that comes before the gateway waits in the socket's queue.
			early, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer early.Close()
			text := strings.Replace(mock("one"), "127.0.0.1:0", wanted, 1)
			r := activate(t, write(t, text), "web:spare", first, second)
			r.listening()
			if r.addr != address {
				t.Errorf("it listens on %s, want %s", r.addr, address)
			}
			if _, err := fmt.Fprint(early, "GET /prod/v HTTP/1.1\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if err := early.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 20)
			if n, err := early.Read(b); err != nil || !strings.HasPrefix(string(b[:n]), "HTTP/1.1 200") {
				t.Errorf("the early client got %q, %v", b[:n], err)
			}
			r.await("a warning about the other socket", func() bool {
				return strings.Contains(r.stderr.String(), `"socket":"spare"`) && !strings.Contains(r.stderr.String(), `"socket":"web"`)
			})

			// A later configuration can use it, and it survives an upgrade.
			rewrite(t, r.file, text+"[listen.other]\naddress = \"systemd:spare\"\n")
			r.signal(syscall.SIGHUP)
			other := func() bool {
				status, _, err := fetch("tcp", spare, "hello.localhost", "/prod/v")
				return err == nil && status == http.StatusOK
			}
			r.await("the second listener", other)
			last := r.upgrade()
			r.ended()
			if !other() || !r.answers("one") {
				t.Error("the upgraded gateway doesn't serve on both")
			}
			// A socket of systemd that a configuration lets go can be had again.
			rewrite(t, r.file, text)
			r.signal(syscall.SIGHUP)
			r.await("the reload", func() bool { return strings.Count(r.stderr.String(), "configuration reloaded") == 2 })
			rewrite(t, r.file, text+"[listen.other]\naddress = \"systemd:spare\"\n")
			r.signal(syscall.SIGHUP)
			r.await("the second listener", other)
			r.signal(syscall.SIGTERM)
			r.gone(last)
		})
	}
}

func TestSocketActivationRefused(t *testing.T) {
	first, _ := opened(t)
	second, _ := opened(t)
	datagram, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	packets, err := datagram.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	f := func(want, names string, sockets ...*os.File) {
		t.Helper()
		r := activate(t, write(t, strings.Replace(mock("one"), "127.0.0.1:0", "systemd:web", 1)), names, sockets...)
		if code := r.ended(); code != exitFailed {
			t.Errorf("%s: exit code %d, want %d", want, code, exitFailed)
		}
		r.await(want, func() bool { return strings.Contains(r.stderr.String(), want) })
	}
	f("passed no sockets", "")
	f(`no socket of the name "web", but "a", "b"`, "a:b", first, second)
	f("several sockets of the name", "web:web", first, second)
	f("not a listening socket", "web", packets)
}

func TestMemoryLimit(t *testing.T) {
	root := t.TempDir()
	f := func(want int64, membership string, limits map[string]string) {
		t.Helper()
		dir := filepath.Join(root, fmt.Sprint(want, len(limits)))
		for name, text := range limits {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dir, name), text+"\n")
		}
		file := filepath.Join(dir, "membership")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, file, membership)
		if got := cgroupLimit(file, dir); got != want {
			t.Errorf("%q %v: got %d, want %d", membership, limits, got, want)
		}
	}
	const none = 1<<63 - 1
	f(none, "0::/a/b\n", nil)
	f(none, "0::/a\n", map[string]string{"a/memory.max": "max"})
	f(1<<30, "0::/a/b\n", map[string]string{"a/b/memory.max": "max", "a/memory.max": "1073741824"})
	// What is reclaimed by force counts as a limit, too.
	f(1000, "0::/a/b\n", map[string]string{"a/b/memory.max": "3000", "a/b/memory.high": "1000", "a/memory.max": "2000"})
	// In a container the group may be its own root.
	f(4096, "0::/\n", map[string]string{"memory.max": "4096"})
	// Version 1.
	f(777, "5:cpu,cpuacct:/x\n4:memory:/x\n", map[string]string{"memory/x/memory.limit_in_bytes": "777", "x/memory.max": "1"})
	f(none, "4:memory:/x\n", map[string]string{"memory/x/memory.limit_in_bytes": "9223372036854771712"})
}

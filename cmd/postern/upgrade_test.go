package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Three new processes in a row under load: nothing is refused, nothing broken,
// and an upgraded connection lives on in the process that it came to.
func TestUpgradeUnderLoad(t *testing.T) {
	r := launch(t, write(t, echoed(echo(t), "0")), nil)
	r.listening()
	r.await("the PID file", func() bool { return r.pid() == r.child.Pid })
	stop := r.load(8)
	var tunnels []*tunnel
	pids := []int{r.pid()}
	for i := 1; i <= 3; i++ {
		tunnels = append(tunnels, r.tunnel())
		rewrite(t, r.file, echoed(strings.Replace(echo(t), "127.0.0.1", "localhost", 1), fmt.Sprint(i)))
		pids = append(pids, r.upgrade())
		r.await("the new configuration", func() bool { return r.answers(fmt.Sprint(i)) })
		for n, u := range tunnels {
			u.check(fmt.Sprintf("tunnel %d after upgrade %d", n, i))
		}
	}
	for _, u := range tunnels {
		u.conn.Close()
	}
	if code := r.ended(); code != exitOK {
		t.Errorf("the first process ended with %d: %s", code, r.stderr.String())
	}
	for _, pid := range pids[:3] {
		r.gone(pid)
	}
	// The operator's socket and the PID file are the last one's.
	if ok, reasons := r.ready(); !ok {
		t.Errorf("not ready: %q", reasons)
	}
	if n := stop(); n < 100 {
		t.Errorf("only %d requests", n)
	}
	last := pids[3]
	r.signal(syscall.SIGTERM)
	r.gone(last)
	for _, name := range []string{"state/admin.sock", "postern.pid"} {
		if _, err := os.Lstat(filepath.Join(filepath.Dir(r.file), name)); !os.IsNotExist(err) {
			t.Errorf("%s is left behind: %v", name, err)
		}
	}
	// What the last one says may still be on its way through the pipe when it is gone.
	r.await("the end of all four", func() bool { return strings.Count(r.stderr.String(), `"stopped"`) == 4 })
}

// A new process that can't serve changes nothing, and the log says why.
func TestUpgradeRefused(t *testing.T) {
	r := launch(t, write(t, echoed(echo(t), "0")), nil)
	r.listening()
	r.await("the PID file", func() bool { return r.pid() > 0 })
	binary := filepath.Join(filepath.Dir(r.file), "postern")
	put := func(content string) {
		t.Helper()
		if err := os.Remove(binary); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(binary, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	restore := func() {
		t.Helper()
		_ = os.Remove(binary) // it may be gone
		if err := os.Symlink(os.Args[0], binary); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	bad := func(text string) func() {
		return func() {
			if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	u := r.tunnel()
	stop := r.load(4)
	refusals := 0
	f := func(reason string, spoil, mend func()) {
		t.Helper()
		spoil()
		refusals++
		r.signal(syscall.SIGUSR2)
		r.await("the refusal", func() bool {
			return strings.Count(r.stderr.String(), "upgrade refused, this process serves on") == refusals
		})
		lines := r.log()
		if last := fmt.Sprint(lines[len(lines)-1]); !strings.Contains(last, reason) {
			t.Errorf("the log lacks %q: %s", reason, last)
		}
		if !r.answers("0") || r.pid() != r.child.Pid {
			t.Error("the old process doesn't serve")
		}
		if ok, _ := r.ready(); !ok { // the socket kept its name, too
			t.Error("the old process isn't ready")
		}
		mend()
	}
	f("exec format error", func() { put("no program at all") }, restore)
	f("exit status 3", func() { put("#!/bin/sh\nexit 3\n") }, restore)
	f("no such file", func() { _ = os.Remove(binary) }, restore)
	f("postern.toml:", bad(string(good)+"\n[broken"), bad(string(good)))
	f("in use", bad(string(good)+fmt.Sprintf("\n[listen.second]\naddress = %q\n", strings.TrimPrefix(echo(t), "http://"))), bad(string(good)))
	u.check("still there")

	second := r.upgrade()
	r.await("the new process", func() bool { return r.answers("0") })
	u.check("in the old process")
	u.conn.Close()
	if code := r.ended(); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.stderr.String())
	}
	stop()
	r.signal(syscall.SIGTERM)
	r.gone(second)
}

// A process that dies in the middle of its upgrade leaves its place to the new one.
func TestUpgradeOfKilled(t *testing.T) {
	r := launch(t, write(t, echoed(echo(t), "0")), nil)
	r.listening()
	r.await("the PID file", func() bool { return r.pid() > 0 })
	first := r.pid()
	u := r.tunnel() // keeps the first process
	second := r.upgrade()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.ended()
	if _, err := u.read.ReadByte(); err == nil {
		t.Error("the connection outlived its process")
	}
	if !r.answers("0") {
		t.Error("the new process doesn't serve")
	}
	r.signal(syscall.SIGTERM)
	r.gone(second)
}

// The operator's listener stays where it is, on a port, too; without one there
// is none to hand over.
func TestUpgradeAdmin(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "off"} {
		t.Run(address, func(t *testing.T) {
			r := launch(t, write(t, mock("one")+fmt.Sprintf("[admin]\naddress = %q\n", address)), nil)
			r.listening()
			last := r.upgrade()
			r.ended()
			if !r.answers("one") {
				t.Error("the new process doesn't serve")
			}
			if address != "off" {
				socket, err := admin(r)
				if err != nil {
					t.Fatal(err)
				}
				if status, text, err := fetch("tcp", socket, "localhost", "/health/ready"); err != nil || status != 200 {
					t.Errorf("ready: %d %s %v", status, text, err)
				}
			}
			r.signal(syscall.SIGTERM)
			r.gone(last)
		})
	}
}

// admin returns where the operator's listener was announced by the first process.
func admin(r *running) (string, error) {
	for _, line := range r.log() {
		if line["message"] == "admin" {
			return fmt.Sprint(line["bound"]), nil
		}
	}
	return "", fmt.Errorf("the admin listener isn't announced: %s", r.stderr.String())
}

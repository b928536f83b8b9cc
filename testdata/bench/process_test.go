package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	got, err := parseStat("26980 (nginx: (a) b) S 26977 26980 26980 0 -1 4194624 5 6 7 8 123 456 0 0 20 0 1 0\n")
	if want := (stat{pid: 26980, parent: 26977, user: 123, system: 456}); got != want || err != nil {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S 1 2", "x (x) S 1 1 1 0 -1 4 5 6 7 8 123 456 0\n"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestParseStatus(t *testing.T) {
	const text = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n"
	if n, err := parseStatus(text, "VmHWM"); n != 2<<20 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := parseStatus(text, "VmSwap"); err == nil {
		t.Error("a line that isn't there was found")
	}
}

// The clocks of a process tree agree with what the system tells each process.
func TestUsed(t *testing.T) {
	var before, after syscall.Rusage
	own := func(r *syscall.Rusage) usage {
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, r); err != nil {
			t.Fatal(err)
		}
		u, err := used(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	first := own(&before)
	for start := time.Now(); time.Since(start) < 100*time.Millisecond; {
	}
	second := own(&after)
	want := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	if got := second.cpu - first.cpu; (got-want).Abs() > 10*time.Millisecond || got == 0 {
		t.Errorf("got %v, getrusage says %v", got, want)
	}
}

// What a child starts is measured with it, and ends with it.
func TestChild(t *testing.T) {
	log := filepath.Join(t.TempDir(), "out")
	c, err := startChild("sh", log, []string{"WORD=hello"}, []string{"/bin/sh", "-c", `echo $WORD; sleep 60 & trap "kill $!; exit 3" TERM; wait`})
	if err != nil {
		t.Fatal(err)
	}
	pid := c.cmd.Process.Pid
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		all, err := tree(pid)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 2 && all[1].parent == pid {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("%+v", all)
		}
	}
	if err := c.alive(); err != nil {
		t.Error(err)
	}
	if peak, err := resident(pid, "VmHWM"); peak < 1<<16 || err != nil {
		t.Errorf("peak %d, %v", peak, err)
	}
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	if err := c.alive(); err == nil || !strings.Contains(err.Error(), "exit status 3): hello") {
		t.Errorf("got %v", err)
	}
	if _, err := tree(pid); err == nil {
		t.Error("the process is there still")
	}
}

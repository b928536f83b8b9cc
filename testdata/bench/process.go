package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// child is a process that the bench started, perhaps with processes of its own.
type child struct {
	name  string
	cmd   *exec.Cmd
	log   string        // file with what it prints
	ended chan struct{} // closed when it has ended
	err   error         // how; set before ended is closed
}

// startChild starts a program whose output goes into the file log.
func startChild(name, log string, env, args []string) (*child, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	c := &child{name: name, cmd: exec.Command(args[0], args[1:]...), log: log, ended: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.Env = append(os.Environ(), env...)
	// A group of its own: Ctrl-C at the terminal comes to the bench alone, which
	// then ends the others in order.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// stopLimit is how long a process may take to end before it is killed.
const stopLimit = 8 * time.Second

// stop ends the process and what it started.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-c.ended:
	case <-time.After(stopLimit):
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // its group; the wait below tells
		<-c.ended
		return fmt.Errorf("%s didn't end within %v and was killed", c.name, stopLimit)
	}
	return nil
}

// alive returns an error with what the process said if it has ended.
func (c *child) alive() error {
	select {
	case <-c.ended:
		said, _ := os.ReadFile(c.log) // what it said is a courtesy
		return fmt.Errorf("%s ended (%v): %s", c.name, c.err, tail(said, 2000))
	default:
		return nil
	}
}

// tail returns the end of text.
func tail(text []byte, n int) string {
	text = bytes.TrimSpace(text)
	return string(text[max(0, len(text)-n):])
}

// stat is what /proc/PID/stat says.
type stat struct {
	pid, parent  int
	user, system int64 // ticks
}

// parseStat reads the text of /proc/PID/stat. The program's name stands in
// parentheses and may hold anything, parentheses too.
func parseStat(text string) (stat, error) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("no program name in %q", text)
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 13 {
		return stat{}, fmt.Errorf("too few fields in %q", text)
	}
	var s stat
	var errs [4]error
	s.pid, errs[0] = strconv.Atoi(strings.TrimSpace(text[:open]))
	s.parent, errs[1] = strconv.Atoi(fields[1])
	s.user, errs[2] = strconv.ParseInt(fields[11], 10, 64)
	s.system, errs[3] = strconv.ParseInt(fields[12], 10, 64)
	return s, errors.Join(errs[:]...)
}

// tree returns pid and all processes below it.
func tree(pid int) ([]stat, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	byParent := map[int][]stat{}
	var all []stat
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		s, err := parseStat(string(text))
		if err != nil {
			return nil, err
		}
		if s.pid == pid {
			all = append(all, s)
		}
		byParent[s.parent] = append(byParent[s.parent], s)
	}
	for i := 0; i < len(all); i++ {
		all = append(all, byParent[all[i].pid]...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("process %d is gone", pid)
	}
	return all, nil
}

// usage is what a process tree has used.
type usage struct {
	cpu          time.Duration
	user, system int64 // ticks; coarse, for their ratio only
	pids         string
}

// used returns what the tree of pid has used until now.
//
// The sum comes from the CPU clock of each process: the same accounting as in
// /proc/PID/stat, threads that ended included, but in nanoseconds where stat cuts
// to ticks of 10 ms.
func used(pid int) (usage, error) {
	var u usage
	all, err := tree(pid)
	if err != nil {
		return u, err
	}
	var pids []string
	for _, s := range all {
		t, err := cpuClock(s.pid)
		if err != nil {
			return u, fmt.Errorf("CPU clock of process %d: %w", s.pid, err)
		}
		u.cpu += t
		u.user += s.user
		u.system += s.system
		pids = append(pids, strconv.Itoa(s.pid))
	}
	u.pids = strings.Join(pids, ",")
	return u, nil
}

// cpuClock returns the CPU time of one process.
func cpuClock(pid int) (time.Duration, error) {
	// clock_getcpuclockid(3): the process's number inverted, and 2 for the
	// scheduler's own count.
	clock := int32(^pid)<<3 | 2
	var t syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return 0, errno
	}
	return time.Duration(t.Nano()), nil
}

// resident returns the sum of a line of /proc/PID/status over a tree, in bytes:
// VmRSS is now, VmHWM the most since resetPeak. Memory that processes of a tree
// share counts for each of them.
func resident(pid int, line string) (int64, error) {
	all, err := tree(pid)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, s := range all {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
		if err != nil {
			return 0, err
		}
		n, err := parseStatus(string(text), line)
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", s.pid, err)
		}
		sum += n
	}
	return sum, nil
}

// parseStatus returns a line of /proc/PID/status that counts kilobytes, in bytes.
func parseStatus(text, line string) (int64, error) {
	for row := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(row, line+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no line %s", line)
}

// resetPeak makes VmHWM begin anew.
func resetPeak(pid int) error {
	all, err := tree(pid)
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.pid), []byte("5"), 0); err != nil {
			return err
		}
	}
	return nil
}

// raiseFiles lets this process and its children open n files. It returns how
// many there may be.
func raiseFiles(n uint64) (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Max < n {
		// Only root may; without it, the most there is.
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err == nil {
			return n, nil
		}
		n = limit.Max
	}
	// Set in any case: Go gives children the limit it found unless it was set.
	err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: limit.Max})
	return n, err
}

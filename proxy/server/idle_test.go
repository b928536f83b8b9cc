package server

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// idleClients is run in a process of its own, so that its memory doesn't count:
// it opens connections to the address, sends a request on each, says that it is
// ready, and holds them until its input ends.
func idleClients(address, count, scheme string) {
	n, err := strconv.Atoi(count)
	for i := 0; err == nil && i < n; i++ {
		var c net.Conn
		if scheme == "https" {
			c, err = tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		} else {
			c, err = net.Dial("tcp", address)
		}
		if err != nil {
			break
		}
		defer c.Close()
		for range 3 {
			fmt.Fprint(c, "GET /nothing HTTP/1.1\r\nHost: localhost\r\nUser-Agent: "+strings.Repeat("x", 300)+"\r\n\r\n")
			if _, err = io.ReadAtLeast(c, make([]byte, 4096), 20); err != nil {
				break
			}
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// resident returns the process's anonymous memory.
func resident(t testing.TB) int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc here")
	}
	var size, rss, shared int64
	fmt.Sscan(string(text), &size, &rss, &shared)
	return (rss - shared) * int64(os.Getpagesize())
}

// inUse returns heap and stacks in use.
func inUse() int64 {
	for range 6 { // stacks shrink by half in each collection
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// idleMemory returns the bytes of one idle connection, of n.
func idleMemory(t testing.TB, scheme string, n int) (used, pages int64) {
	extra := fmt.Sprintf("limits = { connections = %d }\n", n+10)
	if scheme == "https" {
		cert, key := selfSigned(t)
		extra += fmt.Sprintf("tls = { certificates = [{ cert = %q, key = %q }] }\n", cert, key)
	}
	g := start(t, extra)
	g.records.all = make([]record, 0, 4*n)
	before, pagesBefore := inUse(), resident(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "POSTERN_IDLE="+g.Addrs()["public"].String()+" "+strconv.Itoa(n)+" "+scheme)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close()
		cmd.Wait()
	}()
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the clients say %q", line)
	}
	for g.Stats().InFlight > 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // the last ones get from their reply to waiting
	used = (inUse() - before) / int64(n)
	return used, (resident(t) - pagesBefore) / int64(n)
}

// An idle connection costs little: no buffers, no large stack.
func TestIdleMemory(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector needs memory of its own")
	}
	n := 500
	if s := os.Getenv("POSTERN_IDLE_CONNECTIONS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	// Of the latter, 3.5 KiB are what crypto/tls keeps of a hello with a post-quantum
	// key share, which other clients don't send.
	for scheme, limit := range map[string]int64{"http": 8 << 10, "https": 13 << 10} {
		t.Run(scheme, func(t *testing.T) {
			used, pages := idleMemory(t, scheme, n)
			t.Logf("%d idle connections: %d bytes each in heap and stacks, %d resident", n, used, pages)
			if used > limit {
				t.Errorf("%d bytes, want at most %d", used, limit)
			}
		})
	}
}

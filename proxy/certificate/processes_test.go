package certificate

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
	"github.com/postern-gateway/postern/proxy/config"
)

// process is another process with a keeper of its own: this test's program, once
// more, which runs TestOtherProcess.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

// told is what such a process tells at its end.
type told struct {
	Orders  int64
	Serials map[string][]string // of the certificates that it served, by name
}

const otherProcess = "POSTERN_TEST_KEEPER" // the folder of its configuration, and of the store

func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], "-test.run=^TestOtherProcess$", "-test.count=1")}
	p.cmd.Env = append(os.Environ(), otherProcess+"="+dir)
	p.cmd.Stderr = os.Stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // perhaps it ended
		_ = p.cmd.Wait()         // likewise
	})
	return p
}

// end has the process end, and returns what it tells.
func (p *process) end() told {
	p.t.Helper()
	_ = p.stdin.Close() // which it waits for
	line, err := p.out.ReadString('\n')
	var all told
	if err == nil {
		err = json.Unmarshal([]byte(line), &all)
	}
	if err != nil {
		p.t.Fatalf("the other process says %q: %v", line, err)
	}
	return all
}

// TestOtherProcess is what another process does. It is no test by itself.
func TestOtherProcess(t *testing.T) {
	dir := os.Getenv(otherProcess)
	if dir == "" {
		t.Skip("it is run by other tests")
	}
	cfg, findings := config.Load(filepath.Join(dir, "postern.toml"))
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	k := New(Options{Store: NewDirectory(filepath.Join(dir, "store")), Logger: zap.NewNop()})
	defer k.Close()
	apply(t, k, cfg)
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is closed
		close(ended)
	}()
	all := told{Serials: map[string][]string{}}
	for {
		for name := range cfg.Domain {
			if c := k.Find(name); c != nil {
				if serial := c.Leaf.SerialNumber.Text(16); !slices.Contains(all.Serials[name], serial) {
					all.Serials[name] = append(all.Serials[name], serial)
				}
			}
		}
		select {
		case <-ended:
			all.Orders = k.Figures().Orders
			text, err := json.Marshal(all)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println(string(text))
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Three processes with one folder get each certificate once, and renew it once,
// whichever of them does; all of them serve each.
func TestProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFront(t, Options{Store: NewDirectory(filepath.Join(dir, "store"))})
	ca := f.pebble(pebbletest.Options{Life: time.Minute})
	domains := []string{"a.postern.test", "b.postern.test", "c.postern.test"}
	cfg := load(t, dir, ca.Config("renew_window = 90"), domains...)
	others := []*process{startProcess(t, dir), startProcess(t, dir)}
	apply(t, f.Keeper, cfg)
	first := map[string]string{}
	for _, d := range domains {
		first[d] = f.got(d).SerialNumber.Text(16)
	}
	until(t, "renewals", func() bool {
		return !slices.ContainsFunc(domains, func(d string) bool { return f.Find(d).Leaf.SerialNumber.Text(16) == first[d] })
	})
	time.Sleep(500 * time.Millisecond) // for the others to see the last one
	orders := f.Figures().Orders
	serials := map[string]bool{}
	for _, d := range domains {
		serials[first[d]], serials[f.Find(d).Leaf.SerialNumber.Text(16)] = true, true
	}
	for _, p := range others {
		all := p.end()
		orders += all.Orders
		for _, d := range domains {
			if len(all.Serials[d]) == 0 {
				t.Errorf("another process has nothing for %s", d)
			}
			for _, s := range all.Serials[d] {
				serials[s] = true
			}
		}
	}
	// Orders that were placed as we looked may have no certificates yet.
	if n := int64(len(serials)); orders < n || orders > n+int64(len(domains)) {
		t.Errorf("%d orders for %d certificates", orders, n)
	}
	if text := strings.Join(f.Missing(), "\n"); text != "" {
		t.Error(text)
	}
}

// A process that is killed in the middle of an order doesn't keep its name from
// others: one of them gets the certificate, some seconds later.
func TestProcessKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFront(t, Options{Store: NewDirectory(filepath.Join(dir, "store")), Logger: zap.NewNop()})
	ca := f.pebble(pebbletest.Options{})
	cfg := load(t, dir, ca.Config(""), "a.postern.test")
	ca.Pause()
	began := time.Now()
	killed := startProcess(t, dir)
	claim := filepath.Join(dir, "store", claimDir, "name_a.postern.test")
	until(t, "a claim", func() bool { _, err := os.Stat(claim); return err == nil })
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.cmd.Wait() // it was killed
	ca.Resume()
	apply(t, f.Keeper, cfg)
	f.got("a.postern.test")
	if took := time.Since(began); took < leaseTime/2 || took > 4*leaseTime {
		t.Errorf("after %v; a claim is for %v", took, leaseTime)
	}
	if n := f.Figures().Orders; n != 1 {
		t.Errorf("%d orders", n)
	}
}

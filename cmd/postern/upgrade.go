package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/postern-gateway/postern/proxy/usage"
)

// An upgrade: the old process starts the binary of its own path with its
// sockets and one end of a connection between the two. The new one loads the
// configuration, serves, and says so; the old one tells systemd, answers that it
// is going, and drains. At each moment one of them accepts connections, or both.
// Only one can have the state: the old one lets go of it when the new one wants to
// begin to serve, and tells it what it counts from then on.
// If the new one says anything else, or ends, the old one serves on.

// handoverVariable is the environment variable with a handover.
const handoverVariable = "POSTERN_HANDOVER"

// handover is what the new process has to know. Descriptor 3 is the connection,
// those after it are the sockets.
type handover struct {
	Sockets []*inherited `json:"sockets"`
}

// firstPassed is the descriptor after standard input, output and error.
const firstPassed = 3

// message is what the two tell each other, one JSON object each way.
type message struct {
	Ready   bool     `json:"ready,omitempty"`   // new: it serves
	Reasons []string `json:"reasons,omitempty"` // new: why it doesn't
	Go      bool     `json:"go,omitempty"`      // old: the place is yours
	Stop    bool     `json:"stop,omitempty"`    // old: it took too long, end

	Release  bool             `json:"release,omitempty"`  // new: it wants the state
	Released bool             `json:"released,omitempty"` // old: nobody has it now
	Counted  []usage.Requests `json:"counted,omitempty"`  // old: after Go, what it still counted
}

// binary is what an upgrade starts: the path that this process was started by,
// as it is now. A path that leads through a symbolic link stays one, so that
// changing the link changes the version.
func binary() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	called, err := exec.LookPath(os.Args[0])
	if err != nil {
		return own, nil
	}
	if called, err = filepath.Abs(called); err != nil {
		return own, nil
	}
	a, errA := os.Stat(own)
	b, errB := os.Stat(called)
	if errA == nil && errB == nil && os.SameFile(a, b) {
		return called, nil
	}
	return own, nil
}

// How long the new process may take.
const (
	upgradePatience = 2 * time.Minute  // until it serves; new plugins are compiled meanwhile
	leavePatience   = 15 * time.Second // to end when it is not wanted
)

// upgrade starts the binary in this process's place. When it returns without an
// error the new process, whose number it returns, serves; this one has to drain.
// Else nothing changed.
func (g *gateway) upgrade(ctx context.Context, path string, s *streams) (pid int, err error) {
	sockets, err := g.sharedSockets()
	defer func() {
		for _, socket := range sockets {
			if socket.From != fromSystemd {
				_ = socket.file.Close() // a duplicate; the new process has its own
			}
		}
	}()
	if err != nil {
		return 0, err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return 0, err
	}
	given := false // to who tells the new process what is counted here
	defer func() {
		if !given {
			_ = ours.Close() // all is said
		}
	}()
	cmd := exec.Command(path, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, file(s.out), file(s.err)
	cmd.ExtraFiles = []*os.File{theirs}
	for _, socket := range sockets {
		cmd.ExtraFiles = append(cmd.ExtraFiles, socket.file)
	}
	plan, err := json.Marshal(handover{Sockets: sockets})
	if err != nil {
		return 0, err
	}
	cmd.Env = append(cleanEnvironment(os.Environ()), handoverVariable+"="+string(plan))
	err = cmd.Start()
	_ = theirs.Close() // the new process has its own
	if err != nil {
		return 0, fmt.Errorf("start the new process: %w", err)
	}
	g.journal.Info("upgrade: the new process starts", zap.String("binary", path), zap.Int("pid", cmd.Process.Pid))
	if err := g.hear(ctx, ours); err != nil {
		_ = json.NewEncoder(ours).Encode(message{Stop: true}) // it may have ended
		if state := dismiss(cmd); state != "" {
			err = fmt.Errorf("%w (the new process: %s)", err, state)
		}
		g.reclaim()
		return 0, err
	}
	pid = cmd.Process.Pid
	g.shared.Store(true)
	g.supervisor.yield(pid)
	if err := json.NewEncoder(ours).Encode(message{Go: true}); err != nil {
		// It hears of our end in any case.
		g.journal.Warn("upgrade: the new process doesn't listen to this one any more", zap.Error(err))
	}
	go func() { _ = cmd.Wait() }() // should it end before this process does
	if g.lent {
		given = true
		g.telling.Go(func() { g.tell(ours, g.done) })
	}
	return pid, nil
}

// sharedSockets returns everything that this process listens on. The caller closes
// the duplicates among them.
func (g *gateway) sharedSockets() ([]*inherited, error) {
	all := g.sockets.passed()
	public, err := g.server.Sockets()
	add := func(socket *inherited) {
		var problem error
		if socket.file, problem = unblocking(socket.file); problem == nil {
			all = append(all, socket)
		}
		err = errors.Join(err, problem)
	}
	for _, socket := range public {
		add(&inherited{From: fromListener, Name: socket.Name, Address: socket.Address, file: socket.File})
	}
	if err != nil {
		return all, err
	}
	admin, err := g.admin.File()
	if admin != nil {
		add(&inherited{From: fromAdmin, Address: g.admin.Address(), file: admin})
	}
	return all, err
}

// unblocking returns f's descriptor in a file that leaves it as it is, and closes f.
// What package net returns makes it block when it is passed to a process (os.File.Fd),
// and with it the socket of everybody: this process would hang in accept, deaf to Close.
func unblocking(f *os.File) (*os.File, error) {
	defer f.Close() // a duplicate is kept
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var failed error
	if err := raw.Control(func(own uintptr) { fd, failed = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, fmt.Errorf("duplicate %s: %w", f.Name(), failed)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// socketPair returns a connection between two processes: this one's end, and the
// other's.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	// With the fork lock no other child can inherit them before they are marked.
	syscall.ForkLock.RLock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("connect to the new process: %w", err)
	}
	end := os.NewFile(uintptr(pair[0]), "upgrade")
	theirs = os.NewFile(uintptr(pair[1]), "upgrade")
	ours, err = net.FileConn(end)
	_ = end.Close() // ours is a duplicate
	if err != nil {
		_ = theirs.Close() // of no use alone
		return nil, nil, fmt.Errorf("connect to the new process: %w", err)
	}
	return ours, theirs, nil
}

// hear waits for the new process to say that it serves, and lets it have the state
// if it asks.
func (g *gateway) hear(ctx context.Context, c net.Conn) error {
	if err := c.SetReadDeadline(time.Now().Add(upgradePatience)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	words := json.NewDecoder(io.LimitReader(c, 1<<20))
	var m message
	err := words.Decode(&m)
	for err == nil && m.Release {
		if why := g.lend(); why != nil {
			g.journal.Error("the state didn't end well", zap.Error(why)) // it is closed all the same
		}
		if err = json.NewEncoder(c).Encode(message{Released: true}); err == nil {
			m = message{}
			err = words.Decode(&m)
		}
	}
	switch {
	case ctx.Err() != nil:
		return ErrStopping
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the new process didn't serve within %v", upgradePatience)
	case len(m.Reasons) > 0:
		return errors.New(strings.Join(m.Reasons, "; "))
	case err != nil || !m.Ready:
		return errors.New("the new process ended before it served")
	}
	return nil
}

// dismiss ends a new process that isn't wanted, and says how it ended.
func dismiss(cmd *exec.Cmd) string {
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	kill := time.AfterFunc(leavePatience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait() // the state says it all
	if cmd.ProcessState == nil {
		return ""
	}
	return cmd.ProcessState.String()
}

// file returns what a child can write to directly, nil for nothing.
func file(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok {
		return f
	}
	return nil
}

// cleanEnvironment leaves out what systemd said to this process only.
func cleanEnvironment(all []string) []string {
	var kept []string
	for _, v := range all {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case handoverVariable, "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES":
		default:
			kept = append(kept, v)
		}
	}
	return kept
}

// predecessor is the process whose place this one takes. Its methods do nothing
// on nil: there is none.
type predecessor struct {
	conn  net.Conn
	words *json.Decoder // of conn
}

// inherit returns the process before and the sockets that it shares, or nil and
// what systemd passed.
func inherit() (*predecessor, *sockets, error) {
	text := os.Getenv(handoverVariable)
	if text == "" {
		return nil, activated(), nil
	}
	_ = os.Unsetenv(handoverVariable) // nobody else is to read it
	var plan handover
	if err := json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&plan); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", handoverVariable, err)
	}
	s := &sockets{all: plan.Sockets}
	for i, socket := range s.all {
		fd := firstPassed + 1 + i
		syscall.CloseOnExec(fd)
		socket.file = os.NewFile(uintptr(fd), socket.Name)
	}
	syscall.CloseOnExec(firstPassed)
	end := os.NewFile(firstPassed, "upgrade")
	defer end.Close() // the connection is a duplicate
	conn, err := net.FileConn(end)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: descriptor %d: %w", handoverVariable, firstPassed, err)
	}
	return &predecessor{conn: conn, words: json.NewDecoder(conn)}, s, nil
}

// fail tells why this process doesn't serve.
func (p *predecessor) fail(reasons []string) {
	if p == nil {
		return
	}
	_ = json.NewEncoder(p.conn).Encode(message{Reasons: reasons}) // they are on stderr, too
	_ = p.conn.Close()
}

func (p *predecessor) close() {
	if p != nil {
		_ = p.conn.Close() // a second time, perhaps
	}
}

// ready tells that this process serves and waits for the answer: true when the
// place is this process's, as it is when the one before has died meanwhile.
func (p *predecessor) ready() bool {
	if p == nil {
		return true
	}
	if err := json.NewEncoder(p.conn).Encode(message{Ready: true}); err != nil {
		return true
	}
	var answer message
	_ = p.words.Decode(&answer) // an error means that it has died
	return !answer.Stop
}

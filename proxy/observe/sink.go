package observe

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// DefaultBuffer is how many bytes of lines a sink holds while they wait to
	// be written. As much again may be on its way to the file.
	DefaultBuffer = 1 << 20

	// gather is how long a first line waits for company: one write call for
	// all lines of that time, and no wake-up of the writer for each.
	gather = 50 * time.Millisecond

	// warnEvery is the shortest time between two warnings about lost lines.
	warnEvery = time.Minute

	// closePatience is how long Close and Flush wait for a file that doesn't
	// take its lines.
	closePatience = 2 * time.Second
)

// SinkOptions say what a sink writes and how much it holds.
type SinkOptions struct {
	Name   string      // for messages: "access log"
	Target string      // "stdout", "stderr", a file's path, or a syslog server's address
	Buffer int         // bytes; 0 takes DefaultBuffer
	Gather bool        // lines wait up to 50 ms for company
	Logger *zap.Logger // gets one warning when lines begin to be lost

	// Stdout and Stderr are what the two names mean. Default: the process's.
	Stdout, Stderr io.Writer
}

// Sink takes whole lines from request goroutines, which never wait for a file:
// one goroutine writes what gathered, and lines that don't fit into the buffer
// meanwhile are counted and dropped. It implements zapcore.WriteSyncer.
//
// All methods are safe for concurrent use.
type Sink struct {
	// Set at construction.
	options SinkOptions
	wake    chan struct{} // one token: there is something to write
	lost    chan struct{} // one token: lines begin to be lost
	stop    chan struct{} // closed by Close
	done    chan struct{} // closed when the writing goroutine ended
	warned  chan struct{} // closed when the warning goroutine ended

	dropped atomic.Uint64
	losing  atomic.Bool // the operator was told a short while ago

	current atomic.Pointer[target] // changed by the writer only
	next    atomic.Pointer[target] // opened, for the writer to take over
	named   atomic.Pointer[string] // name of the newest target

	mu      sync.Mutex // guards what follows
	pending []byte
	spare   []byte
	closed  bool
	writing bool
	waiters []chan struct{} // Flush calls that wait for the writer to be idle
}

// target is an opened destination.
type target struct {
	out   io.Writer
	owned io.Closer // out, when it is ours to close
	torn  bool      // the last write ended inside a line; the writer's alone
}

func (t *target) close() {
	if t != nil && t.owned != nil {
		_ = t.owned.Close() // every write reported its own error
	}
}

// NewSink opens the target and starts the goroutine that writes to it.
func NewSink(o SinkOptions) (*Sink, error) {
	if o.Buffer == 0 {
		o.Buffer = DefaultBuffer
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	s := &Sink{
		options: o,
		wake:    make(chan struct{}, 1), lost: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}), warned: make(chan struct{}),
	}
	first, err := s.open(o.Target)
	if err != nil {
		return nil, err
	}
	s.current.Store(first)
	s.named.Store(&o.Target)
	go s.write()
	go s.warn()
	return s, nil
}

func (s *Sink) open(name string) (*target, error) {
	switch name {
	case "stdout":
		return &target{out: s.options.Stdout}, nil
	case "stderr":
		return &target{out: s.options.Stderr}, nil
	}
	if strings.HasPrefix(name, syslogPrefix) {
		out, err := newSyslog(name, s.options.Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.options.Name, err)
		}
		return &target{out: out, owned: out}, nil
	}
	// 0640: logs hold addresses of clients.
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.options.Name, err)
	}
	return &target{out: f, owned: f}, nil
}

// Write queues line, which must end in a newline, and returns at once. A line
// that doesn't fit is dropped and counted; that is no error.
func (s *Sink) Write(line []byte) (int, error) {
	s.mu.Lock()
	before, after := len(s.pending), len(s.pending)+len(line)
	if s.closed || after > s.options.Buffer {
		s.mu.Unlock()
		s.drop(1)
		return len(line), nil
	}
	s.pending = append(s.pending, line...)
	s.mu.Unlock()
	// A quarter full is no time to wait for company any more.
	if quarter := s.options.Buffer / 4; before == 0 || (before < quarter && after >= quarter) {
		s.rouse()
	}
	return len(line), nil
}

// rouse wakes the writer.
func (s *Sink) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// drop counts lines that nobody will read and has the operator told.
func (s *Sink) drop(lines uint64) {
	s.dropped.Add(lines)
	if s.losing.Swap(true) {
		return
	}
	select {
	case s.lost <- struct{}{}:
	default:
	}
}

// Dropped returns how many lines were lost so far.
func (s *Sink) Dropped() uint64 { return s.dropped.Load() }

// Target returns the destination that lines go to.
func (s *Sink) Target() string { return *s.named.Load() }

// Switch makes name the destination of what is written from now on; naming the
// present one opens it anew, as after a rotation. On an error nothing changes.
func (s *Sink) Switch(name string) error {
	t, err := s.open(name)
	if err != nil {
		return err
	}
	s.named.Store(&name)
	s.next.Swap(t).close() // one that the writer never came to use
	s.rouse()              // it may be blocked now, and takes over before its next write
	return nil
}

// Sync implements zapcore.WriteSyncer; it is Flush.
func (s *Sink) Sync() error { return s.Flush() }

// Flush waits until what was written before has left, 2 s at most.
func (s *Sink) Flush() error {
	s.mu.Lock()
	if s.closed || (len(s.pending) == 0 && !s.writing) {
		s.mu.Unlock()
		return nil
	}
	idle := make(chan struct{})
	s.waiters = append(s.waiters, idle)
	s.mu.Unlock()
	s.rouse()
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	select {
	case <-idle:
		return nil
	case <-s.done:
		return nil
	case <-patience.C:
		return fmt.Errorf("%s: %s doesn't take its lines", s.options.Name, s.Target())
	}
}

// Close writes what is left and ends the goroutines. When the file doesn't take
// the lines within 2 s, they are lost and Close returns an error.
func (s *Sink) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.stop)
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	for _, ended := range []chan struct{}{s.done, s.warned} {
		select {
		case <-ended:
			continue
		case <-patience.C:
		}
		s.interrupt()
		return fmt.Errorf("%s: %s doesn't take its lines, the last ones are lost", s.options.Name, s.Target())
	}
	return nil
}

// interrupt ends a write that hangs, if the kind of file allows it: a pipe
// does. With a blocked terminal the goroutine stays until the process ends.
func (s *Sink) interrupt() {
	deadline, can := s.current.Load().out.(interface{ SetWriteDeadline(time.Time) error })
	if can && deadline.SetWriteDeadline(time.Now()) == nil {
		<-s.done
	}
}

// write is the goroutine that writes.
func (s *Sink) write() {
	defer close(s.done)
	for {
		select {
		case <-s.wake:
			s.linger()
			s.writeAll()
		case <-s.stop:
			s.writeAll()
			s.takeOver()
			s.current.Load().close()
			return
		}
	}
}

// linger lets lines gather, unless somebody waits for them.
func (s *Sink) linger() {
	s.mu.Lock()
	hurry := len(s.waiters) > 0 || len(s.pending) == 0
	s.mu.Unlock()
	if !s.options.Gather || hurry {
		return
	}
	pause := time.NewTimer(gather)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-s.stop:
	case <-s.wake: // Flush, Switch, or much to write
	}
}

// writeAll writes what gathered, until nothing is left.
func (s *Sink) writeAll() {
	for {
		s.takeOver()
		s.mu.Lock()
		lines := s.pending
		s.writing = len(lines) > 0
		if !s.writing {
			for _, idle := range s.waiters {
				close(idle)
			}
			s.waiters = nil
			s.mu.Unlock()
			return
		}
		s.pending, s.spare = s.spare[:0], nil
		s.mu.Unlock()

		s.writeLines(s.current.Load(), lines)

		s.mu.Lock()
		s.spare = lines[:0]
		s.mu.Unlock()
	}
}

// takeOver makes the target that Switch opened the present one.
func (s *Sink) takeOver() {
	if next := s.next.Swap(nil); next != nil {
		s.current.Swap(next).close()
	}
}

// writeLines writes lines and counts those that the file didn't take whole.
func (s *Sink) writeLines(t *target, lines []byte) {
	if t.torn {
		if _, err := t.out.Write([]byte{'\n'}); err != nil {
			s.drop(uint64(bytes.Count(lines, []byte{'\n'})))
			return
		}
		t.torn = false
	}
	n, err := t.out.Write(lines)
	if err == nil {
		return
	}
	n = min(max(n, 0), len(lines))
	if n > 0 {
		t.torn = lines[n-1] != '\n'
	}
	s.drop(uint64(bytes.Count(lines[n:], []byte{'\n'})))
}

// warn is the goroutine that tells the operator: neither a request nor the
// writer, which may be the one that hangs, can wait for another log.
func (s *Sink) warn() {
	defer close(s.warned)
	for {
		select {
		case <-s.lost:
		case <-s.stop:
			return
		}
		s.options.Logger.Warn("log lines are lost: the destination is full, broken or too slow",
			zap.String("log", s.options.Name), zap.String("destination", s.Target()),
			zap.Uint64("lost", s.Dropped()))
		select {
		case <-time.After(warnEvery):
			s.losing.Store(false)
		case <-s.stop:
			return
		}
	}
}

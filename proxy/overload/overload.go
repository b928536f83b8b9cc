// Package overload watches the process's memory and file descriptors, so that
// the server can do less before the kernel makes it do nothing.
package overload

import (
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Level says how close memory is to its limit.
type Level uint32

// The levels.
const (
	Calm     Level = iota
	Strained       // connections are not kept
	Shedding       // requests are refused
)

// String returns "calm", "strained" or "shedding".
func (l Level) String() string {
	switch l {
	case Strained:
		return "strained"
	case Shedding:
		return "shedding"
	}
	return "calm"
}

// The marks, in thousandths of a limit. A level ends markSlack below where it
// begins, so that it doesn't flicker.
const (
	strainedMark = 920
	sheddingMark = 950
	markSlack    = 20
)

// sampleEvery is how often the figures are read; one reading takes some 20 µs.
const sampleEvery = 100 * time.Millisecond

// collectEvery is the least time between two collections that pressure forces.
const collectEvery = 5 * time.Second

// Usage is how much of something limited is used, in its own unit.
type Usage struct {
	Used  uint64
	Limit uint64 // 0: there is none
}

// thousandths returns the share that is used.
func (u Usage) thousandths() uint64 {
	if u.Limit == 0 {
		return 0
	}
	if u.Used > math.MaxUint64/1000 {
		return math.MaxUint64
	}
	return u.Used * 1000 / u.Limit
}

// Options are what a Monitor needs.
type Options struct {
	// Memory returns the usages of which the worst counts. Default: live memory of
	// the Go runtime against GOMEMLIMIT, and the process's own pages against the
	// limit of its control group.
	Memory func() []Usage
	// Group is that limit in bytes, 0 for none.
	Group uint64
	// Files returns the limit of file descriptors, 0 for none. Default: RLIMIT_NOFILE.
	Files func() uint64
	// Collect gives unused memory back to the system. Default: debug.FreeOSMemory.
	Collect func()
	// Changed is told each change of level, on a goroutine of the Monitor's. May be nil.
	Changed func(level Level, worst Usage)
}

// Monitor samples memory and keeps the level. Level and FileMark are safe for
// concurrent use, on a nil Monitor too, which is always calm.
type Monitor struct {
	options  Options
	level    atomic.Uint32
	worst    [2]atomic.Uint64 // used, limit
	fileMark atomic.Int64
	stop     chan struct{}
	stopped  sync.WaitGroup

	collected time.Time // owned by the sampling goroutine
}

// New starts a Monitor. Close ends it.
func New(o Options) *Monitor {
	m := &Monitor{options: o, stop: make(chan struct{})}
	if m.options.Memory == nil {
		m.options.Memory = newReader(o.Group).memory
	}
	if m.options.Files == nil {
		m.options.Files = fileLimit
	}
	if m.options.Collect == nil {
		m.options.Collect = debug.FreeOSMemory
	}
	m.sample(time.Now())
	m.stopped.Go(m.run)
	return m
}

// Close stops the sampling and waits for its end.
func (m *Monitor) Close() {
	close(m.stop)
	m.stopped.Wait()
}

// Level returns the current level. It costs one atomic load.
func (m *Monitor) Level() Level {
	if m == nil {
		return Calm
	}
	return Level(m.level.Load())
}

// Worst returns the memory usage that decides about the level.
func (m *Monitor) Worst() Usage {
	if m == nil {
		return Usage{}
	}
	return Usage{Used: m.worst[0].Load(), Limit: m.worst[1].Load()}
}

// FileMark returns the lowest file descriptor that a client's connection must
// not have, so that a reserve is left for backends and files. The kernel gives
// out the lowest one that is free: its number tells how many are in use.
func (m *Monitor) FileMark() int {
	if m == nil {
		return math.MaxInt
	}
	return int(m.fileMark.Load())
}

func (m *Monitor) run() {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.stop:
			return
		case now := <-tick.C:
			m.sample(now)
		}
	}
}

func (m *Monitor) sample(now time.Time) {
	m.fileMark.Store(fileMark(m.options.Files()))
	worst := m.read()
	was := m.Level()
	level := judge(was, worst)
	// Much of it may be garbage that the runtime keeps for later.
	if level > Calm && now.Sub(m.collected) > collectEvery {
		m.collected = now
		m.options.Collect()
		worst = m.read()
		level = judge(level, worst)
	}
	m.worst[0].Store(worst.Used)
	m.worst[1].Store(worst.Limit)
	if level == was {
		return
	}
	m.level.Store(uint32(level))
	if m.options.Changed != nil {
		m.options.Changed(level, worst)
	}
}

func (m *Monitor) read() (worst Usage) {
	for _, u := range m.options.Memory() {
		if u.Limit > 0 && (worst.Limit == 0 || u.thousandths() > worst.thousandths()) {
			worst = u
		}
	}
	return worst
}

// judge returns the level that follows was.
func judge(was Level, worst Usage) Level {
	share := worst.thousandths()
	for level := Shedding; level > Calm; level-- {
		mark := uint64(strainedMark)
		if level == Shedding {
			mark = sheddingMark
		}
		if was >= level {
			mark -= markSlack
		}
		if share >= mark {
			return level
		}
	}
	return Calm
}

// Of the file descriptors, a tenth is kept for backends, but no more than
// maxFileReserve.
const (
	fileReserve    = 10
	maxFileReserve = 1024
)

func fileMark(limit uint64) int64 {
	if limit == 0 || limit > math.MaxInt32 {
		return math.MaxInt64
	}
	return int64(limit - min(limit/fileReserve, maxFileReserve))
}

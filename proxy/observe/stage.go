package observe

import (
	"sync/atomic"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// stage records the exchanges of one stage. Everything that a record needs is
// bound when the stage is first seen, but for where its lines go.
type stage struct {
	// Set at construction.
	observer *Observer
	name     stageName
	prefix   string // api and stage, already encoded
	series   *series

	way     atomic.Pointer[way] // nil for the gateway's access log
	methods methodTable
}

// way is where the lines of a stage go, and how they look.
type way struct {
	format    *format // nil for the gateway's own line
	shared    bool    // lines go where the gateway's go
	access    *Sink   // else; nil for nowhere
	execution *Sink   // nil for nowhere
}

// Record implements proxy.Recorder. Safe for concurrent use; it allocates
// nothing unless the exchange failed.
func (s *stage) Record(ex *proxy.Exchange) {
	s.series.record(ex)
	s.log(ex)
	if ex.Trace.Sampled {
		s.observer.export(ex)
	}
}

// log writes the access line of ex.
func (s *stage) log(ex *proxy.Exchange) {
	o, w := s.observer, s.way.Load()
	if w == nil || w.shared && w.format == nil {
		o.log(s.prefix, ex)
		return
	}
	sink := w.access
	if w.shared {
		sink = o.access.Load()
	}
	if sink == nil {
		return
	}
	line := o.line()
	if w.format != nil {
		if ex.Route == nil { // context variables rely on one
			ex.Route = &proxy.Route{Stage: ex.Stage}
			defer func() { ex.Route = nil }()
		}
		*line = w.format.append((*line)[:0], ex)
	} else {
		*line = appendLine((*line)[:0], s.prefix, &o.stamps, ex)
	}
	_, _ = sink.Write(*line) // it counts what it drops
	o.lines.Put(line)
}

// Method returns the recorder of one route of the stage, as c has it, or nil if the
// stage's will do.
func (s *stage) Method(route string, c *config.Stage) proxy.Recorder {
	m := &method{stage: s}
	own := c.Settings(route)
	if log := c.Log; log != nil && log.Execution != nil {
		m.level, m.data = levelOf(log.Execution.Level), log.Execution.DataTrace
	}
	if own.LogLevel != "" {
		m.level = levelOf(own.LogLevel)
	}
	if own.DataTrace != nil {
		m.data = *own.DataTrace
	}
	detailed := c.Metrics
	if own.Metrics != nil {
		detailed = *own.Metrics
	}
	if detailed {
		m.series = s.methods.bind(route)
	}
	if m.level == levelOff && m.series == nil {
		return nil
	}
	return m
}

// method records the exchanges of one route that has more to record than its stage.
type method struct {
	// Set at construction.
	stage  *stage
	series *methodSeries // nil unless its figures are wanted by themselves
	level  level
	data   bool
}

// Record implements proxy.Recorder. Safe for concurrent use.
func (m *method) Record(ex *proxy.Exchange) {
	m.stage.Record(ex)
	if m.series != nil {
		m.series.record(ex)
	}
	if m.level == levelInfo || m.level == levelError && ex.Fault != nil {
		m.execution(ex)
	}
}

// unmatched records the exchanges that no stage took.
type unmatched struct {
	observer *Observer
	faults   faultCounters
}

// Record implements proxy.Recorder. Safe for concurrent use.
func (u *unmatched) Record(ex *proxy.Exchange) {
	kind := proxy.NoFault
	if ex.Fault != nil {
		kind = ex.Fault.Kind
	}
	u.faults.inc(kind)
	u.observer.log("", ex)
}

var (
	_ proxy.Recorder = (*stage)(nil)
	_ proxy.Recorder = (*method)(nil)
	_ proxy.Recorder = (*unmatched)(nil)
)

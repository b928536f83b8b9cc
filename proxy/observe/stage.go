package observe

import (
	"github.com/postern-gateway/postern/proxy"
)

// stage records the exchanges of one stage. Everything that a record needs is
// bound when the stage is first seen.
type stage struct {
	observer *Observer
	prefix   string // api and stage, already encoded
	series   *series
}

// Record implements proxy.Recorder. Safe for concurrent use; it allocates
// nothing unless the exchange failed.
func (s *stage) Record(ex *proxy.Exchange) {
	s.series.record(ex)
	s.observer.log(s.prefix, ex)
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
	_ proxy.Recorder = (*unmatched)(nil)
)

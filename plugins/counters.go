package plugins

import (
	"sync/atomic"
	"time"
)

// counters are a plugin's figures, shared by all its versions.
type counters struct {
	calls     atomic.Uint64
	traps     atomic.Uint64
	deadlines atomic.Uint64
	busy      atomic.Uint64
	started   atomic.Uint64
	logsLost  atomic.Uint64
	refused   atomic.Uint64
	unhealthy atomic.Bool
	instances atomic.Int64
	memory    atomic.Int64
	queued    atomic.Int64 // nanoseconds
	shown     shownMetrics // its own
}

func (c *counters) read(name string) Stats {
	return Stats{
		Name: name, Calls: c.calls.Load(), Traps: c.traps.Load(), Deadlines: c.deadlines.Load(),
		Busy: c.busy.Load(), Queued: time.Duration(c.queued.Load()), Started: c.started.Load(), LogsLost: c.logsLost.Load(),
		Refused: c.refused.Load(), Unhealthy: c.unhealthy.Load(),
		Instances: c.instances.Load(), Memory: c.memory.Load(),
	}
}

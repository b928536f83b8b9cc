package plugins

import (
	"github.com/postern-gateway/postern/plugins/meter"
)

const (
	// sliceTime is how long one slice of fuel should last, in nanoseconds: how
	// long a guest may hold up the collector, and by how much it may miss its
	// deadline.
	sliceTime = 250_000
	minSlice  = 10_000
	maxSlice  = 4_000_000
	// freeSlice is what a call gets before it has to wait for a turn.
	freeSlice = 20_000
)

// refuel checks the deadline and returns the fuel for the next slice, which
// follows the speed of the guest's code: an instruction may be an addition or a
// cache miss, and the meter counts a loop's whole body for each turn.
func (in *instance) refuel(reason int32) int32 {
	if reason == meter.TooDeep {
		panic(errDepth)
	}
	now := in.plugin.host.now()
	in.checkDeadline(now)
	if in.lastTick == 0 { // enough for most calls
		in.lastTick = now
		return freeSlice
	}
	if in.lastSlice == in.slice {
		switch spent := now - in.lastTick; {
		case spent < sliceTime/2:
			in.slice = min(in.slice*2, maxSlice)
		case spent > sliceTime*2:
			in.slice = max(in.slice/2, minSlice)
		}
	}
	in.nextTurn()
	now = in.plugin.host.now()
	in.checkDeadline(now)
	in.lastTick, in.lastSlice = now, in.slice
	return in.slice
}

// checkDeadline ends the call when its time is over.
func (in *instance) checkDeadline(now int64) {
	if now >= in.deadline {
		in.missed = true
		panic(errDeadline)
	}
}

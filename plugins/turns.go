package plugins

import (
	"runtime"
	"time"
)

// turns bounds how many guests compute at the same time once their calls have
// taken longer than a slice of fuel: one processor stays free of them. Guests
// that have much to do take turns, slice by slice, in the order in which they
// came; everybody else, who is done within a slice, never meets a queue. Starting
// an instance takes a turn too.
type turns chan struct{}

func newTurns() turns { return make(turns, max(1, runtime.GOMAXPROCS(0)-1)) }

// nextTurn lets others compute, and waits for in's next turn or its deadline.
func (in *instance) nextTurn() {
	in.endTurn()
	turns := in.plugin.host.turns
	select {
	case turns <- struct{}{}: // nobody waits for a turn; others may for the processor
		in.computing = true
		runtime.Gosched()
		return
	default:
	}
	if in.alarm == nil {
		in.alarm = time.NewTimer(in.left())
	} else {
		in.alarm.Reset(in.left())
	}
	select {
	case turns <- struct{}{}:
		in.computing = true
	case <-in.alarm.C:
	}
	in.alarm.Stop()
}

// endTurn ends in's turn, if it has one: its call is over, or waits for
// something else than the processor.
func (in *instance) endTurn() {
	if in.computing {
		in.computing = false
		<-in.plugin.host.turns
	}
}

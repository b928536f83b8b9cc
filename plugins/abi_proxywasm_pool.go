package plugins

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/postern-gateway/postern/proxy"
)

// boundPool is the pool of a plugin whose guests remember an exchange from its
// request to its response: whoever began with an instance has to come back to
// it. Between its calls an exchange holds nothing, so that few instances serve
// many exchanges that wait for their backends; new ones go to the instance that
// remembers the fewest.
//
// An instance that traps takes what it remembers with it. As long as there are
// no more exchanges than max_instances, that is one exchange.
type boundPool struct {
	plugin     *plugin
	most       int // instances
	commons    *wasmCommons
	background *wasmBackground

	mu       sync.Mutex // guards what follows, and instance.seat
	all      []*instance
	coming   int                // instances that are being made
	waiting  []*seatWait        // for any instance
	shown    map[uint32]*metric // metrics that are on the metrics page, by the guests' numbers
	trimming *time.Timer        // runs trim; nil before there was something to trim
	closed   bool
}

// seat is what a boundPool knows of one of its instances.
type seat struct {
	busy    bool
	gone    bool  // nobody new comes to it
	guests  int   // exchanges that it remembers
	due     int64 // its next tick, in the host's monotonic time; 0 for none
	waiting []*seatWait
}

// seatWait is somebody who waits, with room for the instance that he gets: nil
// when the one that he waits for is gone, or when he is to make a new one.
type seatWait struct{ got chan *instance }

// errLost is why an exchange can't go on when another one's call ended the
// instance that remembered it.
var errLost = errors.New("the instance that knew the request ended")

func newBoundPool(p *plugin, most int, commons *wasmCommons) *boundPool {
	b := &boundPool{plugin: p, most: max(1, most), commons: commons}
	b.background = newWasmBackground(b)
	return b
}

// take returns an instance for an exchange that no instance knows.
func (b *boundPool) take(ctx context.Context) (*instance, error) {
	b.mu.Lock()
	best, room := b.freest()
	switch {
	case best != nil && (best.seat.guests == 0 || !room):
		best.seat.busy = true
		b.mu.Unlock()
		return best, nil
	case room:
		b.coming++
		b.mu.Unlock()
		return b.grow()
	}
	q := &seatWait{make(chan *instance, 1)}
	b.waiting = append(b.waiting, q)
	b.mu.Unlock()
	in, err := b.wait(ctx, q, &b.waiting, b.plugin.wait)
	if in == nil && err == nil {
		return b.grow()
	}
	return in, err
}

// freest returns the idle instance that remembers the fewest exchanges, and
// whether there may be one more instance.
func (b *boundPool) freest() (best *instance, room bool) {
	count := b.coming
	for i := len(b.all) - 1; i >= 0; i-- {
		in := b.all[i]
		if in.seat.gone {
			continue
		}
		count++
		if in.seat.busy {
			continue
		}
		if in.seat.guests == 0 {
			return in, false
		}
		if best == nil || in.seat.guests < best.seat.guests {
			best = in
		}
	}
	return best, count < b.most
}

// grow makes the instance that coming counts already.
func (b *boundPool) grow() (*instance, error) {
	in, err := newInstance(b.plugin)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.coming--
	if err != nil {
		b.invite()
		return nil, err
	}
	in.seat = seat{busy: true, gone: b.closed}
	b.all = append(b.all, in)
	b.note(in)
	return in, nil
}

// invite has the first who waits for any instance make one, if there is room.
func (b *boundPool) invite() {
	if len(b.waiting) == 0 {
		return
	}
	if _, room := b.freest(); room {
		b.coming++
		pop(&b.waiting).got <- nil
	}
}

// retake returns to in, which take returned before and which was given back
// since. It fails with errLost when in is no more.
func (b *boundPool) retake(in *instance) error {
	b.mu.Lock()
	switch {
	case !slices.Contains(b.all, in):
		b.mu.Unlock()
		return &failure{"lost", errLost}
	case !in.seat.busy:
		in.seat.busy = true
		b.mu.Unlock()
		return nil
	}
	q := &seatWait{make(chan *instance, 1)}
	in.seat.waiting = append(in.seat.waiting, q)
	b.mu.Unlock()
	// Who has begun waits a little longer than who hasn't: for one call of another.
	got, err := b.wait(context.Background(), q, &in.seat.waiting, max(b.plugin.wait, time.Second))
	if got == nil && err == nil {
		return &failure{"lost", errLost}
	}
	return err
}

// wait waits in a queue for what q gets, at most limit.
func (b *boundPool) wait(ctx context.Context, q *seatWait, queue *[]*seatWait, limit time.Duration) (*instance, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var err error
	select {
	case in := <-q.got:
		return in, nil
	case <-ctx.Done():
		err = proxy.Fault{Kind: proxy.ClientGone, Cause: ctx.Err()}
	case <-timer.C:
		err = b.plugin.busy
	}
	b.mu.Lock()
	at := slices.Index(*queue, q)
	if at >= 0 {
		*queue = slices.Delete(*queue, at, at+1)
	}
	b.mu.Unlock()
	if at < 0 { // it came at the last moment
		return <-q.got, nil
	}
	if err == b.plugin.busy {
		b.plugin.counters.busy.Add(1)
	}
	return nil, err
}

// give takes an instance back. One whose call failed, as err says, is never used
// again, and what it remembers is lost.
func (b *boundPool) give(in *instance, err error) {
	g, now := in.proxyWasm, b.plugin.host.now()
	worn := in.worn(now)
	b.mu.Lock()
	seat := &in.seat
	in.idle = now
	if g != nil {
		seat.guests = len(g.streams) - g.lingering
	}
	if err != nil || seat.guests == 0 && (worn || seat.gone || b.closed) {
		b.remove(in)
		b.mu.Unlock()
		if g != nil {
			for _, s := range g.streams {
				s.request.poke()
				s.response.poke()
			}
		}
		in.close()
		return
	}
	seat.gone = seat.gone || worn || b.closed
	b.note(in)
	if len(seat.waiting) > 0 {
		pop(&seat.waiting).got <- in
	} else if len(b.waiting) > 0 && !seat.gone {
		pop(&b.waiting).got <- in
	} else {
		seat.busy = false
		if len(b.all) > keepIdle && b.trimming == nil && !b.closed {
			b.trimming = time.AfterFunc(idleTime, b.trim)
		}
	}
	b.mu.Unlock()
}

// remember notes that in, which the caller has taken, remembers one exchange more,
// until forget. Guests of proxy-wasm count their exchanges themselves.
func (b *boundPool) remember(in *instance) {
	b.mu.Lock()
	defer b.mu.Unlock()
	in.seat.guests++
}

// forget is the opposite of remember, for those who have taken nothing.
func (b *boundPool) forget(in *instance) {
	b.mu.Lock()
	in.seat.guests--
	last := in.seat.gone && b.free(in) && slices.Contains(b.all, in)
	if last {
		b.remove(in)
	}
	b.mu.Unlock()
	if last {
		in.close()
	}
}

// free reports whether nobody needs in, or would miss what it remembers.
func (b *boundPool) free(in *instance) bool { return !in.seat.busy && in.seat.guests == 0 }

// trim closes the instances that nobody has wanted for idleTime, but for
// keepIdle.
func (b *boundPool) trim() {
	now := b.plugin.host.now()
	b.closeIf(func(in *instance) bool { return len(b.all) > keepIdle && now-in.idle >= int64(idleTime) }, b.most)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trimming = nil
	if len(b.all) > keepIdle && !b.closed {
		b.trimming = time.AfterFunc(idleTime, b.trim)
	}
}

// dropIdle closes an instance that nobody needs.
func (b *boundPool) dropIdle() bool {
	return b.closeIf(func(*instance) bool { return true }, 1) > 0
}

func (b *boundPool) idleCount() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, in := range b.all {
		if b.free(in) {
			n++
		}
	}
	return n
}

// closeIf closes up to most instances that nobody needs and that are as f says. It
// returns how many those were.
func (b *boundPool) closeIf(f func(in *instance) bool, most int) int {
	var closing []*instance
	b.mu.Lock()
	for _, in := range slices.Clone(b.all) {
		if len(closing) < most && b.free(in) && f(in) {
			b.remove(in)
			closing = append(closing, in)
		}
	}
	b.mu.Unlock()
	for _, in := range closing {
		in.close()
	}
	return len(closing)
}

// note remembers when an instance wants to be called without a request.
func (b *boundPool) note(in *instance) {
	if in.proxyWasm == nil {
		return // only the guests of that ABI have a clock
	}
	if due := in.proxyWasm.due; due != in.seat.due {
		in.seat.due = due
		b.background.look()
	}
}

// due returns the instances whose tick is due, and how long it is until the next.
func (b *boundPool) due() (due []*instance, next time.Duration) {
	next = time.Hour
	now := b.plugin.host.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, in := range b.all {
		switch {
		case in.seat.due == 0:
		case in.seat.due <= now:
			due = append(due, in)
		default:
			next = min(next, time.Duration(in.seat.due-now))
		}
	}
	return due, next
}

func pop(queue *[]*seatWait) *seatWait {
	first := (*queue)[0]
	*queue = slices.Delete(*queue, 0, 1)
	return first
}

// remove forgets in and tells who waits: for in, that it is gone; for any, that
// there is room for one more.
func (b *boundPool) remove(in *instance) {
	if at := slices.Index(b.all, in); at >= 0 {
		b.all = slices.Delete(b.all, at, at+1)
	}
	for _, q := range in.seat.waiting {
		q.got <- nil
	}
	in.seat.waiting = nil
	b.invite()
}

// add puts a new idle instance into the pool, unless that is closed.
func (b *boundPool) add(in *instance) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.all = append(b.all, in)
	b.note(in)
	return true
}

// close ends what runs in the background and the idle instances; those at work
// end when they are given back.
func (b *boundPool) close() {
	b.background.stop()
	b.mu.Lock()
	b.closed = true
	if b.trimming != nil {
		b.trimming.Stop() // one that runs already finds nothing to close
	}
	var idle []*instance
	for _, in := range slices.Clone(b.all) {
		in.seat.gone = true
		if !in.seat.busy {
			b.remove(in)
			idle = append(idle, in)
		}
	}
	b.mu.Unlock()
	for _, in := range idle {
		in.close()
	}
}

// retake returns to an instance of a plugin whose guests remember exchanges.
func (p *plugin) retake(in *instance) error { return p.bound.retake(in) }

// lend gives an instance back between the parts of a call, or after one that isn't
// counted. It was no failure.
func (p *plugin) lend(in *instance) {
	if a := in.account; a != nil {
		took := p.host.now() - in.began
		a.processor.Add(took)
		a.hostCalls.Add(in.hostCalls)
		if in.ex != nil && !in.late {
			in.ex.Notes.PluginTime += time.Duration(took)
		}
		in.account = nil
	}
	in.end()
	p.bound.give(in, nil)
}

// commonsOf returns what the plugins called name share. The caller holds h.mu.
func (h *Host) commonsOf(name string) *wasmCommons {
	c := h.commons[name]
	if c == nil {
		c = &wasmCommons{}
		if h.commons == nil {
			h.commons = map[string]*wasmCommons{}
		}
		h.commons[name] = c
	}
	c.refs++
	return c
}

// dropCommons forgets what p shared, if there is nobody else to share it with.
func (h *Host) dropCommons(p *plugin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := p.bound.commons
	if c.refs--; c.refs == 0 {
		delete(h.commons, p.name)
	}
}

package plugins

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/plugins/manifest"
	"github.com/postern-gateway/postern/proxy"
)

// plugin is one configured plugin: a module, its options and its pool of
// instances. It lives while a generation or a snapshot's step refers to it.
type plugin struct {
	// Set at construction.
	host       *Host
	name       string
	identity   string // of name, module and options
	module     *module
	manifest   *manifest.Manifest // nil when the module has none
	logger     *zap.Logger
	counters   *counters
	roles      uint32 // bits of abi.Role…
	optional   bool   // on_error = "continue"
	config     string // JSON, or what config_text says
	rootID     string // which plugin of a proxy-wasm module it is
	function   string // of an Extism module; "" for the usual names
	payload    string // what that takes and makes
	environ    []string
	timeout    time.Duration // of one call; 0 takes the role's default
	wait       time.Duration // for an instance
	memoryMark uint64        // bytes of linear memory above which an instance is replaced
	binding    bindingABI    // the module's ABI, if it is one; else nil
	bound      *boundPool    // instead of slots and idle, if guests remember exchanges; else nil
	busy, full error         // the faults for who gets no instance
	breaker    breaker

	// Set by grant.
	grants  grants
	pace    *pace // of its calls; nil for none
	tooMany error // the fault for who comes too fast

	// Set by warm: how calls are kept apart, which content the guest wants, and how.
	isolation                     isolation
	readsRequests, readsResponses bool
	// Integrations: the guest reads requests' content as it comes, sends its answer as
	// it makes it.
	pulls, sends bool

	refs int // guarded by host.mu

	logs logLimit

	mu       sync.Mutex  // guards what follows
	slots    slots       // for instances at work
	idle     []*instance // the longest idle one first
	trimming *time.Timer // runs trim; nil before there was something to trim
	closed   bool
}

// take returns an instance, a used one or a new one. It waits for the plugin's
// turn at most p.wait. The error is a Fault (Overloaded, ClientGone) or, when a
// new instance doesn't start or the plugin is unhealthy, a *failure.
func (p *plugin) take(ctx context.Context) (*instance, error) {
	if p.pace != nil && !p.pace.admit(p.host.now()) {
		p.counters.busy.Add(1)
		return nil, p.tooMany
	}
	if p.breaker.open.Load() && !p.breaker.admit(p.host.now()) {
		p.counters.refused.Add(1)
		return nil, &failure{"unhealthy", errUnhealthy}
	}
	in, err := p.acquire(ctx)
	if err != nil {
		how := neither
		if f := (*failure)(nil); errors.As(err, &f) {
			how = failing
			p.count(err)
			p.report(err)
		}
		p.tellBreaker(how, err)
	}
	return in, err
}

// acquire is take without the breaker.
func (p *plugin) acquire(ctx context.Context) (*instance, error) {
	if p.bound != nil {
		return p.bound.take(ctx)
	}
	p.mu.Lock()
	if !p.slots.take() {
		if err := p.waitForSlot(ctx); err != nil {
			return nil, err
		}
		p.mu.Lock()
	}
	if n := len(p.idle); n > 0 {
		in := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return in, nil
	}
	p.mu.Unlock()
	in, err := newInstance(p)
	if err != nil {
		p.freeSlot()
		return nil, err
	}
	return in, nil
}

// waitForSlot unlocks p.mu and waits.
func (p *plugin) waitForSlot(ctx context.Context) error {
	place, ready := p.slots.queue()
	p.mu.Unlock()
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	began := p.host.now()
	defer func() { p.counters.queued.Add(p.host.now() - began) }()
	var err error
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		err = proxy.Fault{Kind: proxy.ClientGone, Cause: ctx.Err()}
	case <-timer.C:
		p.counters.busy.Add(1)
		err = p.busy
	}
	p.mu.Lock()
	p.slots.leave(place, ready)
	p.mu.Unlock()
	return err
}

func (p *plugin) freeSlot() {
	p.mu.Lock()
	p.slots.free()
	p.mu.Unlock()
}

// working is how many instances are at work.
func (p *plugin) working() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slots.taken
}

// give takes back what take returned. err is how its call ended: an instance
// whose call failed is never used again, because its memory is in no known state.
func (p *plugin) give(in *instance, err error) {
	if p.bound != nil && err != nil && !errors.As(err, new(*failure)) {
		err = nil // it is the exchange's that failed, between two calls
	}
	p.count(err)
	p.tellBreaker(outcomeOf(err), err)
	now := in.settle(err)
	in.end()
	if err != nil {
		p.report(err)
	}
	if p.bound != nil {
		p.bound.give(in, err)
		return
	}
	if err == nil && p.reusable(in, now) {
		p.mu.Lock()
		kept := p.shelve(in, now)
		if kept {
			p.slots.free()
		}
		p.mu.Unlock()
		if kept {
			return
		}
	}
	in.close()
	p.freeSlot()
}

// keep puts in among the idle instances, as p's isolation wants it, unless its
// time is over. now is the host's.
func (p *plugin) keep(in *instance, now int64) bool {
	if p.bound != nil {
		return p.bound.add(in)
	}
	if !p.reusable(in, now) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shelve(in, now)
}

// reusable reports whether in may serve another call, and makes it ready for that.
func (p *plugin) reusable(in *instance, now int64) bool {
	return p.isolation != isolationFresh && !in.worn(now) && (p.isolation != isolationReset || in.reset() == nil)
}

// shelve is keep for an instance that is ready; p.mu is held.
func (p *plugin) shelve(in *instance, now int64) bool {
	if p.closed {
		return false
	}
	in.idle = now
	p.idle = append(p.idle, in)
	if len(p.idle) > keepIdle && p.trimming == nil {
		p.trimming = time.AfterFunc(idleTime, func() { p.trim(p.host.now()) })
	}
	return true
}

// trim closes the instances that nobody has wanted for idleTime, but for
// keepIdle: what a burst needed isn't kept for ever.
func (p *plugin) trim(now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trimming = nil
	if p.closed {
		return
	}
	for len(p.idle) > keepIdle && now-p.idle[0].idle >= int64(idleTime) {
		p.idle[0].close()
		p.idle = slices.Delete(p.idle, 0, 1)
	}
	if len(p.idle) > keepIdle {
		p.trimming = time.AfterFunc(idleTime, func() { p.trim(p.host.now()) })
	}
}

// dropIdle closes the instance that has been idle for longest.
func (p *plugin) dropIdle() bool {
	if p.bound != nil {
		return p.bound.dropIdle()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return false
	}
	p.idle[0].close()
	p.idle = slices.Delete(p.idle, 0, 1)
	return true
}

// idleCount is how many instances dropIdle could close.
func (p *plugin) idleCount() int {
	if p.bound != nil {
		return p.bound.idleCount()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

func (p *plugin) count(err error) {
	p.counters.calls.Add(1)
	if err == nil {
		return
	}
	var f *failure
	switch {
	case errors.As(err, &f) && f.what == "deadline":
		p.counters.deadlines.Add(1)
	default:
		p.counters.traps.Add(1)
	}
}

// close ends the idle instances; those at work end when they are given back.
func (p *plugin) close() {
	p.grants.close(p.host)
	if p.bound != nil {
		p.bound.close()
		p.host.dropCommons(p)
		return
	}
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.trimming != nil {
		p.trimming.Stop() // one that runs already finds the plugin closed
	}
	p.mu.Unlock()
	for _, in := range idle {
		in.close()
	}
}

// limit is the time for one call in a role whose default is fallback.
func (p *plugin) limit(fallback time.Duration) time.Duration {
	if p.timeout > 0 {
		return p.timeout
	}
	return fallback
}

const (
	// idleTime is for how long an instance may wait for a call when there are
	// more than keepIdle.
	idleTime = time.Minute
	keepIdle = 1
)

// errBusy is why a request got no instance.
var errBusy = errors.New("all instances are at work")

package plugins

import (
	"context"
	"errors"
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
	config     string // JSON
	environ    []string
	timeout    time.Duration // of one call; 0 takes the role's default
	wait       time.Duration // for an instance
	memoryMark uint64        // bytes of linear memory above which an instance is replaced
	slots      chan struct{} // one element for each instance at work
	busy       error         // the fault for who gets no instance

	// Which content the guest wants; set by warm.
	readsRequests, readsResponses bool

	refs int // guarded by host.mu

	logs logLimit

	mu     sync.Mutex // guards what follows
	idle   []*instance
	closed bool
}

// take returns an instance, a used one or a new one. It waits for the plugin's
// turn at most p.wait. The error is a Fault (Overloaded, ClientGone) or, when a
// new instance doesn't start, a *failure.
func (p *plugin) take(ctx context.Context) (*instance, error) {
	select {
	case p.slots <- struct{}{}:
	default:
		if err := p.waitForSlot(ctx); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
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
		<-p.slots
		p.count(err)
		return nil, err
	}
	return in, nil
}

func (p *plugin) waitForSlot(ctx context.Context) error {
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return proxy.Fault{Kind: proxy.ClientGone, Cause: ctx.Err()}
	case <-timer.C:
		p.counters.busy.Add(1)
		return p.busy
	}
}

// give takes back what take returned. err is how its call ended: an instance
// whose call failed is never used again, because its memory is in no known state.
func (p *plugin) give(in *instance, err error) {
	p.count(err)
	in.end()
	if err != nil || in.worn() || !p.keep(in) {
		in.close()
	}
	<-p.slots
}

// keep puts in among the idle instances, unless the plugin is closed.
func (p *plugin) keep(in *instance) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.idle = append(p.idle, in)
	return true
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
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
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

// errBusy is why a request got no instance.
var errBusy = errors.New("all instances are at work")

package snapshot

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// lease is what steps hold of what outlives snapshots. It ends with the last snapshot
// that has them.
type lease struct {
	// Filled while they are built.
	onClose  []func()
	backends []proxy.Backend

	snapshots atomic.Int64
}

// take has l last at least as long as s. Nobody can have ended it yet.
func (s *Snapshot) take(l *lease) {
	l.snapshots.Add(1)
	s.onClose = append(s.onClose, l.leave)
}

// leave is one snapshot less.
func (l *lease) leave() {
	if l.snapshots.Add(-1) > 0 {
		return
	}
	for _, f := range slices.Backward(l.onClose) {
		f()
	}
}

// lease returns who holds what is being built of a version: the stage, or the version if
// its stages share it.
func (c *compiler) lease(v *version) *lease {
	if c.sharing > 0 || c.own == nil {
		return v.lease
	}
	return c.own
}

// shared is Build.Shared for what is built in v.
func (c *compiler) shared(v *version, key any, build func() any) any {
	if _, made := v.shared[key]; !made {
		c.sharing++
		v.shared[key] = build()
		c.sharing--
	}
	return v.shared[key]
}

// backend is Build.Backend.
func (c *compiler) backend(url string, options *config.Backend) (proxy.Backend, error) {
	b, err := c.options.Backend(url, options)
	if err != nil || b == nil || c.options.Keep == nil {
		return b, err
	}
	l := c.lease(c.version)
	if n := len(l.backends); n == 0 || l.backends[n-1] != b { // routes mostly have the same as the one before
		l.backends = append(l.backends, b)
	}
	return b, nil
}

// origin is what one side of a stage was made from.
type origin struct {
	deployed Deployed
	side     side
	leases   [2]*lease // its own, and its version's
}

// same reports whether d and s, of the same configuration, make the same of a stage.
func (o *origin) same(d Deployed, s side) bool {
	return o.deployed.Config == d.Config && o.deployed.Number == d.Number && maps.Equal(o.deployed.Plugins, d.Plugins) &&
		o.side.canaried == s.canaried && maps.Equal(o.side.variables, s.variables)
}

// open has c look at what the snapshot before has, until the returned function is called.
func (c *compiler) open(before *Snapshot) (leave func()) {
	if c.options.Keep != nil {
		c.snapshot.cfg = c.cfg
	}
	if before == nil || before.cfg == nil || before.cfg != c.snapshot.cfg || !before.Acquire() {
		return func() {}
	}
	c.before = before.stages
	return before.Release
}

// pipelines returns what is compiled of d for one side of a stage: what the snapshot
// before has of the same, or something new.
func (c *compiler) pipelines(api, name string, d Deployed, s side) *stage {
	old := c.before[api][name]
	if s.canary && old != nil {
		old = old.other
	}
	if old == nil || !old.origin.same(d, s) {
		return c.stage(api, name, d, s)
	}
	again := *old // whose routes never change
	again.canary, again.other, again.shadow = nil, nil, nil
	for _, l := range again.origin.leases {
		c.snapshot.take(l)
		for _, b := range l.backends {
			c.options.Keep(b)
		}
	}
	return &again
}

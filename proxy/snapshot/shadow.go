package snapshot

import "github.com/postern-gateway/postern/proxy"

// shadow is where copies of a stage's requests go.
type shadow struct {
	snapshot *Snapshot
	mirror   proxy.Mirror
	to       *stage
}

// Hold implements proxy.Shadow.
func (s *shadow) Hold() bool { return s.snapshot.Acquire() }

// Release implements proxy.Shadow.
func (s *shadow) Release() { s.snapshot.Release() }

// Enter implements proxy.Shadow.
func (s *shadow) Enter(ex *proxy.Exchange) (f proxy.Fault, ok bool) {
	view, why := checkPath(ex.In.Path)
	if why != acceptable {
		return refuse(why), false
	}
	return s.to.enter(ex, ex.Path, view)
}

// mirror returns who copies the requests of a stage; nil for nobody.
func (c *compiler) mirror(api, stage string) proxy.Mirror {
	configured := c.cfg.API[api].Stage[stage].Shadow
	if configured == nil || c.options.Mirror == nil {
		return nil
	}
	return c.options.Mirror(api, stage, configured)
}

// shadows leads the copies of an API's stages to others, once there are all.
func (c *compiler) shadows(api string) {
	for _, name := range sortedKeys(c.matched[api]) {
		st := c.matched[api][name]
		if st.mirror == nil {
			continue
		}
		target := c.cfg.API[api].Stage[name].Shadow.Stage
		to := c.matched[api][target]
		if to == nil {
			c.find([]string{"api", api, "stage", name, "shadow", "stage"}, "no such stage", listed("stages", sortedKeys(c.matched[api])))
			continue
		}
		st.shadow = &shadow{c.snapshot, st.mirror, to}
	}
}

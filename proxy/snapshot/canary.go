package snapshot

import (
	"math/rand/v2"

	"github.com/postern-gateway/postern/proxy"
)

// Running is what a stage runs.
type Running struct {
	All Deployed // what requests run that don't go to the canary
	// Canary is what the canary runs; nil for the same.
	Canary *Deployed
	// Variables are the stage's, in place of the configuration's; nil for those.
	Variables map[string]string
	// Percent of the requests go to the canary, in place of the configuration's; nil for
	// that.
	Percent *float64
}

// canary is what a share of a stage's requests run.
type canary struct {
	stage *stage
	share float64 // 0 to 1
}

// drawn reports whether one request goes to the canary. AWS: "the decision is made
// per request": nothing binds a client.
func (c *canary) drawn() bool { return rand.Float64() < c.share }

// stages compiles what a stage runs and what its canary does.
func (c *compiler) stages(api, name string) *stage {
	configured := c.cfg.API[api].Stage[name]
	var running Running
	if c.options.Running != nil {
		running = c.options.Running(api, name)
	}
	variables := configured.Variables
	if running.Variables != nil {
		variables = running.Variables
	}
	side := side{variables: variables, canaried: configured.Canary != nil, mirror: c.mirror(api, name)}
	if c.options.Undeployed && running.All.Config != nil {
		c.stage(api, name, Deployed{}, side)
	}
	st := c.pipelines(api, name, running.All, side)
	if configured.Canary == nil {
		return st
	}
	percent := float64(configured.Canary.Percent)
	if running.Percent != nil {
		percent = *running.Percent
	}
	if running.Canary == nil {
		running.Canary = &running.All
	}
	configured.Variables = variables
	side.variables, side.canary = configured.CanaryVariables(), true
	// A canary that gets nothing is compiled all the same, for what is wrong with it.
	st.other = c.pipelines(api, name, *running.Canary, side)
	if percent > 0 {
		st.canary = &canary{stage: st.other, share: percent / 100}
	}
	return st
}

// side is which of a stage's two pipelines is being compiled.
type side struct {
	variables map[string]string
	canaried  bool // there are two
	canary    bool
	mirror    proxy.Mirror // nil for none
}

// recorder returns who records the exchanges of one side of a stage.
func (c *compiler) recorder(api, stage string, s side) proxy.Recorder {
	find := c.options.Recorder
	if s.canary && c.options.CanaryRecorder != nil {
		find = c.options.CanaryRecorder
	}
	if find == nil {
		return discard{}
	}
	if r := find(api, stage); r != nil {
		return r
	}
	return discard{}
}

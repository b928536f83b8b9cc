package deployment

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Mode is what the configuration says of a stage.
type Mode struct {
	Follow   bool // a definition that it doesn't run is deployed at once
	Canaried bool // there is a canary: deployments go there, once the stage runs one
	// Of the canary.
	Percent   float64           // of the requests
	Overrides map[string]string // of variables
	Variables map[string]string // of the stage
}

// Share is how many of a stage's requests go to its canary.
type Share struct {
	Percent float64 `json:"percent"`
	// Over is what the configuration said then, in percent: when it says something else,
	// that counts.
	Over float64 `json:"over"`
}

// digest tells sets of variables apart.
func (m Mode) digest() string {
	text, _ := json.Marshal([]map[string]string{m.Variables, m.Overrides}) // strings can be written
	return sum(text)
}

// Promoted reports whether the stage runs with its canary's variables: those that it had
// when it was promoted.
func (s *Stage) Promoted(m Mode) bool { return m.Canaried && s.Took != "" && s.Took == m.digest() }

// heed forgets what was said while the gateway ran and doesn't fit the configuration any
// more, and reports whether there was any.
func (s *Stage) heed(m Mode) (changed bool) {
	if s.Share != nil && (!m.Canaried || s.Share.Over != m.Percent) {
		s.Share, changed = nil, true
	}
	if s.Took != "" && !s.Promoted(m) {
		s.Took, changed = "", true
	}
	if s.Canary != 0 && !m.Canaried {
		s.Canary, changed = 0, true
	}
	return changed
}

// canaried returns a stage that has a canary.
func (h *History) canaried(stage string, m Mode) (*Stage, error) {
	s, err := h.Stage(stage)
	if err == nil && !m.Canaried {
		err = fmt.Errorf("%w: stage %q of API %q has no canary; the configuration makes one: [api.%s.stage.%s.canary]", ErrNothing, stage, h.API, h.API, stage)
	}
	return s, err
}

// Promote has a stage run what its canary runs, with the canary's variables. No request
// goes to the canary any more until the next deployment to it. AWS: "Promote a canary
// release".
func (h *History) Promote(stage string, m Mode, at time.Time) error {
	s, err := h.canaried(stage, m)
	if err != nil {
		return err
	}
	if s.Canary == 0 && (len(m.Overrides) == 0 || s.Promoted(m)) {
		return fmt.Errorf("%w: the canary of stage %q of API %q runs what the stage runs; deploy to it first", ErrNothing, stage, h.API)
	}
	if s.Canary != 0 {
		s.run(s.Canary, at)
		s.Canary = 0
	}
	if len(m.Overrides) > 0 {
		s.Took = m.digest()
	}
	s.Share = &Share{Percent: 0, Over: m.Percent}
	return nil
}

// SetShare has another share of a stage's requests go to its canary.
func (h *History) SetShare(stage string, m Mode, percent float64) error {
	s, err := h.canaried(stage, m)
	if err != nil {
		return err
	}
	if math.IsNaN(percent) || percent < 0 || percent > 100 {
		return fmt.Errorf("%w: %g %% isn't a share: want 0 to 100", ErrInvalid, percent)
	}
	s.Share = &Share{Percent: percent, Over: m.Percent}
	return nil
}

// Disable takes from a canary what was deployed to it, and all requests, until the next
// deployment to it. now is the digest of the configuration's definition.
func (h *History) Disable(stage string, m Mode, now string) error {
	s, err := h.canaried(stage, m)
	if err != nil {
		return err
	}
	s.Canary, s.Share = 0, &Share{Percent: 0, Over: m.Percent}
	if h.digest(s.Deployment) != now {
		s.Held = now
	}
	return nil
}

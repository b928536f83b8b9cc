// Package deployment keeps what was deployed: documents of APIs that never change,
// numbered in the history of each API, and which of them each stage runs.
package deployment

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Errors of changes.
var (
	ErrUnknown = errors.New("unknown")                                    // there is no such API, stage or deployment
	ErrInUse   = errors.New("in use")                                     // a stage runs the deployment
	ErrNothing = errors.New("nothing to do")                              // there is nothing to go back to, or no canary
	ErrBusy    = errors.New("another deployment is under way; ask again") // one at a time
	ErrBroken  = errors.New("damaged")                                    // a file isn't what was written
	ErrInvalid = errors.New("what was asked for isn't right")             // a question that makes no sense
)

// Deployment is one deployment of an API.
type Deployment struct {
	Number  int       `json:"number"`
	Digest  string    `json:"digest"` // SHA-256 of its Document, in hex
	Created time.Time `json:"created"`
	By      string    `json:"by,omitempty"` // who asked for it; "" for a reload
	Message string    `json:"message,omitempty"`
}

// Stage is what a stage runs.
type Stage struct {
	Deployment int `json:"deployment"`
	// Canary is what its canary runs; 0 for what all run.
	Canary int `json:"canary,omitempty"`
	// Share is what goes to the canary, in place of what the configuration says; nil for
	// that.
	Share *Share `json:"share,omitempty"`
	// Took is set once the stage took over its canary's variables: the digest of those
	// and of the stage's own, which count again when they change.
	Took string `json:"took,omitempty"`
	// Held is the digest of the definition that a rollback turned away from: a stage
	// that follows the configuration does so again when this has changed.
	Held string `json:"held,omitempty"`
	// Past are the deployments it ran before, latest last.
	Past  []int     `json:"past,omitempty"`
	Since time.Time `json:"since"`
}

// maxPast is how far back a stage can be rolled without naming a deployment.
const maxPast = 50

// History is all that is known of an API's deployments. It isn't safe for concurrent
// use.
type History struct {
	API         string            `json:"api"`
	Next        int               `json:"next"`        // number; none is used twice
	Deployments []Deployment      `json:"deployments"` // in the order of their numbers
	Stages      map[string]*Stage `json:"stages"`
}

// NewHistory returns the history of an API that was never deployed.
func NewHistory(api string) *History {
	return &History{API: api, Next: 1, Stages: map[string]*Stage{}}
}

// Clone returns a copy that shares nothing.
func (h *History) Clone() *History {
	c := *h
	c.Deployments = slices.Clone(h.Deployments)
	c.Stages = make(map[string]*Stage, len(h.Stages))
	for name, s := range h.Stages {
		copied := *s
		copied.Past = slices.Clone(s.Past)
		c.Stages[name] = &copied
	}
	return &c
}

// Find returns the deployment of that number, nil if there is none.
func (h *History) Find(number int) *Deployment {
	i, found := slices.BinarySearchFunc(h.Deployments, number, func(d Deployment, n int) int { return d.Number - n })
	if !found {
		return nil
	}
	return &h.Deployments[i]
}

// digest returns that of a deployment, "" if there is none.
func (h *History) digest(number int) string {
	if d := h.Find(number); d != nil {
		return d.Digest
	}
	return ""
}

// Word is what a deployment is made with.
type Word struct {
	Digest  string
	By      string // "" for a reload
	Message string
	At      time.Time
}

// add makes a deployment and returns its number.
func (h *History) add(w Word) int {
	d := Deployment{Number: h.Next, Digest: w.Digest, Created: w.At.UTC().Truncate(time.Millisecond), By: w.By, Message: w.Message}
	h.Next++
	h.Deployments = append(h.Deployments, d)
	return d.Number
}

// Settle brings the stages to what the configuration has: those that were never
// deployed run its definition, and so do those that follow it. A stage that isn't among
// modes is forgotten. It reports whether anything changed.
func (h *History) Settle(modes map[string]Mode, w Word) bool {
	changed := false
	for name := range h.Stages {
		if _, there := modes[name]; !there {
			delete(h.Stages, name)
			changed = true
		}
	}
	names := make([]string, 0, len(modes))
	for name := range modes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		mode, s := modes[name], h.Stages[name]
		if s != nil && s.heed(mode) {
			changed = true
		}
		if s != nil && h.Find(s.Deployment) != nil && (!mode.Follow || s.Held == w.Digest || h.digest(s.newest()) == w.Digest) {
			continue
		}
		changed = true
		number := 0
		if n := len(h.Deployments); n > 0 && h.Deployments[n-1].Digest == w.Digest {
			number = h.Deployments[n-1].Number // another stage's
		} else {
			number = h.add(w)
		}
		h.put(name, number, mode.Canaried, w.At)
	}
	return changed
}

// newest returns the number of what was last deployed to s.
func (s *Stage) newest() int {
	if s.Canary != 0 {
		return s.Canary
	}
	return s.Deployment
}

// put has a stage, or its canary if it has one already, run a deployment.
func (h *History) put(name string, number int, canaried bool, at time.Time) {
	s := h.Stages[name]
	if s == nil {
		s = &Stage{}
		h.Stages[name] = s
	}
	s.Held = ""
	if canaried && h.Find(s.Deployment) != nil {
		s.Canary, s.Share = number, nil
		return
	}
	s.run(number, at)
}

// run has s run a deployment, and remember the one before.
func (s *Stage) run(number int, at time.Time) {
	if s.Deployment != 0 && s.Deployment != number {
		s.Past = append(s.Past, s.Deployment)
		if len(s.Past) > maxPast {
			s.Past = slices.Delete(s.Past, 0, len(s.Past)-maxPast)
		}
	}
	s.Deployment, s.Since = number, at.UTC().Truncate(time.Millisecond)
}

// Stage returns a stage by name.
func (h *History) Stage(name string) (*Stage, error) {
	if s := h.Stages[name]; s != nil {
		return s, nil
	}
	names := make([]string, 0, len(h.Stages))
	for name := range h.Stages {
		names = append(names, name)
	}
	slices.Sort(names)
	return nil, fmt.Errorf("%w: API %q has no stage %q; it has: %s", ErrUnknown, h.API, name, strings.Join(names, ", "))
}

// Deploy makes a deployment and has the stage run it, or its canary.
func (h *History) Deploy(stage string, canaried bool, w Word) (Deployment, error) {
	if _, err := h.Stage(stage); err != nil {
		return Deployment{}, err
	}
	number := h.add(w)
	h.put(stage, number, canaried, w.At)
	return *h.Find(number), nil
}

// Rollback has a stage run an older deployment: to, or for 0 the one that it ran
// before. now is the digest of the configuration's definition.
func (h *History) Rollback(stage string, to int, now string, at time.Time) error {
	s, err := h.Stage(stage)
	if err != nil {
		return err
	}
	if to == 0 {
		for len(s.Past) > 0 && to == 0 { // those that were removed meanwhile aren't there
			last := s.Past[len(s.Past)-1]
			s.Past = s.Past[:len(s.Past)-1]
			if last != s.Deployment && h.Find(last) != nil {
				to = last
			}
		}
		if to == 0 && s.Took != "" {
			s.Took = ""
			return nil
		}
		if to == 0 {
			return fmt.Errorf("%w: stage %q of API %q ran nothing before deployment %d; name one of \"postern deployments %s\"", ErrNothing, stage, h.API, s.Deployment, h.API)
		}
		s.Deployment = 0 // it isn't to be gone back to
	}
	if err := h.there(to); err != nil {
		return err
	}
	s.run(to, at)
	s.Held, s.Took = "", ""
	if h.digest(to) != now {
		s.Held = now
	}
	return nil
}

// there says so if there is no deployment of that number.
func (h *History) there(number int) error {
	if h.Find(number) != nil {
		return nil
	}
	return fmt.Errorf("%w: API %q has no deployment %d", ErrUnknown, h.API, number)
}

// Users returns the stages that run a deployment.
func (h *History) Users(number int) []string {
	var names []string
	for name, s := range h.Stages {
		if s.Deployment == number || s.Canary == number {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Delete removes a deployment that no stage runs.
func (h *History) Delete(number int) error {
	if err := h.there(number); err != nil {
		return err
	}
	if users := h.Users(number); len(users) > 0 {
		return fmt.Errorf("deployment %d of API %q is %w: stage %s", number, h.API, ErrInUse, strings.Join(users, ", "))
	}
	h.Deployments = slices.DeleteFunc(h.Deployments, func(d Deployment) bool { return d.Number == number })
	return nil
}

// Prune removes the oldest deployments until keep are left, but for those that stages
// run.
func (h *History) Prune(keep int) {
	spare := len(h.Deployments) - keep
	h.Deployments = slices.DeleteFunc(h.Deployments, func(d Deployment) bool {
		if spare <= 0 || len(h.Users(d.Number)) > 0 {
			return false
		}
		spare--
		return true
	})
}

package upstream

import (
	"cmp"
	"slices"
)

// Stats are the figures of one backend at one moment.
type Stats struct {
	Name    string // key in the configuration, or the URL's scheme://host:port
	Active  int64  // requests under way
	Waiting int64  // requests in the queue
	Full    bool   // further requests would be refused
	Refused uint64 // requests that were, so far
	Retries uint64 // further tries so far
	Spared  uint64 // further tries that the retry budget forbade so far
	Targets []TargetStats
}

// TargetStats are the figures of one target at one moment.
type TargetStats struct {
	Address   string
	Healthy   bool   // by health checks, if there are
	Ejected   bool   // left out because requests failed
	Ejections uint64 // how often, so far
	Open      int64  // connections, used and unused
	Idle      int64  // unused connections
	Active    int64  // requests under way
	Requests  uint64 // tries of requests so far
	Failures  uint64 // of these, those that failed so far
}

// Stats returns the figures of all backends, sorted by name. Backends with the
// same name, which differ in their TLS settings, are added up.
func (s *Set) Stats() []Stats {
	var all []Stats
	for _, b := range s.all() {
		all = append(all, b.stats())
	}
	slices.SortStableFunc(all, func(a, b Stats) int { return cmp.Compare(a.Name, b.Name) })
	merged := all[:0]
	for _, x := range all {
		if n := len(merged); n > 0 && merged[n-1].Name == x.Name {
			merged[n-1].add(x)
			continue
		}
		merged = append(merged, x)
	}
	return merged
}

func (b *backend) stats() Stats {
	s := Stats{Name: b.name, Retries: b.retried.Load()}
	b.budget.mu.Lock()
	s.Spared = b.budget.refused
	b.budget.mu.Unlock()
	b.mu.Lock()
	for _, t := range b.all {
		open, idle := t.figures()
		x := TargetStats{
			Address: t.address, Healthy: !t.sick, Ejected: t.ejected, Ejections: t.ejections,
			Open: int64(open), Idle: int64(idle), Active: t.busy(), Requests: t.begun.Load(), Failures: t.failed.Load(),
		}
		s.Active += x.Active
		s.Targets = append(s.Targets, x)
	}
	b.mu.Unlock()
	if g := b.gate; g != nil {
		g.mu.Lock()
		s.Waiting, s.Refused = int64(g.waiting), g.refused
		s.Full = g.waiting >= g.queue && (g.queue > 0 || g.requests > 0 && g.active >= g.requests)
		g.mu.Unlock()
	}
	slices.SortFunc(s.Targets, func(a, b TargetStats) int { return cmp.Compare(a.Address, b.Address) })
	return s
}

// add adds the figures of another backend of the same name.
func (s *Stats) add(x Stats) {
	s.Active += x.Active
	s.Waiting += x.Waiting
	s.Full = s.Full || x.Full
	s.Refused += x.Refused
	s.Retries += x.Retries
	s.Spared += x.Spared
	for _, t := range x.Targets {
		i := slices.IndexFunc(s.Targets, func(mine TargetStats) bool { return mine.Address == t.Address })
		if i < 0 {
			s.Targets = append(s.Targets, t)
			continue
		}
		mine := &s.Targets[i]
		mine.Healthy = mine.Healthy && t.Healthy
		mine.Ejected = mine.Ejected || t.Ejected
		mine.Ejections += t.Ejections
		mine.Open += t.Open
		mine.Idle += t.Idle
		mine.Active += t.Active
		mine.Requests += t.Requests
		mine.Failures += t.Failures
	}
}

package usage

import (
	"slices"
	"strconv"
	"sync/atomic"
)

// Lengths of an API key's value. AWS: "API Gateway quotas for configuring and running
// a REST API".
const (
	MinValue = 20
	MaxValue = 128
)

// Credential is an API key as requests find it, and what it has used of a plan: all
// that most keys have in two neighbouring cache lines, because there may be a million
// of them, in no cache. What else is known of it is in the store. Safe for concurrent
// use.
type Credential struct {
	sum    Sum
	plans  atomic.Pointer[planSet]
	shared *Account // what the configuration's key of that id has used; nil: own counts
	own    Account
}

// planSet are the numbers of a credential's plans, sorted. Credentials with the same
// plans share it.
type planSet struct{ numbers []uint32 }

// ID returns the key's id.
func (c *Credential) ID() string { return c.own.id }

// Enabled reports whether the key is any good.
func (c *Credential) Enabled() bool { return c.own.flags.Load()&isOff == 0 }

func (c *Credential) enable(enabled bool) {
	if enabled {
		c.own.flags.And(^isOff)
		return
	}
	c.own.flags.Or(isOff)
}

// gone reports whether the key was deleted.
func (c *Credential) gone() bool { return c.own.flags.Load()&isGone != 0 }

// accounts returns the first of c's accounts.
func (c *Credential) accounts() *Account {
	if c.shared != nil {
		return c.shared
	}
	return &c.own
}

// Plan returns the index in sorted, numbers of plans, of the first one that the
// key is in, or -1.
func (c *Credential) Plan(sorted []uint32) int {
	own := c.plans.Load().numbers
	for i, j := 0, 0; i < len(own) && j < len(sorted); {
		switch {
		case own[i] == sorted[j]:
			return j
		case own[i] < sorted[j]:
			i++
		default:
			j++
		}
	}
	return -1
}

// Plan is a plan as its keys and the metrics see it. It outlives configurations.
type Plan struct {
	Name   string
	Number uint32
	shards [planShards]planShard
}

// planShards is how many copies of its counters a plan has, so that processors don't
// pass the same memory back and forth. A power of two.
const planShards = 8

type planShard struct {
	passed, throttled, exceeded atomic.Uint64
	_                           [40]byte // the next one is on another cache line
}

// Passed counts a request that the plan let pass. Each connection has its shard.
func (p *Plan) Passed(shard uint8) { p.shards[shard%planShards].passed.Add(1) }

// Throttled counts a request that the plan's throttle refused.
func (p *Plan) Throttled(shard uint8) { p.shards[shard%planShards].throttled.Add(1) }

// Exceeded counts a request that the plan's quota refused.
func (p *Plan) Exceeded(shard uint8) { p.shards[shard%planShards].exceeded.Add(1) }

// PlanFigures are what a plan has counted.
type PlanFigures struct {
	Name                        string
	Passed, Throttled, Exceeded uint64
}

func (p *Plan) figures() PlanFigures {
	f := PlanFigures{Name: p.Name}
	for i := range p.shards {
		s := &p.shards[i]
		f.Passed += s.passed.Load()
		f.Throttled += s.throttled.Load()
		f.Exceeded += s.exceeded.Load()
	}
	return f
}

// Plan returns the plan of that name, the same one each time.
func (l *Ledger) Plan(name string) *Plan {
	l.names.Lock()
	defer l.names.Unlock()
	return l.plan(name)
}

func (l *Ledger) plan(name string) *Plan {
	p := l.plans[name]
	if p == nil {
		p = &Plan{Name: name, Number: uint32(len(l.plans))}
		l.plans[name] = p
		l.numbered = append(l.numbered, p)
	}
	return p
}

// allPlans returns the plans by their numbers.
func (l *Ledger) allPlans() []*Plan {
	l.names.Lock()
	defer l.names.Unlock()
	return l.numbered
}

// planSet returns the set of the plans called names.
func (l *Ledger) planSet(names []string) *planSet {
	l.names.Lock()
	defer l.names.Unlock()
	s := &planSet{}
	key := ""
	for _, name := range names {
		s.numbers = append(s.numbers, l.plan(name).Number)
	}
	slices.Sort(s.numbers)
	s.numbers = slices.Compact(s.numbers)
	for _, n := range s.numbers {
		key += strconv.FormatUint(uint64(n), 36) + ","
	}
	if known := l.sets[key]; known != nil {
		return known
	}
	l.sets[key] = s
	return s
}

// Bucket returns the bucket of that name, the same one each time, so that a reload
// fills none.
func (l *Ledger) Bucket(name string) *Bucket {
	l.names.Lock()
	defer l.names.Unlock()
	b := l.buckets[name]
	if b == nil {
		b = &Bucket{}
		l.buckets[name] = b
	}
	return b
}

// Method returns the number of the method of that name, for Account.Method.
func (l *Ledger) Method(name string) uint32 {
	l.names.Lock()
	defer l.names.Unlock()
	n, known := l.methods[name]
	if !known {
		n = uint32(len(l.methods))
		l.methods[name] = n
	}
	return n
}

// Declare adds a key that the configuration holds to an index of the configuration's
// own: it comes and goes with that. What it has used is that of the id, and stays.
func (l *Ledger) Declare(x *Index, id string, sum Sum, enabled bool, plans []string) *Credential {
	set := l.planSet(plans)
	l.names.Lock()
	shared := l.declared[id]
	if shared == nil {
		shared = &Account{id: id}
		l.declared[id] = shared
	}
	l.names.Unlock()
	return x.add(&sum, id, set, shared, !enabled)
}

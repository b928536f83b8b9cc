package upstream

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// balance is how a backend chooses among its targets.
type balance uint8

const (
	byTurn balance = iota // round robin
	byLoad                // the less busy one of two at random
	byHash                // the same one for the same value
)

// picks are the targets that may be chosen, and their shares. They are made
// anew whenever something changes, and never change themselves.
type picks struct {
	members []member
	turns   []uint16 // members in the order of their turns; nil: each has one
	refuse  bool     // there are no members because none is healthy
}

// member is one target with its share.
type member struct {
	*target
	weight int
	hash   uint64 // of its address
}

// maxShare is the largest weight in a schedule of turns.
const maxShare = 256

// newPicks returns the picks for members, whose weights are above 0.
func newPicks(members []member) *picks {
	p := &picks{members: members}
	if len(members) == 0 {
		return p
	}
	divisor, most := 0, 0
	for _, m := range members {
		divisor, most = gcd(divisor, m.weight), max(most, m.weight)
	}
	most /= divisor
	for i := range members {
		w := members[i].weight / divisor
		if most > maxShare {
			w = max(1, w*maxShare/most)
		}
		members[i].weight = w
	}
	if most > 1 {
		p.turns = schedule(members)
	}
	return p
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// schedule gives each member as many turns as its weight says, spread evenly:
// the turns of a member with weight w come at 1/2w, 3/2w, 5/2w … of a round.
func schedule(members []member) []uint16 {
	type turn struct {
		at     float64
		member uint16
	}
	var all []turn
	for i, m := range members {
		for k := range m.weight {
			all = append(all, turn{(float64(k) + 0.5) / float64(m.weight), uint16(i)})
		}
	}
	slices.SortStableFunc(all, func(a, b turn) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	turns := make([]uint16, len(all))
	for i := range all {
		turns[i] = all[i].member
	}
	return turns
}

// turn returns the member whose turn the nth is.
func (p *picks) turn(n uint32) *member {
	if p.turns == nil {
		return &p.members[n%uint32(len(p.members))]
	}
	return &p.members[p.turns[n%uint32(len(p.turns))]]
}

// want is what a request asks of the choice.
type want struct {
	key   uint64 // for byHash
	keyed bool
	turn  uint32              // of its first try, for byTurn
	tried [maxRetries]*target // that failed it
	tries int
}

// maxRetries is the most that config.Backend.Retries may be.
const maxRetries = 10

// failed makes t the last choice for the request.
func (w *want) failed(t *target) {
	if w.tries < len(w.tried) {
		w.tried[w.tries] = t
		w.tries++
	}
}

// fit says how well a target suits a request.
type fit uint8

const (
	unfit fit = iota // it has no room
	poor             // it failed this request before, or is only just well again
	suited
)

func (b *backend) fit(t *target, w *want, now time.Time) fit {
	if b.perOne > 0 && !t.hasRoom(b.perOne) {
		return unfit
	}
	for i := range w.tries {
		if w.tried[i] == t {
			return poor
		}
	}
	if b.slow > 0 && !b.admits(t, now) {
		return poor
	}
	return suited
}

// leastAdmitted is the share of its requests that a target gets at the
// beginning of its slow start.
const leastAdmitted = 0.1

// admits reports whether t, if it became well only lately, takes one more
// request: the more likely the longer ago that was.
func (b *backend) admits(t *target, now time.Time) bool {
	risen := t.risen.Load()
	if risen == 0 {
		return true
	}
	since := now.Sub(b.born) - time.Duration(risen)
	if since >= b.slow {
		t.risen.CompareAndSwap(risen, 0)
		return true
	}
	return rand.Float64() < max(leastAdmitted, float64(since)/float64(b.slow))
}

// choose returns a target for w, or nil when none has room. It allocates
// nothing and takes no lock.
func (b *backend) choose(p *picks, w *want, now time.Time) *target {
	switch {
	case len(p.members) == 1:
		if t := p.members[0].target; b.perOne == 0 || t.hasRoom(b.perOne) {
			return t
		}
		return nil
	case b.balance == byHash && w.keyed:
		return b.byHash(p, w, now)
	case b.balance == byLoad:
		return b.byLoad(p, w, now)
	}
	if w.tries == 0 { // a further try isn't a turn: it would shift those of others
		w.turn = b.next.Add(1)
	}
	if m, _ := b.inTurn(p, w.turn+uint32(w.tries), nil, w, now); m != nil {
		return m.target
	}
	return nil
}

// inTurn returns the first member from turn n on that suits w and isn't other,
// else one that suits it poorly, else nil.
func (b *backend) inTurn(p *picks, n uint32, other *member, w *want, now time.Time) (*member, fit) {
	count := uint32(len(p.members))
	var spare *member
	for i := range 2 * count {
		m := p.turn(n + i)
		if i >= count { // the next turns may all be those of one with a large share
			m = &p.members[(n+i)%count]
		}
		if m == other {
			continue
		}
		switch b.fit(m.target, w, now) {
		case suited:
			return m, suited
		case poor:
			if spare == nil {
				spare = m
			}
		}
	}
	if spare == nil {
		return nil, unfit
	}
	return spare, poor
}

// byLoad picks two at random, by their shares, and returns the one that is less
// busy for its weight. Mitzenmacher, "The Power of Two Choices in Randomized Load
// Balancing": nearly as even as looking at all, and no herd runs to one.
func (b *backend) byLoad(p *picks, w *want, now time.Time) *target {
	first, fit1 := b.inTurn(p, rand.Uint32(), nil, w, now)
	if first == nil {
		return nil
	}
	second, fit2 := b.inTurn(p, rand.Uint32(), first, w, now)
	switch {
	case second == nil || fit1 > fit2:
		return first.target
	case fit2 > fit1 || second.busy()*int64(first.weight) < first.busy()*int64(second.weight):
		return second.target
	}
	return first.target
}

// byHash is rendezvous hashing: the target whose hash together with the key is
// highest. When a target goes or comes, only the keys move that were or will be
// its own. Schindelhauer and Schomaker, "Weighted Distributed Hash Tables".
func (b *backend) byHash(p *picks, w *want, now time.Time) *target {
	var best, spare *target
	bestScore, spareScore := math.Inf(-1), math.Inf(-1)
	for i := range p.members {
		m := &p.members[i]
		fit := b.fit(m.target, w, now)
		if fit == unfit {
			continue
		}
		score := score(w.key, m, p.turns != nil)
		if fit == suited && score > bestScore {
			best, bestScore = m.target, score
		}
		if fit == poor && score > spareScore {
			spare, spareScore = m.target, score
		}
	}
	if best == nil {
		return spare
	}
	return best
}

// score returns how much key belongs to m.
func score(key uint64, m *member, weighted bool) float64 {
	h := float64(mix(key^m.hash)>>11) + 0.5 // above 0 and below 1<<53
	if !weighted {
		return h
	}
	return -float64(m.weight) / math.Log(h/(1<<53))
}

// mix spreads the bits of h: the finalizer of splitmix64.
func mix(h uint64) uint64 {
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	return h ^ h>>31
}

package usage

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Account is what one key has used of one plan. It has eighty bytes, for there may be
// a million; what few accounts have stands elsewhere. Safe for concurrent use.
type Account struct {
	id     string        // the key's
	Bucket Bucket        // of all its requests
	count  atomic.Uint64 // of the present window: its mark, and what was used
	more   atomic.Pointer[more]
	behind *Account // which waits to be written, too; owned by the queue

	mu      sync.Mutex // guards what follows, and changes of the window
	written int64      // of what was used, what the store has or is about to get
	known   uint64     // what the store's counter of a day came to: the day's mark, and that

	plan  atomic.Uint32 // its number and 1; 0: nobody has asked yet
	flags atomic.Uint32
}

// What flags say of an account and, the last two, of the credential that it is in.
const (
	isQueued  uint32 = 1 << iota // it waits to be written
	isUnread                     // the store couldn't be read
	isGranted                    // the window has requests besides the limit, or fewer
	isOff
	isGone
)

// more is what few accounts have.
type more struct {
	next    atomic.Pointer[Account]      // of the key's next plan
	methods atomic.Pointer[methodBucket] // of requests to those with a throttle of their own

	// Of the present window.
	extra  atomic.Int64 // what the key may send besides the limit; below 0 fewer
	unread atomic.Int64 // the store is tried again after this second

	// Guarded by the account's mu.
	late []pending
}

type methodBucket struct {
	method uint32
	next   *methodBucket
	Bucket
}

// pending are requests of a window that is over, and the day to write them to.
type pending struct {
	on       date
	requests int64
}

// A window is the part of a period that an account counts in. Its mark, which stands
// with its count in one word so that nobody counts for another one, is the period and
// the first day, modulo 44 years. What it counts is enough for eight years of a million
// requests a second.
const (
	usedBits = 48
	usedMask = 1<<usedBits - 1
	dayBits  = 14
	dayMask  = 1<<dayBits - 1
)

func mark(p Period, start date) uint64 {
	return (uint64(p)<<dayBits | uint64(start)&dayMask) << usedBits
}

// before reports whether window is of the period p and begins before the one of mark.
func before(window, mark uint64) bool {
	const half = 1 << (dayBits - 1)
	distance := (mark>>usedBits - window>>usedBits) & dayMask
	return window>>(usedBits+dayBits) == mark>>(usedBits+dayBits) && distance > 0 && distance < half
}

// Quota is how many requests a key may send in a period. The zero value is no quota:
// requests are counted all the same.
type Quota struct {
	Limit  int64
	Period Period
	Offset int64 // fewer in a key's first period
}

// Account returns what c has used of p.
func (l *Ledger) Account(c *Credential, p *Plan) *Account {
	for a := c.accounts(); ; {
		n := a.plan.Load()
		if n == p.Number+1 || n == 0 && a.plan.CompareAndSwap(0, p.Number+1) {
			return a
		}
		if n == 0 {
			continue // somebody was faster
		}
		more := a.rest()
		if more.next.Load() == nil {
			more.next.CompareAndSwap(nil, &Account{id: a.id})
		}
		a = more.next.Load()
	}
}

// rest returns what a has as one of few, and makes that if it isn't there.
func (a *Account) rest() *more {
	if a.more.Load() == nil {
		a.more.CompareAndSwap(nil, new(more))
	}
	return a.more.Load()
}

// next returns the account of the key's next plan, or nil.
func (a *Account) next() *Account {
	if m := a.more.Load(); m != nil {
		return m.next.Load()
	}
	return nil
}

// Method returns the bucket of the account's requests to one method.
func (a *Account) Method(number uint32) *Bucket {
	methods := &a.rest().methods
	for {
		head := methods.Load()
		for m := head; m != nil; m = m.next {
			if m.method == number {
				return &m.Bucket
			}
		}
		m := &methodBucket{method: number, next: head}
		if methods.CompareAndSwap(head, m) {
			return &m.Bucket
		}
	}
}

// Counted is one request that Count let pass.
type Counted struct {
	account *Account
	mark    uint64
	on      date
	ledger  *Ledger
}

// Return takes the request back: somebody else refused it.
func (c Counted) Return() {
	a := c.account
	if !a.add(c.mark, -1) { // its window is over
		a.mu.Lock()
		a.late(pending{c.on, -1})
		a.mu.Unlock()
	}
	c.ledger.enqueue(a)
}

// add adds n to what was used of the window of that mark, never to less than nothing.
// It is false if that is over.
func (a *Account) add(mark uint64, n int64) bool {
	for {
		count := a.count.Load()
		if count&^usedMask != mark {
			return false
		}
		if a.count.CompareAndSwap(count, mark|uint64(max(0, int64(count&usedMask)+n))) {
			return true
		}
	}
}

// late notes requests of a window that is over. The caller holds mu.
func (a *Account) late(p pending) {
	if p.requests != 0 {
		m := a.rest()
		m.late = append(m.late, p)
	}
}

// Count counts a request against q. Without one left it changes nothing and returns
// the time until the period's end.
//
// What the key had used before is read from the store with its first request, and
// when the clock was put back by more than a day. If that fails requests pass:
// AWS, "Usage plans and API keys for REST APIs", lets them pass as well.
func (l *Ledger) Count(a *Account, q Quota, now time.Time) (c Counted, wait time.Duration, ok bool) {
	today := l.today(now)
	mark := today.marks[q.Period]
	for {
		count, flags := a.count.Load(), a.flags.Load()
		if count&^usedMask != mark || flags&isUnread != 0 {
			l.roll(a, q, today, now)
			count, flags = a.count.Load(), a.flags.Load()
			if count&^usedMask != mark {
				continue // somebody else is still on another day
			}
		}
		limit := q.Limit
		if flags&isGranted != 0 {
			limit += a.rest().extra.Load()
		}
		if q.Period == NoPeriod || flags&isUnread != 0 {
			limit = math.MaxInt64
		}
		if int64(count&usedMask) >= limit {
			return Counted{}, today.end[q.Period].time().Sub(now), false
		}
		if a.count.CompareAndSwap(count, count+1) {
			l.enqueue(a)
			return Counted{a, mark, today.day, l}, 0, true
		}
	}
}

// roll opens the window for today if it isn't there.
func (l *Ledger) roll(a *Account, q Quota, today *calendar, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	mark := today.marks[q.Period]
	window := a.count.Load() &^ usedMask
	if window == mark {
		if a.flags.Load()&isUnread != 0 && now.Unix() > a.rest().unread.Load() {
			used := l.read(a, q, today, now)
			a.written += used
			a.add(mark, used)
		}
		return
	}
	// Of what the old window counted, the store gets the rest.
	left := pending{on: today.day}
	fresh := before(window, mark)
	if fresh {
		left.on = today.start[q.Period] - 1
	}
	written := a.written
	a.written, a.known = 0, 0
	used := int64(0)
	a.flags.And(^(isUnread | isGranted))
	if q.Period != NoPeriod && !fresh { // in a new period nothing is used yet
		used = l.read(a, q, today, now)
	}
	if m := a.more.Load(); m != nil {
		for _, p := range m.late { // the quota has changed: what the store hasn't got yet counts, too
			if p.on >= today.start[q.Period] {
				used += p.requests
			}
		}
	}
	for {
		count := a.count.Load()
		left.requests = int64(count&usedMask) - written
		all := used
		if left.on >= today.start[q.Period] {
			all += left.requests
		}
		if a.count.CompareAndSwap(count, mark|uint64(max(0, all))) {
			a.written = all
			break
		}
	}
	a.late(left)
}

// read returns what the store says was used of the window for today, and notes what
// else it says. The caller holds a.mu.
func (l *Ledger) read(a *Account, q Quota, today *calendar, now time.Time) (used int64) {
	plan := l.allPlans()[a.plan.Load()-1].Name
	past, err := l.past(plan, a.id, today.start[q.Period], today.day)
	if err != nil {
		l.trouble("Usage Plan check failed due to an internal error", err, zap.String("plan", plan), zap.String("key", a.id))
		a.rest().unread.Store(now.Unix() + 1)
		a.flags.Or(isUnread)
		return 0
	}
	extra := past.extra
	if past.first {
		extra -= q.Offset
	}
	if extra != 0 {
		a.grant(extra)
	}
	a.known = mark(NoPeriod, today.day) | uint64(max(0, past.today))
	a.flags.And(^isUnread)
	return past.used
}

// grant gives the present window n requests more. The caller holds mu.
func (a *Account) grant(n int64) {
	extra := &a.rest().extra
	if a.flags.Load()&isGranted == 0 {
		extra.Store(0)
	}
	extra.Add(n)
	a.flags.Or(isGranted)
}

// extend grants n requests more in the window of that mark, if it is the present one
// and what the store says of it is known.
func (a *Account) extend(mark uint64, n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count.Load()&^usedMask == mark && a.flags.Load()&isUnread == 0 {
		a.grant(n)
	}
}

// enqueue has what a counted written with the next batch.
func (l *Ledger) enqueue(a *Account) {
	if a.flags.Load()&isQueued != 0 || a.flags.Or(isQueued)&isQueued != 0 {
		return
	}
	for {
		a.behind = l.queue.Load()
		if l.queue.CompareAndSwap(a.behind, a) {
			return
		}
	}
}

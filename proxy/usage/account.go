package usage

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Account is what one key has used of one plan. Safe for concurrent use.
type Account struct {
	plan *Plan
	id   string // the key's
	next *Account

	Bucket  Bucket                       // of all its requests
	methods atomic.Pointer[methodBucket] // of those with a throttle of their own
	window  atomic.Pointer[window]       // the present one
	queued  atomic.Bool                  // it waits to be written
	behind  *Account                     // which waits too; owned by the queue

	mu   sync.Mutex // guards what follows, and changes of window
	late []pending  // windows that were left with something to write
}

type methodBucket struct {
	method uint32
	next   *methodBucket
	Bucket
}

// window counts the requests of one period.
type window struct {
	period Period
	start  date
	used   atomic.Int64
	extra  atomic.Int64 // that the key may send besides the limit; below 0 fewer
	// The store couldn't be read: used is what was counted since. It is tried again
	// after this second; 0: it was read.
	unread atomic.Int64

	// Owned by who writes to the store.
	written int64 // of used, what the store has
	day     date  // that known is of
	known   int64 // what the store's counter of that day came to
}

// pending is a window of a period that is over, and the day to write it to.
type pending struct {
	*window
	on date
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
	for {
		head := c.accounts.Load()
		for a := head; a != nil; a = a.next {
			if a.plan == p {
				return a
			}
		}
		a := &Account{plan: p, id: c.id, next: head}
		if c.accounts.CompareAndSwap(head, a) {
			return a
		}
	}
}

// Method returns the bucket of the account's requests to one method.
func (a *Account) Method(number uint32) *Bucket {
	for {
		head := a.methods.Load()
		for m := head; m != nil; m = m.next {
			if m.method == number {
				return &m.Bucket
			}
		}
		m := &methodBucket{method: number, next: head}
		if a.methods.CompareAndSwap(head, m) {
			return &m.Bucket
		}
	}
}

// Counted is one request that Count let pass.
type Counted struct {
	account *Account
	window  *window
	ledger  *Ledger
}

// Return takes the request back: somebody else refused it.
func (c Counted) Return() {
	c.window.used.Add(-1)
	c.ledger.enqueue(c.account)
}

// Count counts a request against q. Without one left it changes nothing and returns
// the time until the period's end.
//
// What the key had used before is read from the store with its first request, and
// when the clock was put back by more than a day. If that fails requests pass:
// AWS, "Usage plans and API keys for REST APIs", lets them pass as well.
func (l *Ledger) Count(a *Account, q Quota, now time.Time) (c Counted, wait time.Duration, ok bool) {
	today := l.today(now)
	w := a.window.Load()
	if w == nil || w.start != today.start[q.Period] || w.period != q.Period || w.unread.Load() != 0 {
		w = l.roll(a, q, today, now)
	}
	if q.Period == NoPeriod || w.unread.Load() != 0 {
		w.used.Add(1)
		l.enqueue(a)
		return Counted{a, w, l}, 0, true
	}
	for {
		used := w.used.Load()
		if used >= q.Limit+w.extra.Load() {
			return Counted{}, today.end[q.Period].time().Sub(now), false
		}
		if w.used.CompareAndSwap(used, used+1) {
			l.enqueue(a)
			return Counted{a, w, l}, 0, true
		}
	}
}

// roll returns the window for today, and opens it if it isn't there.
func (l *Ledger) roll(a *Account, q Quota, today *calendar, now time.Time) *window {
	a.mu.Lock()
	defer a.mu.Unlock()
	old, start := a.window.Load(), today.start[q.Period]
	if old != nil && old.period == q.Period && old.start == start {
		if again := old.unread.Load(); again != 0 && now.Unix() > again {
			l.read(a, old, q, today, now)
		}
		return old
	}
	w := &window{period: q.Period, start: start}
	switch {
	case q.Period == NoPeriod:
	case old != nil && old.period == q.Period && old.start < start:
		// A new period: nothing is used yet, and none of it can be in the store.
	default:
		l.read(a, w, q, today, now)
	}
	if old != nil {
		on := today.day
		if old.period == q.Period && old.start < start {
			on = start - 1
		}
		a.late = append(a.late, pending{old, on})
	}
	for _, p := range a.late { // the quota has changed: what the store hasn't got yet counts, too
		if p.on >= start {
			n := p.used.Load() - p.written
			w.used.Add(n)
			w.written += n
		}
	}
	a.window.Store(w)
	return w
}

// read sets what the store says of w.
func (l *Ledger) read(a *Account, w *window, q Quota, today *calendar, now time.Time) {
	past, err := l.past(a.plan.Name, a.id, w.start, today.day)
	if err != nil {
		l.trouble("Usage Plan check failed due to an internal error", err, zap.String("plan", a.plan.Name), zap.String("key", a.id))
		w.unread.Store(now.Unix() + 1)
		return
	}
	extra := past.extra
	if past.first {
		extra -= q.Offset
	}
	w.extra.Store(extra)
	w.used.Add(past.used)
	w.written += past.used
	w.day, w.known = today.day, past.today
	w.unread.Store(0)
}

// enqueue has what a counted written with the next batch.
func (l *Ledger) enqueue(a *Account) {
	if a.queued.Load() || !a.queued.CompareAndSwap(false, true) {
		return
	}
	for {
		a.behind = l.queue.Load()
		if l.queue.CompareAndSwap(a.behind, a) {
			return
		}
	}
}

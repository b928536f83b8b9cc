package usage

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/state"
)

// flushEvery is how often what was counted is written: what a kill -9 loses, at most.
const flushEvery = time.Second

// Options are what a Ledger is made of.
type Options struct {
	Logger *zap.Logger      // nil for none
	Clock  func() time.Time // the wall clock; nil takes the system's
}

// Ledger is what is known of API keys and their use. It outlives configurations, and
// counts in memory; what it is attached to keeps that. All methods are safe for
// concurrent use.
type Ledger struct {
	// Set at construction.
	logger *zap.Logger
	clock  func() time.Time
	epoch  time.Time

	made  Index // the keys that no configuration holds
	queue atomic.Pointer[Account]
	day   atomic.Pointer[calendar]

	names    sync.Mutex // guards what follows
	plans    map[string]*Plan
	numbered []*Plan // by their numbers; what is there stays as it is
	sets     map[string]*planSet
	buckets  map[string]*Bucket
	methods  map[string]uint32
	declared map[string]*Account

	catalog atomic.Pointer[Catalog]
	store   atomic.Pointer[state.Store]

	changing sync.Mutex // one change of keys at a time
	writing  sync.Mutex // one batch at a time; guards what follows
	pruned   string     // key up to which old counters were looked for
	pruning  date       // the day of that search
	copied   time.Time

	attach  sync.Mutex // guards what follows
	stop    chan struct{}
	stopped chan struct{}

	complained atomic.Int64 // second of the last complaint
}

// New returns a Ledger that is attached to nothing.
func New(o Options) *Ledger {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	l := &Ledger{
		logger: o.Logger, clock: o.Clock, epoch: time.Now(),
		plans: map[string]*Plan{}, sets: map[string]*planSet{}, buckets: map[string]*Bucket{},
		methods: map[string]uint32{}, declared: map[string]*Account{},
	}
	if l.clock == nil {
		l.clock = time.Now
	}
	l.catalog.Store(&Catalog{})
	return l
}

// ErrDetached is what needs a store fails with when there is none.
var ErrDetached = errors.New("there is no state")

// Attach reads the keys of store, and from now on writes to it once a second. The
// store is the Ledger's now, unless an error is returned.
func (l *Ledger) Attach(store state.Store) error {
	l.attach.Lock()
	defer l.attach.Unlock()
	if l.stop != nil {
		return errors.New("a state is there already")
	}
	if err := l.load(store); err != nil {
		return err
	}
	l.writing.Lock()
	l.copied = l.clock() // the one before it was checked, and is the better copy
	l.writing.Unlock()
	l.store.Store(&store)
	stop, stopped := make(chan struct{}), make(chan struct{})
	l.stop, l.stopped = stop, stopped
	go func() {
		defer close(stopped)
		tick := time.NewTicker(flushEvery)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				l.tick()
			}
		}
	}()
	return nil
}

// Attached reports whether there is a store.
func (l *Ledger) Attached() bool { return l.store.Load() != nil }

// Detach writes what was counted and closes the store. What is counted from now on
// waits for the next one. Without a store it does nothing.
func (l *Ledger) Detach() error {
	l.attach.Lock()
	defer l.attach.Unlock()
	if l.stop == nil {
		return nil
	}
	close(l.stop)
	<-l.stopped
	l.stop = nil
	err := l.Flush()
	store := *l.store.Swap(nil)
	return errors.Join(err, store.Close())
}

// tick is what happens once a second.
func (l *Ledger) tick() {
	if err := l.Flush(); err != nil {
		l.trouble("the use of plans can't be written, it is kept in memory", err)
	}
	if err := l.prune(); err != nil {
		l.trouble("old use of plans can't be removed", err)
	}
	l.copy()
}

// Flush writes what was counted, in one batch. On an error it waits for the next one.
func (l *Ledger) Flush() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	store := l.store.Load()
	if store == nil {
		return nil
	}
	batch := l.take()
	if len(batch) == 0 {
		return nil
	}
	changes := make([]state.Change, len(batch))
	for i, e := range batch {
		changes[i] = state.Change{Table: usageTable, Key: usageKey(e.plan, e.account.id, e.on), Add: e.requests}
	}
	err := (*store).Update(changes)
	for i, e := range batch {
		if err != nil {
			e.account.keep(e)
			l.enqueue(e.account)
			continue
		}
		e.account.wrote(e, changes[i].Count)
	}
	return err
}

// entry is what one window has to write.
type entry struct {
	account  *Account
	plan     string
	mark     uint64 // of the window, if it is the account's present one
	present  bool
	on       date
	requests int64
}

// take empties the queue. What is in an entry counts as written until keep is called.
// The caller holds writing.
func (l *Ledger) take() []entry {
	today := l.today(l.clock())
	plans := l.allPlans()
	var batch []entry
	for a := l.queue.Swap(nil); a != nil; {
		behind := a.behind
		a.flags.And(^isQueued) // what is counted from here on queues it again
		n := int(a.plan.Load()) - 1
		if n >= len(plans) {
			plans = l.allPlans()
		}
		batch = a.take(batch, plans[n].Name, today.day)
		a = behind
	}
	return batch
}

func (a *Account) take(batch []entry, plan string, today date) []entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m := a.more.Load(); m != nil {
		for _, p := range m.late {
			batch = append(batch, entry{account: a, plan: plan, on: p.on, requests: p.requests})
		}
		m.late = nil
	}
	count := a.count.Load()
	if n := int64(count&usedMask) - a.written; n != 0 {
		batch = append(batch, entry{a, plan, count &^ usedMask, true, today, n})
		a.written += n
	}
	return batch
}

// keep has what couldn't be written be written another time.
func (a *Account) keep(e entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.present && a.count.Load()&^usedMask == e.mark {
		a.written -= e.requests
		return
	}
	a.late(pending{e.on, e.requests})
}

// wrote notes what the store's counter came to: what is more than we knew of, others
// have counted.
func (a *Account) wrote(e entry, total int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	day, known := mark(NoPeriod, e.on), int64(a.known&usedMask)
	same := a.known&^usedMask == day
	if !e.present || a.count.Load()&^usedMask != e.mark {
		if same {
			a.known = day | uint64(max(0, known+e.requests))
		}
		return
	}
	if !same {
		known = 0
		if e.mark == 0 { // there is no period, and nobody has read what was there
			known = total - e.requests
		}
	}
	if others := total - known - e.requests; others != 0 {
		a.add(e.mark, others)
		a.written += others
	}
	a.known = day | uint64(max(0, total))
}

// handed notes that another process writes e.
func (a *Account) handed(e entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known&^usedMask == mark(NoPeriod, e.on) {
		a.known += uint64(max(0, e.requests))
	}
}

// today returns the calendar at now.
func (l *Ledger) today(now time.Time) *calendar {
	c, second := l.day.Load(), now.Unix()
	if c != nil && c.holds(second) {
		return c
	}
	l.names.Lock()
	defer l.names.Unlock()
	if c = l.day.Load(); c == nil || !c.holds(second) {
		c = newCalendar(dateOf(now))
		l.day.Store(c)
	}
	return c
}

// Instant returns t for buckets. With a reading of the monotonic clock in t, the wall
// clock doesn't matter.
func (l *Ledger) Instant(t time.Time) Instant { return Instant(t.Sub(l.epoch)) * grain }

// Key returns the credential of a key that was made by command, or nil.
func (l *Ledger) Key(sum *Sum) *Credential { return l.made.Find(sum) }

// complainEvery is how often trouble is told, in seconds.
const complainEvery = 10

// trouble tells of what went wrong, not too often.
func (l *Ledger) trouble(message string, err error, fields ...zap.Field) {
	now := l.clock().Unix()
	last := l.complained.Load()
	if now >= last && now < last+complainEvery && last != 0 || !l.complained.CompareAndSwap(last, now) {
		return
	}
	l.logger.Error(message, append(fields, zap.Error(err))...)
}

// Figures are what the metrics tell.
type Figures struct {
	Keys  int // that were made by command
	Plans []PlanFigures
}

// Figures returns them.
func (l *Ledger) Figures() Figures {
	f := Figures{Keys: l.made.Len()}
	l.names.Lock()
	defer l.names.Unlock()
	for _, p := range l.plans {
		f.Plans = append(f.Plans, p.figures())
	}
	return f
}

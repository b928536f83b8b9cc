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
	sets     map[string]*planSet
	buckets  map[string]*Bucket
	methods  map[string]uint32
	declared map[string]*atomic.Pointer[Account]

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
		methods: map[string]uint32{}, declared: map[string]*atomic.Pointer[Account]{},
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
	for i, c := range batch {
		changes[i] = state.Change{Table: usageTable, Key: usageKey(c.account.plan.Name, c.account.id, c.on), Add: c.requests}
	}
	err := (*store).Update(changes)
	for i, c := range batch {
		if err != nil {
			c.account.keep(c)
			l.enqueue(c.account)
			continue
		}
		c.account.wrote(c, changes[i].Count)
	}
	return err
}

// entry is what one window has to write.
type entry struct {
	account  *Account
	window   *window
	on       date
	requests int64
	present  bool // the window is the account's present one
}

// take empties the queue. The caller holds writing.
func (l *Ledger) take() []entry {
	today := l.today(l.clock())
	var batch []entry
	for a := l.queue.Swap(nil); a != nil; {
		behind := a.behind
		a.queued.Store(false) // what is counted from here on queues it again
		batch = a.take(batch, today.day)
		a = behind
	}
	return batch
}

func (a *Account) take(batch []entry, today date) []entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.late {
		if n := p.used.Load() - p.written; n != 0 {
			batch = append(batch, entry{a, p.window, p.on, n, false})
		}
	}
	a.late = nil
	if w := a.window.Load(); w != nil {
		if n := w.used.Load() - w.written; n != 0 {
			batch = append(batch, entry{a, w, today, n, true})
		}
	}
	return batch
}

// keep has a window that is over written another time.
func (a *Account) keep(e entry) {
	if e.present {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.late = append(a.late, pending{e.window, e.on})
}

// wrote notes what the store has, and what its counter came to: what is more than we
// knew of, others have counted.
func (a *Account) wrote(e entry, total int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := e.window
	w.written += e.requests
	if !e.present {
		return
	}
	if w.day != e.on {
		w.day, w.known = e.on, 0
		if w.period == NoPeriod { // nobody has read what was there
			w.known = total - e.requests
		}
	}
	if others := total - w.known - e.requests; others != 0 {
		w.used.Add(others)
		w.written += others
	}
	w.known = total
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

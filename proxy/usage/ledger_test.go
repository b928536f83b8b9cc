package usage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-gateway/postern/proxy/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a wall clock that tests set.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time      { return time.Unix(0, c.nanos.Load()).UTC() }
func (c *clock) add(d time.Duration) { c.nanos.Add(int64(d)) }
func (c *clock) set(t *testing.T, text string) {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		t.Fatal(err)
	}
	c.nanos.Store(at.UnixNano())
}

// bench is a ledger with a key in a plan.
type bench struct {
	*testing.T
	*Ledger
	clock
	store state.Store
	logs  *observer.ObservedLogs
	key   *Credential
	plan  *Plan
	quota Quota
}

func newBench(t *testing.T, store state.Store, quota Quota) *bench {
	t.Helper()
	b := &bench{T: t, store: store, quota: quota}
	core, logs := observer.New(zapcore.InfoLevel)
	b.logs = logs
	b.set(t, "2026-11-22 12:00:00") // a Sunday
	b.Ledger = New(Options{Clock: b.now, Logger: zap.New(core)})
	b.SetCatalog(Catalog{Plans: map[string]PlanFacts{"gold": {Stages: []string{"a:b"}, Quota: quota}}, Keys: map[string][]string{"one": {"gold"}}})
	if store != nil {
		if err := b.Attach(store); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Detach() }) // the test may have closed the store
	}
	b.plan = b.Plan("gold")
	b.key = b.Declare(new(Index), "one", SumOf("TheKeyOfPartnerOne000001"), true, []string{"gold"})
	return b
}

// admit counts n requests and returns how many pass.
func (b *bench) admit(n int) (passed int) {
	for range n {
		if _, _, ok := b.Count(b.Account(b.key, b.plan), b.quota, b.now()); ok {
			passed++
		}
	}
	return passed
}

func (b *bench) want(n, passed int) {
	b.Helper()
	if got := b.admit(n); got != passed {
		b.Errorf("at %v: %d of %d pass, want %d", b.now(), got, n, passed)
	}
}

func (b *bench) flush() {
	b.Helper()
	if err := b.Flush(); err != nil {
		b.Error(err)
	}
}

// report is what the key has used, day by day.
func (b *bench) report(from, to string) string {
	b.Helper()
	r, err := b.Report("gold", "", from, to)
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Sprint(r.Items["one"])
}

func TestPeriods(t *testing.T) {
	f := func(day string, p Period, start, end string) {
		t.Helper()
		d, ok := parseDate(day)
		from, to := d.span(p)
		if !ok || from.String() != start || to.String() != end {
			t.Errorf("%s: %v to %v", day, from, to)
		}
	}
	f("2026-11-22", Day, "2026-11-22", "2026-11-23")
	f("2026-11-22", Week, "2026-11-16", "2026-11-23") // a Sunday
	f("2026-11-23", Week, "2026-11-23", "2026-11-30") // a Monday
	f("2026-11-22", Month, "2026-11-01", "2026-12-01")
	f("2026-12-31", Month, "2026-12-01", "2027-01-01")
	f("2028-02-29", Month, "2028-02-01", "2028-03-01")
	f("1970-01-01", Week, "1969-12-29", "1970-01-05")
}

func TestQuotaRollsOver(t *testing.T) {
	f := func(p Period, last, next string) {
		t.Helper()
		b := newBench(t, &state.Memory{}, Quota{Limit: 3, Period: p})
		b.set(t, last)
		b.want(5, 3)
		b.flush()
		b.want(1, 0)
		b.set(t, next)
		b.want(5, 3)
		b.flush()
		b.want(1, 0)
	}
	f(Day, "2026-11-22 23:59:59", "2026-11-23 00:00:00")
	f(Week, "2026-11-22 23:59:59", "2026-11-23 00:00:00")
	f(Month, "2026-11-30 23:59:59", "2026-12-01 00:00:00")
	f(Month, "2026-12-31 23:59:59", "2027-01-01 00:00:00")
	// The day after is the same week.
	b := newBench(t, &state.Memory{}, Quota{Limit: 3, Period: Week})
	b.set(t, "2026-11-20 23:59:59")
	b.want(2, 2)
	b.set(t, "2026-11-21 00:00:00")
	b.want(2, 1)
	// The wait is the time until the period's end.
	if _, wait, ok := b.Count(b.Account(b.key, b.plan), b.quota, b.now()); ok || wait != 48*time.Hour {
		t.Errorf("%v, %v", wait, ok)
	}
}

// The offset is taken off a key's first period, also if the gateway is started again
// in it, and off no other.
func TestOffset(t *testing.T) {
	store := &keep{Memory: &state.Memory{}}
	quota := Quota{Limit: 5, Period: Day, Offset: 2}
	b := newBench(t, store, quota)
	b.want(2, 2)
	if err := b.Detach(); err != nil {
		t.Fatal(err)
	}
	b = newBench(t, store, quota)
	b.want(5, 1)
	b.set(t, "2026-11-23 00:00:01")
	b.want(9, 5)
	if err := b.Detach(); err != nil {
		t.Fatal(err)
	}
	b = newBench(t, store, quota)
	b.set(t, "2026-11-24 00:00:01")
	b.want(9, 5)
	b = newBench(t, store, quota)
	b.set(t, "2026-11-25 00:00:01")
	b.want(9, 5)
}

// keep is a store that nobody closes.
type keep struct{ *state.Memory }

func (keep) Close() error { return nil }

// A clock that is put forward and back around midnight gives a quota once.
func TestClockJumps(t *testing.T) {
	b := newBench(t, &state.Memory{}, Quota{Limit: 3, Period: Day})
	b.set(t, "2026-11-22 23:30:00")
	b.want(5, 3)
	b.add(time.Hour) // tomorrow, too early
	b.want(5, 3)
	b.flush()
	b.add(-time.Hour)
	b.want(5, 0) // it was given already
	b.add(time.Hour)
	b.want(5, 0)
	b.set(t, "2026-11-24 00:00:00")
	b.want(5, 3)
	// Within a day nothing changes.
	b.set(t, "2026-11-24 12:00:00")
	b.want(1, 0)
	b.add(time.Hour)
	b.want(1, 0)
	b.add(-time.Hour)
	b.want(1, 0)
	// Put forward by a year and back again: it is today's count that counts.
	b.flush()
	b.add(365 * 24 * time.Hour)
	b.want(5, 3)
	b.flush()
	b.add(-365 * 24 * time.Hour)
	b.want(5, 0)
	b.set(t, "2026-11-25 00:00:00")
	b.want(5, 3)
}

// A limit that a reload changes is that of what was used already; another period
// counts what the store knows.
func TestQuotaChanges(t *testing.T) {
	b := newBench(t, &state.Memory{}, Quota{Limit: 3, Period: Day})
	b.set(t, "2026-11-20 12:00:00")
	b.want(5, 3)
	b.flush()
	b.set(t, "2026-11-21 12:00:00")
	b.want(2, 2) // of which the store doesn't know
	b.quota.Limit = 4
	b.want(5, 2)
	b.quota = Quota{Limit: 10, Period: Week}
	b.want(9, 3) // 3, 4, and these
	b.quota = Quota{}
	b.want(5, 5)
	b.quota = Quota{Limit: 20, Period: Month}
	b.want(20, 5)
	b.flush()
	if got := b.report("2026-11-20", "2026-11-21"); got != "[[3 0] [17 0]]" {
		t.Error(got)
	}
}

// What was counted before the quota's period changed, and not written yet, counts once.
func TestQuotaChangesInBetween(t *testing.T) {
	b := newBench(t, &state.Memory{}, Quota{Limit: 10, Period: Day})
	b.want(3, 3)
	b.flush()
	b.want(2, 2) // the store doesn't know
	b.quota = Quota{Limit: 10, Period: Month}
	b.want(1, 1)
	b.flush()
	b.want(1, 1)
	b.flush()
	b.want(10, 3)
	b.flush()
	if got := b.report("2026-11-22", "2026-11-22"); got != "[[10 0]]" {
		t.Error(got)
	}
}

// A request that is taken back in the next period was never there in its own, and
// isn't missing in the new one.
func TestReturnLate(t *testing.T) {
	b := newBench(t, &state.Memory{}, Quota{Limit: 3, Period: Day})
	count := func() Counted {
		c, _, ok := b.Count(b.Account(b.key, b.plan), b.quota, b.now())
		if !ok {
			t.Fatal("refused")
		}
		return c
	}
	first, second := count(), count()
	b.flush()
	b.add(24 * time.Hour)
	b.want(1, 1)
	first.Return()
	b.want(3, 2)
	b.flush()
	second.Return()
	b.flush()
	if got := b.report("2026-11-22", "2026-11-23"); got != "[[0 3] [3 0]]" {
		t.Error(got)
	}
}

// A key of two plans counts in each, and both are written.
func TestTwoPlans(t *testing.T) {
	b := newBench(t, &state.Memory{}, Quota{Limit: 3, Period: Day})
	silver := b.Plan("silver")
	b.SetCatalog(Catalog{Plans: map[string]PlanFacts{"gold": {Quota: b.quota}, "silver": {Quota: b.quota}}, Keys: map[string][]string{"one": {"gold", "silver"}}})
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for _, p := range []*Plan{silver, b.plan} {
				b.Count(b.Account(b.key, p), b.quota, b.now())
			}
		})
	}
	work.Wait()
	b.flush()
	if _, _, err := b.Extend("one", "silver", 2, "test"); err != nil {
		t.Fatal(err)
	}
	b.want(1, 0)
	b.plan = silver
	b.want(5, 2)
	b.flush()
	for plan, want := range map[string]string{"gold": "[[3 0]]", "silver": "[[5 0]]"} {
		r, err := b.Report(plan, "one", "2026-11-22", "2026-11-22")
		if got := fmt.Sprint(r.Items["one"]); err != nil || got != want {
			t.Errorf("%s: %s, %v", plan, got, err)
		}
	}
}

func TestReport(t *testing.T) {
	b := newBench(t, &state.Memory{}, Quota{Limit: 10, Period: Week, Offset: 1})
	b.SetCatalog(Catalog{Plans: map[string]PlanFacts{"gold": {Quota: b.quota}}, Keys: map[string][]string{"one": {"gold"}}})
	b.set(t, "2026-11-21 12:00:00") // a Saturday
	b.admit(4)
	b.flush()
	b.set(t, "2026-11-22 12:00:00")
	b.admit(9)
	b.flush()
	b.set(t, "2026-11-24 12:00:00")
	b.admit(7)
	if got := b.report("2026-11-20", "2026-11-24"); got != "[[0 9] [4 5] [5 0] [0 10] [7 3]]" {
		t.Error(got)
	}
	if got := b.report("", ""); got != "[[0 10] [7 3]]" { // since Monday
		t.Error(got)
	}
	id, of, err := b.Extend("one", "", 5, "test")
	if err != nil || id != "one" || of != "gold" {
		t.Error(id, of, err)
	}
	b.want(20, 8)
	if got := b.report("", ""); got != "[[0 15] [15 0]]" {
		t.Error(got)
	}
	if _, _, err := b.Extend("one", "", -2, "test"); err != nil {
		t.Error(err)
	}
	b.want(1, 0)
	b.set(t, "2026-11-30 12:00:00")
	b.want(20, 10) // it was for one week
	for _, bad := range [][2]string{{"yesterday", ""}, {"", "x"}, {"2026-11-30", "2026-11-29"}, {"2025-01-01", "2026-01-01"}} {
		if _, err := b.Report("gold", "", bad[0], bad[1]); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := b.Report("silver", "", "", ""); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, _, err := b.Extend("nobody", "", 1, "test"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	all, err := b.KeyUse("one", "2026-11-30", "2026-11-30")
	if err != nil || len(all) != 1 || fmt.Sprint(all[0].Items["one"]) != "[[10 0]]" {
		t.Errorf("%v, %v", all, err)
	}
}

// What is older than 90 days is removed, however much there is.
func TestPrune(t *testing.T) {
	b := newBench(t, &state.Memory{}, Quota{Limit: 10, Period: Month})
	var changes []state.Change
	today := dateOf(b.now())
	for i := range date(300) {
		for k := range 100 {
			changes = append(changes, state.Change{Table: usageTable, Key: usageKey("gold", fmt.Sprint(k), today-i), Add: 1})
		}
	}
	changes = append(changes, state.Change{Table: extraTable, Key: usageKey("gold", "1", today-200), Add: 1}, state.Change{Table: extraTable, Key: usageKey("gold", "1", today), Add: 1})
	if err := b.store.Update(changes); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := b.prune(); err != nil {
			t.Fatal(err)
		}
	}
	count := func(table string) (n int) {
		if err := b.store.Each(table, "", "", func(state.Entry) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := count(usageTable); got != 91*100 {
		t.Errorf("%d counters", got)
	}
	if got := count(extraTable); got != 1 {
		t.Errorf("%d grants", got)
	}
}

// broken is a store that fails when it is told to.
type broken struct {
	state.Store
	fails atomic.Bool
}

var errDisk = errors.New("the disk is on fire")

func (b *broken) Each(table, from, to string, f func(state.Entry) error) error {
	if b.fails.Load() {
		return errDisk
	}
	return b.Store.Each(table, from, to, f)
}

func (b *broken) Update(changes []state.Change) error {
	if b.fails.Load() {
		return errDisk
	}
	return b.Store.Update(changes)
}

// While the store can't be read requests pass, as on AWS, and the log says so; once it
// can, what was counted meanwhile counts.
func TestFailsOpen(t *testing.T) {
	store := &broken{Store: &state.Memory{}}
	b := newBench(t, store, Quota{Limit: 3, Period: Day})
	if err := store.Store.Update([]state.Change{{Table: usageTable, Key: usageKey("gold", "one", dateOf(b.now())), Add: 1}}); err != nil {
		t.Fatal(err)
	}
	store.fails.Store(true)
	b.want(5, 5)
	if err := b.Flush(); !errors.Is(err, errDisk) {
		t.Error(err)
	}
	if n := b.logs.FilterMessage("Usage Plan check failed due to an internal error").Len(); n != 1 {
		t.Errorf("it was told %d times", n)
	}
	store.fails.Store(false)
	b.want(1, 1) // it isn't tried with every request
	b.add(3 * time.Second)
	b.want(5, 0)
	b.flush()
	if got := b.report("", ""); got != "[[7 0]]" {
		t.Error(got)
	}
	// What can't be written waits.
	b.set(t, "2026-11-23 12:00:00")
	b.want(2, 2)
	store.fails.Store(true)
	if err := b.Flush(); !errors.Is(err, errDisk) {
		t.Error(err)
	}
	b.want(5, 1)
	b.set(t, "2026-11-24 12:00:00")
	b.want(1, 1)
	if err := b.Flush(); !errors.Is(err, errDisk) {
		t.Error(err)
	}
	store.fails.Store(false)
	b.flush()
	if got := b.report("2026-11-22", "2026-11-24"); got != "[[7 0] [3 0] [1 2]]" {
		t.Error(got)
	}
}

// Two gateways with one store learn of each other with each batch.
func TestSharedStore(t *testing.T) {
	store := &keep{Memory: &state.Memory{}}
	a, b := newBench(t, store, Quota{Limit: 10, Period: Month}), newBench(t, store, Quota{Limit: 10, Period: Month})
	a.want(3, 3)
	b.want(3, 3)
	a.flush()
	b.flush() // which learns of a's
	b.want(1, 1)
	b.flush()
	a.want(1, 1)
	a.flush() // which learns of b's
	a.want(9, 2)
	a.flush()
	b.want(1, 1) // it is behind by one batch
	b.flush()
	b.want(9, 0)
	a.set(t, "2026-11-23 00:00:00")
	b.set(t, "2026-11-23 00:00:00")
	a.want(1, 0)
	if got := a.report("2026-11-22", "2026-11-22"); got != "[[11 0]]" {
		t.Error(got)
	}
}

// What a gateway counts after it let go of the store is written by the one that has it.
func TestHand(t *testing.T) {
	store := &keep{Memory: &state.Memory{}}
	old := newBench(t, store, Quota{Limit: 10, Period: Day})
	old.want(2, 2)
	if err := old.Detach(); err != nil {
		t.Fatal(err)
	}
	old.want(3, 3)
	next := newBench(t, store, Quota{Limit: 10, Period: Day})
	next.want(1, 1)
	handed := old.Hand()
	if err := next.Receive(handed); err != nil || len(handed) != 1 || handed[0].Count != 3 {
		t.Fatal(handed, err)
	}
	if again := old.Hand(); len(again) != 0 {
		t.Error(again)
	}
	next.flush()
	next.want(9, 4) // 2, 3, 1, and these
	if err := next.Receive([]Requests{{Plan: "gold", Key: "one", Day: "x"}}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

// Everything at once: nobody passes twice, nothing is lost.
func TestHammer(t *testing.T) {
	b := newBench(t, &state.Memory{}, Quota{Limit: 5000, Period: Month})
	var passed atomic.Int64
	var work sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		work.Go(func() {
			for range 2000 {
				c, _, ok := b.Count(b.Account(b.key, b.plan), b.quota, b.now())
				if ok {
					passed.Add(1)
				}
				if ok && passed.Load()%7 == 0 {
					c.Return()
					passed.Add(-1)
				}
			}
		})
	}
	var others sync.WaitGroup
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			b.flush()
			k, err := b.Create(Key{Name: fmt.Sprint(i), Enabled: true, Plans: []string{"gold"}}, "test")
			if err != nil {
				t.Error(err)
				return
			}
			sum := SumOf(k.Value)
			if c := b.Key(&sum); c == nil || c.ID() != k.ID {
				t.Errorf("key %s isn't there", k.ID)
			}
			if _, err := b.Enable(k.ID, false, "test"); err != nil {
				t.Error(err)
			}
			if _, err := b.Delete(k.ID, "test"); err != nil {
				t.Error(err)
			}
			if b.Key(&sum) != nil {
				t.Errorf("key %s is still there", k.ID)
			}
		}
	})
	work.Wait()
	close(stop)
	others.Wait()
	b.flush()
	if n := passed.Load(); n > 5000 || b.report("2026-11-22", "2026-11-22") != fmt.Sprintf("[[%d %d]]", n, 5000-n) {
		t.Errorf("%d passed: %s", n, b.report("2026-11-22", "2026-11-22"))
	}
}

// countUntilKilled counts a request each millisecond and says how many there were, in
// a bubble whose clock stands still while anything is written.
func countUntilKilled(t *testing.T, path string) {
	store, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		if err := l.Attach(store); err != nil {
			t.Fatal(err)
		}
		c := l.Declare(new(Index), "one", SumOf("TheKeyOfPartnerOne000001"), true, []string{"gold"})
		p := l.Plan("gold")
		for n := 1; ; n++ {
			if _, _, ok := l.Count(l.Account(c, p), Quota{Limit: 1 << 40, Period: Month}, time.Now()); !ok {
				t.Fatal("refused")
			}
			fmt.Println(n)
			time.Sleep(time.Millisecond)
		}
	})
}

// A kill -9 loses what was counted in the last second, at most.
func TestKilled(t *testing.T) {
	if path := os.Getenv("POSTERN_TEST_COUNT"); path != "" {
		countUntilKilled(t, path)
	}
	path := filepath.Join(t.TempDir(), "state.db")
	total := int64(0)
	for range 2 {
		child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		child.Env = append(os.Environ(), "POSTERN_TEST_COUNT="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var n int64
		for n < 3500 {
			if _, err := fmt.Fscan(out, &n); err != nil {
				t.Fatal(err)
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for { // what it said before it died
			if _, err := fmt.Fscan(out, &n); err != nil {
				break
			}
		}
		_ = child.Wait() // killed
		store, err := state.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var kept int64
		if err := store.Each(usageTable, "", "", func(e state.Entry) error { kept += e.Count; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		// The first request of a second may come before its beginning is written.
		if kept-total < n-1001 || kept-total > n+1 {
			t.Errorf("of %d, %d were kept; the last second had 1000", n, kept-total)
		}
		t.Logf("of %d, %d were kept", n, kept-total)
		total = kept
	}
}

func TestKeys(t *testing.T) {
	b := newBench(t, &state.Memory{}, Quota{})
	b.SetCatalog(Catalog{
		Plans:    map[string]PlanFacts{"gold": {Stages: []string{"a:b"}}, "twin": {Stages: []string{"a:b"}}, "other": {Stages: []string{"c:d"}}},
		Declared: map[Sum]string{SumOf("TheKeyOfTheConfiguration"): "declared"},
	})
	refused := func(k Key, want error, text string) {
		t.Helper()
		if k.Name == "" {
			k.Name = "name"
		}
		if _, err := b.Create(k, "test"); !errors.Is(err, want) || !strings.Contains(err.Error(), text) || k.Value != "" && strings.Contains(err.Error(), k.Value) {
			t.Errorf("%+v: %v", k, err)
		}
	}
	made, err := b.Create(Key{Name: "one", Enabled: true, Plans: []string{"gold", "other"}}, "test")
	if err != nil || len(made.Value) != 40 || len(made.ID) != 10 {
		t.Fatalf("%+v, %v", made, err)
	}
	refused(Key{Value: made.Value}, ErrTwice, "there already")
	refused(Key{Value: "TheKeyOfTheConfiguration"}, ErrTwice, `configuration's key "declared"`)
	refused(Key{Value: "short"}, ErrInvalid, "20 to 128")
	refused(Key{Value: strings.Repeat("x", 129)}, ErrInvalid, "20 to 128")
	refused(Key{Value: "spaces in the middle of it"}, ErrInvalid, "letters, digits")
	refused(Key{Name: "a\nb"}, ErrInvalid, "control characters")
	refused(Key{Name: strings.Repeat("x", 1025)}, ErrInvalid, "1024")
	refused(Key{Plans: []string{"nobody"}}, ErrInvalid, `no plan "nobody"`)
	refused(Key{Plans: []string{"gold", "twin"}}, ErrInvalid, "both have the stage a:b")
	sum := SumOf(made.Value)
	c := b.Key(&sum)
	if c == nil || !c.Enabled() || c.Plan([]uint32{b.Plan("twin").Number}) != -1 || c.Plan([]uint32{b.Plan("gold").Number}) != 0 {
		t.Fatal("it isn't found")
	}
	if k, err := b.Enable("one", false, "test"); err != nil || k.Enabled || c.Enabled() || b.Key(&sum) != c {
		t.Error(k, err)
	}
	// Two of one name: the id is wanted.
	twin, err := b.Create(Key{Name: "one", Value: "AKeyThatSomebodyElseMade"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Show("one"); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if k, err := b.Show(made.ID); err != nil || k.Name != "one" || k.Value != "" {
		t.Error(k, err)
	}
	if _, err := b.Delete(twin.ID, "test"); err != nil {
		t.Error(err)
	}
	if _, err := b.Show(twin.ID); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, err := b.Create(Key{Name: "again", Value: "AKeyThatSomebodyElseMade"}, "test"); err != nil { // it may come back
		t.Error(err)
	}
	all, err := b.List("", 10)
	if err != nil || len(all) != 2 {
		t.Error(all, err)
	}
	if page, err := b.List(all[0].ID, 1); err != nil || len(page) != 1 || page[0].ID != all[1].ID {
		t.Error(page, err)
	}
	// No value is in the log or in the store.
	dump := fmt.Sprint(b.logs.All())
	if err := b.store.Each(keyTable, "", "", func(e state.Entry) error { dump += string(e.Value); return nil }); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(dump, made.Value) || strings.Contains(dump, "AKeyThatSomebodyElseMade") || !strings.Contains(dump, "API key created") {
		t.Error(dump)
	}
}

// Keys are there again after a restart.
func TestKeysStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	var sums []Sum
	for i := range 3 {
		store, err := state.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, store, Quota{})
		for _, sum := range sums {
			if b.Key(&sum) == nil {
				t.Error("a key is gone")
			}
		}
		k, err := b.Create(Key{Name: fmt.Sprint(i)}, "test")
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, SumOf(k.Value))
		if err := b.Detach(); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Create(Key{Name: "x"}, "test"); !errors.Is(err, ErrDetached) {
			t.Error(err)
		}
	}
}

func TestCSV(t *testing.T) {
	const one, two = "OneKeyWithThirtyCharacters0001", "TwoKeyWithThirtyCharacters0002"
	f := func(file, want string) {
		t.Helper()
		keys, err := ReadCSV(strings.NewReader(file))
		got := ""
		for _, k := range keys {
			got += fmt.Sprintf("%s/%s/%t/%v ", k.Name, k.Description, k.Enabled, k.Plans)
		}
		if err != nil {
			got = strings.ReplaceAll(err.Error(), "\n", "; ")
			if !errors.Is(err, ErrInvalid) || strings.Contains(got, one) || strings.Contains(got, two) {
				t.Errorf("%q: %v", file, err)
			}
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("%q:\n got: %s\nwant: %s", file, got, want)
		}
	}
	f("Name,key,description,Enabled,usageplanIds\nn,"+one+",text,TRUE,gold\nm,"+two+",,false,\"gold, silver\"\n", "n/text/true/[gold] m//false/[gold silver]")
	f("\ufeffKEY , Comment, name\r\n"+one+",x,n\r\n", "n//true/[]")
	f("Name,Key\nn,"+one+"\nm,"+one+"\n", "line 3: not valid: the same key as in line 2")
	f("Name,Key,Enabled\nn,short,\n,"+one+",\nm,"+two+",yes\n", "line 2: not valid: Key has to have 30 to 128 characters; line 3: not valid: Name is empty; line 4: not valid: Enabled is true or false")
	f("Name,Key\nn,"+one+",x\n", "line 2: not valid: 3 fields, but 2 columns")
	f("Name,Value\nn,"+one+"\n", "line 1: not valid: the columns Name and Key have to be there")
	f("Name,name,Key\nn,n,"+one+"\n", `line 1: not valid: two columns "name"`)
	f("", "not valid: the file is empty")
	f("Name,Key\n", "not valid: the file has no keys")
	f("Name,Key\n\"n,"+one+"\n", `line 2, column 35: not valid: extraneous or missing " in quoted-field`)
	// An import is all or nothing, and one that comes again overwrites.
	b := newBench(t, &state.Memory{}, Quota{})
	if _, err := b.ImportCSV([]byte("Name,Key,UsagePlanIds\nn,"+one+",gold\nm,"+two+",nobody\n"), "test"); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if all, _ := b.List("", 10); len(all) != 0 {
		t.Error(all)
	}
	first, err := b.ImportCSV([]byte("Name,Key,UsagePlanIds\nn,"+one+",gold\nm,"+two+",\n"), "test")
	if err != nil || len(first) != 2 || first[0].Value != "" {
		t.Fatal(first, err)
	}
	again, err := b.ImportCSV([]byte("Name,Key,Enabled\nrenamed,"+one+",false\n"), "test")
	if err != nil || again[0].ID != first[0].ID {
		t.Fatal(again, err)
	}
	sum := SumOf(one)
	if k, err := b.Show(first[0].ID); err != nil || k.Name != "renamed" || k.Enabled || b.Key(&sum).Enabled() {
		t.Error(k, err)
	}
	if all, _ := b.List("", 10); len(all) != 2 {
		t.Error(all)
	}
}

// An index finds what a map finds, whatever comes and goes.
func TestIndex(t *testing.T) {
	var x Index
	naive := map[Sum]*Credential{}
	for i := range 40000 {
		sum := SumOf(fmt.Sprint(i * 7 % 3000))
		if i > 20000 { // nearly all go, and are others
			sum = SumOf(fmt.Sprint(i * 7 % 100_000))
		}
		switch c := naive[sum]; {
		case i%3 == 0 && c != nil:
			x.Remove(c)
			x.Remove(c)
			delete(naive, sum)
		default:
			naive[sum] = x.add(&sum, fmt.Sprint(i), nil, nil, false)
		}
		if x.Len() != len(naive) {
			t.Fatalf("after %d: %d, want %d", i, x.Len(), len(naive))
		}
		if i == 20000 {
			for sum, c := range naive {
				if len(naive) > 10 {
					x.Remove(c)
					delete(naive, sum)
				}
			}
		}
	}
	for i := range 100_000 {
		sum := SumOf(fmt.Sprint(i))
		if got := x.Find(&sum); got != naive[sum] {
			t.Fatalf("%d: %p, want %p", i, got, naive[sum])
		}
	}
}

// However many keys come and go, they leave as little behind as one. Who holds one that
// is gone, holds that one.
func TestIndexForgets(t *testing.T) {
	var x Index
	var held []*Credential
	stay := x.add(new(Sum), "stay", nil, nil, false)
	for i := range 200_000 {
		var sum Sum
		binary.LittleEndian.PutUint64(sum[:], uint64(i)*0x9e3779b97f4a7c15)
		sum[31] = 1
		c := x.add(&sum, "gone", nil, nil, false)
		if i%10_000 == 0 {
			held = append(held, c)
			c.own.written = int64(i)
		}
		x.Remove(c)
	}
	table := x.table.Load()
	if len(table.places) > 100 || len(table.slabs) > 100 || x.Len() != 1 {
		t.Errorf("%d places, %d slabs, %d keys", len(table.places), len(table.slabs), x.Len())
	}
	for i, c := range held {
		if c.ID() != "gone" || c.own.written != int64(i)*10_000 || !c.gone() {
			t.Fatalf("%d has become %q", i, c.ID())
		}
	}
	if x.Find(new(Sum)) != stay {
		t.Error("who stays isn't found")
	}
}

// Requests find keys while others come and go, and the table grows and shrinks.
func TestIndexHammer(t *testing.T) {
	var x Index
	sums := make([]Sum, 2000)
	for i := range sums {
		sums[i] = SumOf(fmt.Sprint(i))
	}
	for i := range 100 {
		x.add(&sums[i], fmt.Sprint(i), nil, nil, false)
	}
	var readers sync.WaitGroup
	var stop atomic.Bool
	for range 2 {
		readers.Go(func() {
			for i := 0; !stop.Load(); i++ {
				at := i % len(sums)
				c := x.Find(&sums[at])
				if c == nil && at < 100 || c != nil && c.ID() != fmt.Sprint(at) {
					t.Errorf("%d: %v", at, c)
					return
				}
			}
		})
	}
	for range 20 {
		var made []*Credential
		for i := 100; i < len(sums); i++ {
			made = append(made, x.add(&sums[i], fmt.Sprint(i), nil, nil, false))
		}
		for _, c := range made {
			x.Remove(c)
		}
	}
	stop.Store(true)
	readers.Wait()
}

// A credential fills two cache lines, and they are neighbours.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(Credential{}); n != 128 {
		t.Errorf("a credential has %d bytes", n)
	}
	l := New(Options{})
	million(l, &l.made, 3*slabSize)
	table := l.made.table.Load()
	for _, slab := range table.slabs {
		if at := uintptr(unsafe.Pointer(unsafe.SliceData(slab))); len(slab) == slabSize && at%128 != 0 {
			t.Errorf("one is at %x", at)
		}
	}
}

// However much of a value is right, the time to find out that it is wrong is the same:
// its hash decides what it is compared with.
func TestFindTakesNoHints(t *testing.T) {
	var x Index
	right := strings.Repeat("a", 40)
	for i := range 1000 {
		sum := SumOf(fmt.Sprint(i))
		x.add(&sum, "", nil, nil, false)
	}
	sum := SumOf(right)
	x.add(&sum, "", nil, nil, false)
	near, far := right[:39]+"b", "b"+right[1:]
	measure := func(value string) time.Duration {
		began := time.Now()
		for range 2000 {
			sum := SumOf(value)
			if x.Find(&sum) != nil {
				t.Fatal("found")
			}
		}
		return time.Since(began)
	}
	a, b := time.Hour, time.Hour
	for range 200 { // in turns, so that both meet the machine's quiet moments
		a, b = min(a, measure(near)), min(b, measure(far))
	}
	if ratio := float64(a) / float64(b); ratio < 0.7 || ratio > 1.4 {
		t.Errorf("39 right characters of 40 take %v, one wrong at the front %v", a, b)
	}
}

// million fills x with as many keys.
func million(l *Ledger, x *Index, n int) []Sum {
	sums := make([]Sum, n)
	plans := []string{"gold"}
	x.Reserve(n)
	for i := range sums {
		sums[i] = SumOf(fmt.Sprintf("AKeyOfAMillionKeys%012d", i))
		x.add(&sums[i], fmt.Sprintf("%010d", i), l.planSet(plans), nil, false)
	}
	return sums
}

// simpleIndex is what an Index and its Accounts do, written without a thought for memory.
type simpleIndex struct {
	mu   sync.RWMutex
	keys map[Sum]*simpleKey
}

type simpleKey struct {
	id    string
	mu    sync.Mutex
	plans map[string]*simpleUse
}

type simpleUse struct {
	period Period
	start  date
	used   int64
}

func (p *simpleIndex) find(sum *Sum) *simpleKey {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.keys[*sum]
}

func (k *simpleKey) count(plan string, q Quota, today *calendar) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	use := k.plans[plan]
	if use == nil || use.period != q.Period || use.start != today.start[q.Period] {
		use = &simpleUse{period: q.Period, start: today.start[q.Period]}
		k.plans[plan] = use
	}
	if use.used >= q.Limit {
		return false
	}
	use.used++
	return true
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Of many keys that all have been used, no more than 200 bytes each are kept: BenchmarkFind
// says the same of a million.
func TestMemory(t *testing.T) {
	const n = 50_000
	l := New(Options{})
	before := heap()
	sums := million(l, &l.made, n)
	p := l.Plan("gold")
	now := time.Now()
	for i := range sums {
		a := l.Account(l.Key(&sums[i]), p)
		a.Bucket.Take(NewRate(100, 100), l.Instant(now))
		if _, _, ok := l.Count(a, Quota{Limit: 10, Period: Month}, now); !ok {
			t.Fatal("refused")
		}
	}
	if size := (heap() - before) / n; size-uint64(len(sums[0])) > 200 {
		t.Errorf("%d bytes a key", size)
	}
	runtime.KeepAlive(l)
	runtime.KeepAlive(sums)
}

// BenchmarkFind finds keys among a thousand and among a million, and tells what these
// take of memory, without and with what they have used.
func BenchmarkFind(b *testing.B) {
	now := time.Now()
	quota := Quota{Limit: 1 << 40, Period: Month}
	for _, n := range []int{1000, 1_000_000} {
		run := func(name string, make func() []Sum, use func(*Sum), find, request func(*Sum) bool) {
			before := heap()
			sums := make()
			own := uint64(n) * uint64(len(Sum{}))
			keys := heap() - before - own
			for i := range sums {
				use(&sums[i])
			}
			used := heap() - before - own
			rand.Shuffle(n, func(i, j int) { sums[i], sums[j] = sums[j], sums[i] })
			for what, do := range map[string]func(*Sum) bool{"find": find, "request": request} {
				b.Run(fmt.Sprintf("%s/%s/%d", name, what, n), func(b *testing.B) {
					b.ReportAllocs()
					i := 0
					for b.Loop() {
						if !do(&sums[i%n]) {
							b.Fatal("lost")
						}
						i++
					}
					b.ReportMetric(float64(keys)/float64(n), "B/key")
					b.ReportMetric(float64(used)/float64(n), "B/used-key")
				})
			}
		}
		l := New(Options{})
		p := l.Plan("gold")
		count := func(s *Sum) bool {
			_, _, ok := l.Count(l.Account(l.Key(s), p), quota, now)
			return ok
		}
		run("index", func() []Sum { return million(l, &l.made, n) }, func(s *Sum) { count(s) },
			func(s *Sum) bool { return l.Key(s) != nil }, count)
		simple := simpleIndex{keys: map[Sum]*simpleKey{}}
		today := l.today(now)
		run("plain", func() []Sum {
			sums := make([]Sum, n)
			for i := range sums {
				sums[i] = SumOf(fmt.Sprintf("AKeyOfAMillionKeys%012d", i))
				simple.keys[sums[i]] = &simpleKey{id: fmt.Sprintf("%010d", i), plans: map[string]*simpleUse{}}
			}
			return sums
		}, func(s *Sum) { simple.find(s).count("gold", quota, today) },
			func(s *Sum) bool { return simple.find(s) != nil },
			func(s *Sum) bool { return simple.find(s).count("gold", quota, today) })
	}
}

func BenchmarkCount(b *testing.B) {
	l := New(Options{})
	c := l.Declare(new(Index), "one", SumOf("TheKeyOfPartnerOne000001"), true, []string{"gold"})
	p := l.Plan("gold")
	q := Quota{Limit: 1 << 60, Period: Month}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, ok := l.Count(l.Account(c, p), q, time.Now()); !ok {
				b.Fatal("refused")
			}
		}
	})
}

func BenchmarkSum(b *testing.B) {
	value := strings.Repeat("a", 40)
	b.ReportAllocs()
	for b.Loop() {
		SumOf(value)
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("Name,key,description,Enabled,usageplanIds\nn,OneKeyWithThirtyCharacters0001,text,TRUE,\"gold,silver\"\n")
	f.Add("\ufeffKey,Name\r\nx,\"")
	f.Fuzz(func(t *testing.T, file string) {
		keys, err := ReadCSV(strings.NewReader(file))
		if err != nil {
			if len(keys) > 0 {
				t.Error("keys, and an error all the same")
			}
			return
		}
		for _, k := range keys {
			if k.Name == "" || len(k.Value) < minImported || len(k.Value) > MaxValue {
				t.Errorf("%+v", k)
			}
		}
	})
}

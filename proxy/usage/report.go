package usage

import (
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/state"
)

// Report says what keys used of a plan, day by day. AWS: GetUsage.
type Report struct {
	Plan  string `json:"usagePlanId"`
	Start string `json:"startDate"` // "2006-01-02"; both days are in it
	End   string `json:"endDate"`
	// Items are the days of each key, by id: what was used on each, and what was left at
	// its end; -1 without a quota. A key that has used nothing isn't there.
	Items map[string][][2]int64 `json:"items"`
}

// maxReport is how many days one report has at most.
const maxReport = keepDays

// Report reports on a plan, and on one key only if id isn't "". Of two empty days the
// report is of the present period so far, or of this month without a quota.
func (l *Ledger) Report(plan, id, from, to string) (Report, error) {
	facts, there := l.catalog.Load().Plans[plan]
	if !there {
		return Report{}, fmt.Errorf("no plan %q: %w", plan, ErrUnknown)
	}
	today := l.today(l.clock()).day
	start, end := today, today
	period := facts.Quota.Period
	if period == NoPeriod {
		period = Month
	}
	start, _ = today.span(period)
	var ok bool
	if from != "" {
		if start, ok = parseDate(from); !ok {
			return Report{}, fmt.Errorf("%w: %q isn't a day such as 2026-01-31", ErrInvalid, from)
		}
	}
	if to != "" {
		if end, ok = parseDate(to); !ok {
			return Report{}, fmt.Errorf("%w: %q isn't a day such as 2026-01-31", ErrInvalid, to)
		}
	}
	if end < start || end-start >= maxReport {
		return Report{}, fmt.Errorf("%w: from %v to %v; a report has 1 to %d days", ErrInvalid, start, end, maxReport)
	}
	if err := l.Flush(); err != nil {
		return Report{}, err
	}
	store := l.store.Load()
	if store == nil {
		return Report{}, ErrDetached
	}
	r := &reporter{ledger: l, store: *store, quota: facts.Quota, plan: plan, start: start, end: end, items: map[string][][2]int64{}}
	err := r.run(id)
	return Report{Plan: plan, Start: start.String(), End: end.String(), Items: r.items}, err
}

// reporter is the state of one report.
type reporter struct {
	ledger     *Ledger
	store      state.Store
	quota      Quota
	plan       string
	start, end date
	items      map[string][][2]int64
}

// day is what was used on one day.
type day struct {
	date
	used int64
}

func (r *reporter) run(only string) error {
	used := map[string][]day{}
	var order []string
	prefix := r.plan + separator
	if only != "" {
		prefix += only + separator
	}
	err := r.store.Each(usageTable, prefix, prefix+"\xff", func(e state.Entry) error {
		if _, id, d, ok := splitKey(e.Key); ok {
			if used[id] == nil {
				order = append(order, id)
			}
			used[id] = append(used[id], day{d, e.Count})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range order {
		if err := r.key(id, used[id]); err != nil {
			return err
		}
	}
	return nil
}

// key reports on one key, whose days are in order.
func (r *reporter) key(id string, days []day) error {
	counts := make([][2]int64, r.end-r.start+1)
	periodStart, left := date(-1), int64(-1)
	for d := r.start; d <= r.end; d++ {
		if r.quota.Period != NoPeriod {
			if start, _ := d.span(r.quota.Period); start != periodStart {
				periodStart = start
				extra, err := r.ledger.granted(r.store, r.plan, id, start)
				if err != nil {
					return err
				}
				left = r.quota.Limit + extra
				if days[0].date >= start {
					left -= r.quota.Offset
				}
				for _, one := range days {
					if one.date >= start && one.date < d {
						left -= one.used
					}
				}
			}
		}
		if i := slices.IndexFunc(days, func(one day) bool { return one.date == d }); i >= 0 {
			counts[d-r.start][0] = days[i].used
			if r.quota.Period != NoPeriod {
				left -= days[i].used
			}
		}
		counts[d-r.start][1] = left
		if r.quota.Period != NoPeriod {
			counts[d-r.start][1] = max(left, 0)
		}
	}
	if days[len(days)-1].date >= r.start && days[0].date <= r.end {
		r.items[id] = counts
	}
	return nil
}

// Extend lets a key send n more requests of a plan in the present period, or fewer if
// n is below 0. name is its id or name; key and plan are returned as they are called.
// AWS: UpdateUsage.
func (l *Ledger) Extend(name, plan string, n int64, by string) (id, of string, err error) {
	l.changing.Lock()
	defer l.changing.Unlock()
	id, r, plans, err := l.resolve(name)
	if err != nil {
		return "", "", err
	}
	catalog := l.catalog.Load()
	if plan == "" {
		var limited []string
		for _, one := range plans {
			if catalog.Plans[one].Quota.Period != NoPeriod {
				limited = append(limited, one)
			}
		}
		if len(limited) != 1 {
			return "", "", fmt.Errorf("key %q: %w: it is in %d plans with a quota %v; say which", name, ErrInvalid, len(limited), limited)
		}
		plan = limited[0]
	}
	facts, there := catalog.Plans[plan]
	switch {
	case !there || !slices.Contains(plans, plan):
		return "", "", fmt.Errorf("key %q isn't in a plan %q: %w", name, plan, ErrUnknown)
	case facts.Quota.Period == NoPeriod:
		return "", "", fmt.Errorf("plan %q: %w: it has no quota", plan, ErrInvalid)
	case n < -maxGrant || n > maxGrant:
		return "", "", fmt.Errorf("%w: at most %d requests", ErrInvalid, int64(maxGrant))
	}
	store := l.store.Load()
	if store == nil {
		return "", "", ErrDetached
	}
	start := l.today(l.clock()).start[facts.Quota.Period]
	if err := (*store).Update([]state.Change{{Table: extraTable, Key: usageKey(plan, id, start), Add: n}}); err != nil {
		return "", "", err
	}
	number := l.Plan(plan).Number
	for a := l.accountsOf(id, r); a != nil; a = a.next() {
		if a.plan.Load() == number+1 {
			a.extend(mark(facts.Quota.Period, start), n)
		}
	}
	l.logger.Info("quota extended", zap.String("by", by), zap.String("key", id), zap.String("plan", plan), zap.Int64("requests", n))
	return id, plan, nil
}

// maxGrant bounds what is granted at once, so that no sum overflows.
const maxGrant = 1_000_000_000_000

// resolve returns id and plans of a key: of the configuration's of that name, else of
// the one with that id or name.
func (l *Ledger) resolve(name string) (id string, r *record, plans []string, err error) {
	if declared, there := l.catalog.Load().Keys[name]; there {
		return name, nil, declared, nil
	}
	if r, err = l.find(name); err != nil {
		return "", nil, nil, err
	}
	return r.ID, r, r.Plans, nil
}

// KeyUse reports on the plans of one key, by id or name.
func (l *Ledger) KeyUse(name, from, to string) ([]Report, error) {
	l.changing.Lock()
	id, _, plans, err := l.resolve(name)
	l.changing.Unlock()
	if err != nil {
		return nil, err
	}
	all := []Report{}
	for _, plan := range plans {
		if _, there := l.catalog.Load().Plans[plan]; !there {
			continue // the configuration has it no more
		}
		r, err := l.Report(plan, id, from, to)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// Requests are counted in one process and written by another: what a gateway that
// gives its place up counts after it let go of the store.
type Requests struct {
	Plan, Key, Day string
	Count          int64
}

// Hand returns what was counted and not written, for whoever has the store now.
func (l *Ledger) Hand() []Requests {
	l.writing.Lock()
	defer l.writing.Unlock()
	var all []Requests
	for _, e := range l.take() {
		all = append(all, Requests{e.plan, e.account.id, e.on.String(), e.requests})
		e.account.handed(e)
	}
	return all
}

// Receive adds what another process has counted.
func (l *Ledger) Receive(all []Requests) error {
	store := l.store.Load()
	if store == nil {
		return ErrDetached
	}
	var changes []state.Change
	for _, r := range all {
		d, ok := parseDate(r.Day)
		if !ok || r.Plan == "" || r.Key == "" {
			return fmt.Errorf("%w: requests of plan %q, key %q, day %q", ErrInvalid, r.Plan, r.Key, r.Day)
		}
		changes = append(changes, state.Change{Table: usageTable, Key: usageKey(r.Plan, r.Key, d), Add: r.Count})
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	return (*store).Update(changes)
}

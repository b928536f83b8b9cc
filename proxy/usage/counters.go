package usage

import (
	"errors"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy/state"
)

// Tables of the store.
const (
	keyTable   = "api_key"     // documents by id
	usageTable = "usage"       // requests by plan, key and day
	extraTable = "usage_extra" // requests that were granted besides, by plan, key and a period's first day
)

const separator = "\x00"

// usageKey is the key of a counter.
func usageKey(plan, id string, d date) string {
	return plan + separator + id + separator + d.String()
}

// splitKey takes such a key apart.
func splitKey(key string) (plan, id string, d date, ok bool) {
	plan, rest, _ := strings.Cut(key, separator)
	id, day, _ := strings.Cut(rest, separator)
	d, ok = parseDate(day)
	return plan, id, d, ok
}

// past is what a store says of an account.
type past struct {
	used, today int64 // in the period, and on its present day
	extra       int64
	first       bool // it has never used anything before the period
}

// past reads what the key called id has used of a plan from day start to today.
func (l *Ledger) past(plan, id string, start, today date) (past, error) {
	p := past{first: true}
	store := l.store.Load()
	if store == nil {
		return p, nil
	}
	prefix := plan + separator + id + separator
	err := (*store).Each(usageTable, prefix, prefix+"\xff", func(e state.Entry) error {
		_, _, d, ok := splitKey(e.Key)
		switch {
		case !ok:
		case d < start:
			p.first = false
		default:
			p.used += e.Count
			if d == today {
				p.today = e.Count
			}
		}
		return nil
	})
	if err != nil {
		return past{}, err
	}
	p.extra, err = l.granted(*store, plan, id, start)
	return p, err
}

// granted returns how many requests a key may send besides in a period.
func (l *Ledger) granted(store state.Store, plan, id string, start date) (n int64, err error) {
	key := usageKey(plan, id, start)
	err = store.Each(extraTable, key, key+"\x00", func(e state.Entry) error {
		n = e.Count
		return nil
	})
	return n, err
}

// How long use is remembered, and how much is looked through at a time.
const (
	keepDays  = 90
	pruneMost = 10000
)

// errEnough ends a search.
var errEnough = errors.New("enough")

// prune removes what is older than keepDays: all of it is looked through once a day,
// a part each time it is called.
func (l *Ledger) prune() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	store, today := l.store.Load(), l.today(l.clock()).day
	if store == nil || l.pruning == today && l.pruned == "" {
		return nil
	}
	from := l.pruned
	var old []state.Change
	seen, next := 0, ""
	for _, table := range []string{usageTable, extraTable} {
		seen, next = 0, ""
		start := from
		if table == extraTable {
			start = "" // it is small
		}
		err := (*store).Each(table, start, "", func(e state.Entry) error {
			if seen++; seen > pruneMost && table == usageTable {
				next = e.Key
				return errEnough
			}
			if _, _, d, ok := splitKey(e.Key); ok && d < today-keepDays {
				old = append(old, state.Change{Table: table, Key: e.Key, Delete: true})
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			break
		}
		if err != nil {
			return err
		}
	}
	if len(old) > 0 {
		if err := (*store).Update(old); err != nil {
			return err
		}
	}
	l.pruning, l.pruned = today, next
	return nil
}

// copyEvery is how often the store is copied, if it can be.
const copyEvery = time.Hour

// copy has the store copy itself, for the day on which it turns out to be damaged.
func (l *Ledger) copy() {
	l.writing.Lock()
	defer l.writing.Unlock()
	store := l.store.Load()
	if store == nil || l.clock().Sub(l.copied) < copyEvery {
		return
	}
	l.copied = l.clock()
	if c, can := (*store).(interface{ Copy() error }); can {
		if err := c.Copy(); err != nil {
			l.trouble("the state can't be copied", err)
		}
	}
}

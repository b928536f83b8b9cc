package upstream

import (
	"sync"
	"time"
)

// budget bounds further tries to a share of the requests, so that a backend in
// trouble doesn't get its load multiplied. It counts in windows; what it needs
// to know of the requests, it reads from counters that are there anyway.
type budget struct {
	mu       sync.Mutex // guards what follows
	since    time.Time  // when the window began
	requests uint64     // so far, then
	spent    int        // in the window
	refused  uint64     // over all
}

// budgetWindow is how long a window lasts.
const budgetWindow = 10 * time.Second

// mayRetry reports whether one more try fits into the budget, and takes it.
func (b *backend) mayRetry(now time.Time) bool {
	var requests uint64
	for _, m := range b.picks.Load().members {
		requests += m.begun.Load()
	}
	u := &b.budget
	u.mu.Lock()
	defer u.mu.Unlock()
	age := now.Sub(u.since)
	if age >= budgetWindow || requests < u.requests {
		u.since, u.requests, u.spent, age = now, requests, 0, 0
	}
	// Each request's first try counts. The second under way has its minimum too.
	fresh := max(0, int(requests-u.requests)-u.spent)
	if u.spent < fresh*b.percent/100+b.least*(1+int(age/time.Second)) {
		u.spent++
		return true
	}
	u.refused++
	return false
}

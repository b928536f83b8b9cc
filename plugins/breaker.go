package plugins

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// breakerFailures is how many calls in a row must end by a trap, an exit or
	// their deadline, or instances not start, until a plugin counts as unhealthy.
	breakerFailures = 10
	// breakerFirst is how long an unhealthy plugin isn't called at first, and
	// breakerLongest at most: each failed try doubles it.
	breakerFirst   = 100 * time.Millisecond
	breakerLongest = 30 * time.Second
)

var errUnhealthy = errors.New("the plugin failed too often in a row and isn't called for a while")

// breaker keeps an unhealthy plugin from being called: starting instance after
// instance of what can't work costs others the processor. After a while one call
// is let through as a try. Safe for concurrent use.
//
// Failures are counted over all instances, each of which was fresh or reset or
// had served others well before, and one success ends the count: somebody whose
// requests make the plugin trap can't switch it off for others while theirs
// succeed.
type breaker struct {
	open atomic.Bool // else what follows isn't looked at before a call

	failures atomic.Int32 // in a row

	mu    sync.Mutex // guards what follows
	until int64      // no call before, in the host's monotonic time
	wait  time.Duration
	tried bool // a try is on its way
}

// admit reports whether a call may begin now. Each that may is followed by one
// call of tell.
func (b *breaker) admit(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open.Load() {
		return true
	}
	if b.tried || now < b.until {
		return false
	}
	b.tried = true
	return true
}

// outcome is how a call ended, for the breaker.
type outcome int

const (
	succeeded outcome = iota
	failing           // trap, exit, deadline, or an instance that doesn't start
	neither           // the guest's own no, or no call at all
)

// tell says how an admitted call ended, and returns for how long the plugin
// isn't called because of that, or with again true that it works again.
func (b *breaker) tell(how outcome, now int64) (pause time.Duration, again bool) {
	switch how {
	case succeeded:
		b.failures.Store(0)
		if !b.open.Load() {
			return 0, false
		}
	case failing:
		if b.failures.Add(1) < breakerFailures && !b.open.Load() {
			return 0, false
		}
	case neither:
		if !b.open.Load() {
			return 0, false
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	tried := b.tried
	b.tried = false
	switch {
	case how == succeeded:
		again = b.open.Load()
		b.open.Store(false)
		b.wait = 0
		return 0, again
	case how == neither || b.open.Load() && !tried: // of a call that began before
		return 0, false
	}
	b.wait = min(max(2*b.wait, breakerFirst), breakerLongest)
	// Jitter: many plugins that fail for one reason shall not all try at once.
	pause = b.wait/2 + rand.N(b.wait)
	b.until = now + int64(pause)
	b.open.Store(true)
	return pause, false
}

// outcomeOf says what err, which a call ended with, means for the breaker.
func outcomeOf(err error) outcome {
	if err == nil {
		return succeeded
	}
	var f *failure
	if errors.As(err, &f) && (f.what == "trap" || f.what == "exit" || f.what == "deadline") {
		return failing
	}
	return neither
}

// tellBreaker is breaker.tell with the log.
func (p *plugin) tellBreaker(how outcome, err error) {
	if how == succeeded && p.breaker.failures.Load() == 0 && !p.breaker.open.Load() {
		return
	}
	switch pause, again := p.breaker.tell(how, p.host.now()); {
	case again:
		p.counters.unhealthy.Store(false)
		p.logger.Info("plugin works again")
	case pause > 0:
		p.counters.unhealthy.Store(true)
		p.logger.Error("plugin is unhealthy", zap.Error(err), zap.Int("failures", int(p.breaker.failures.Load())), zap.Duration("pause", pause))
	}
}

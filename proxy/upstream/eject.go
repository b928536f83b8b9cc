package upstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
)

// ejection is when a target is left out because requests fail.
type ejection struct {
	failures int // in a row; 0: never
	status   statuses
	time     time.Duration // the first time
	longest  time.Duration
	percent  int // of the targets, at most
}

// statuses is a set of HTTP statuses.
type statuses [10]uint64

func (s *statuses) has(status int) bool {
	return uint(status) < 600 && s[status/64]&(1<<(status%64)) != 0
}

// parseStatuses reads "502" and "500-599".
func parseStatuses(list []string) (s statuses, err error) {
	for _, text := range list {
		low, high, isRange := strings.Cut(text, "-")
		if !isRange {
			high = low
		}
		first, err := strconv.Atoi(low)
		if err != nil {
			return s, fmt.Errorf("%q is no status", text)
		}
		last, err := strconv.Atoi(high)
		if err != nil || first < 100 || last > 599 || first > last {
			return s, fmt.Errorf("%q are no statuses", text)
		}
		for status := first; status <= last; status++ {
			s[status/64] |= 1 << (status % 64)
		}
	}
	return s, nil
}

// judge counts an answer for or against its target.
func (b *backend) judge(t *target, status int) {
	if b.eject.status.has(status) {
		b.blame(t)
		return
	}
	if t.fails.Load() != 0 {
		t.fails.Store(0)
	}
}

// blame counts a failure against t.
func (b *backend) blame(t *target) {
	t.failed.Add(1)
	if b.eject.failures > 0 && int(t.fails.Add(1)) >= b.eject.failures {
		b.leaveOut(t)
	}
}

// blames reports whether a failed try is to be counted against its target:
// the client's own failures aren't, nor a kept connection that had ended, nor
// content that is only long.
func blames(err error) bool {
	var f proxy.Fault
	if errors.As(err, new(longError)) {
		return false
	}
	if errors.As(err, &f) {
		return f.Kind == proxy.BadIntegration || f.Kind == proxy.IntegrationFailure || f.Kind == proxy.IntegrationTimeout
	}
	var stale staleError
	return !errors.As(err, &stale) && !errors.Is(err, context.Canceled)
}

// state is what is known of a target's share and health. The backend's mu
// guards it.
type state struct {
	weight int
	tier   int  // targets of a higher one stand in for those of the lower ones
	sick   bool // by the health check

	ejected   bool
	ejections uint64        // so far
	times     int           // in a row
	span      time.Duration // of the last one
	back      time.Time     // when that ended
	timer     *time.Timer   // ends the present one

	unwatch context.CancelFunc // ends the health check
}

// leaveOut ejects t, unless too many are left out already.
func (b *backend) leaveOut(t *target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := 1
	for _, other := range b.all {
		if other.ejected {
			out++
		}
	}
	if t.ejected || b.closed || out*100 > b.eject.percent*len(b.all) {
		return
	}
	if t.times > 0 && time.Since(t.back) > t.span {
		t.times = 0 // it has been well for as long as it was left out
	}
	t.span = b.eject.longest
	if t.times < 32 {
		t.span = min(b.eject.longest, b.eject.time<<t.times)
	}
	t.times++
	t.ejections++
	t.ejected = true
	t.timer = time.AfterFunc(t.span, func() { b.readmit(t) })
	b.options.Logger.Warn("target is left out because its requests fail",
		zap.String("backend", b.name), zap.String("target", t.address), zap.Duration("for", t.span))
	b.publish()
}

// readmit lets t take part again. The next failure ejects it anew.
func (b *backend) readmit(t *target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || !t.ejected {
		return
	}
	t.ejected, t.back = false, time.Now()
	t.fails.Store(int32(b.eject.failures - 1))
	b.rise(t)
	b.publish()
}

// rise begins t's slow start.
func (b *backend) rise(t *target) {
	if b.slow > 0 {
		t.risen.Store(max(1, int64(time.Since(b.born))))
	}
}

// publish makes what is known of the targets what requests go by. The caller
// holds mu.
func (b *backend) publish() {
	tier, anyone := 0, false
	for _, t := range b.all {
		if t.well() && (!anyone || t.tier < tier) {
			tier, anyone = t.tier, true
		}
	}
	var members []member
	for _, t := range b.all {
		if anyone && t.well() && t.tier == tier || !anyone && !b.refuse {
			members = append(members, member{t, t.weight, t.hash})
		}
	}
	p := newPicks(members)
	p.refuse = !anyone && b.refuse && len(b.all) > 0
	b.picks.Store(p)
	if b.gate != nil {
		b.gate.wake(b)
	}
}

func (s *state) well() bool { return !s.sick && !s.ejected }

// retire ends t: its health check, its timer, its unused connections.
func (t *target) retire() {
	if t.unwatch != nil {
		t.unwatch()
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	t.close()
}

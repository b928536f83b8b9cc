package http2

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	l := PaceLimits{Rate: 100, Patience: 10 * time.Second}
	var p Pace
	own, all := int64(1_000_000), int64(1_000_000) // what went before any wait doesn't count
	f := func(wait time.Duration, why Cause, sent, others int64, good bool) {
		t.Helper()
		p.Wait(wait, why)
		own, all = own+sent, all+sent+others
		if err := p.Judge(l, own, all); (err == nil) != good {
			t.Errorf("%d bytes in %s, %d of others: %v", sent, wait, others, err)
		}
	}
	f(0, ForLine, 0, 0, true)
	f(9*time.Second, ForStream, 0, 0, true)     // it has time
	f(time.Second, ForStream, 1000, 0, true)    // 1000 bytes in 10 s are enough
	f(10*time.Second, ForStream, 999, 0, false) // and 999 aren't
	f(5*time.Second, ForStream, 999, 0, true)   // each ten seconds count for themselves
	f(5*time.Second, ForStream, 1, 0, true)
	f(10*time.Second, ForLine, 20, 980, true)  // a slow line with many replies
	f(10*time.Second, ForLine, 20, 979, false) // too slow for all of them together
	f(10*time.Second, ForLine, 0, 0, false)
	f(10*time.Second, ForStream, 20, 90_000, false) // fast, but not for this one
	l.Rate = 0
	f(time.Hour, ForStream, 0, 0, true)
}

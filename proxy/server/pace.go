package server

import (
	"fmt"
	"time"

	"github.com/postern-gateway/postern/proxy/http2"
)

// paceFrom is how many bytes of a reply are sent before its client's pace is
// measured: most replies need no clock.
const paceFrom = 128 << 10

// pace measures how fast a client takes a reply. Only the time in which it keeps
// us waiting counts, so that a slow backend isn't its fault.
type pace struct {
	sent    int64
	took    int64 // bytes since the rate was judged
	blocked time.Duration
}

// judge counts n bytes whose write took d. It fails when the client was slower
// than rate bytes a second for rateAfter of waiting.
func (p *pace) judge(n int64, d time.Duration, rate int64) error {
	p.took += n
	p.blocked += d
	if p.blocked < rateAfter {
		return nil
	}
	took, blocked := p.took, p.blocked
	p.took, p.blocked = 0, 0
	if rate > 0 && float64(took) < float64(rate)*blocked.Seconds() {
		return fmt.Errorf("the client took %d bytes in %s, minimum rate %d bytes/s", took, blocked.Round(time.Millisecond), rate)
	}
	return nil
}

// pace is min_send_rate for replies that share a connection.
func (s *settings) pace() http2.PaceLimits {
	return http2.PaceLimits{Rate: int64(s.MinSendRate), Patience: rateAfter}
}

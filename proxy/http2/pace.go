package http2

import (
	"fmt"
	"time"
)

// Pace is how fast a client takes a reply. Only the time counts in which it keeps us
// waiting, so that a slow backend isn't its fault: for a reply that it gives no room
// of its own, the reply's bytes have to be enough, and for a line that many replies
// share, the bytes of them all. It isn't safe for concurrent use.
type Pace struct{ own, line span }

// span is waiting, and what was sent meanwhile.
type span struct {
	waited time.Duration
	from   int64 // bytes that had been sent when it began
}

// PaceLimits are what Pace is judged by.
type PaceLimits struct {
	Rate     int64         // least bytes a second; 0 for no bound
	Patience time.Duration // of waiting in all, before it is judged
}

// Cause is what a client's wait was for.
type Cause bool

// The causes.
const (
	ForStream Cause = true  // it gave room on the connection, and none for the reply
	ForLine   Cause = false // it took nothing of the connection
)

// Wait counts time for which the client has kept us waiting.
func (p *Pace) Wait(d time.Duration, why Cause) {
	if why == ForStream {
		p.own.waited += d
		return
	}
	p.line.waited += d
}

// Judge is called before each wait. own bytes were sent of the reply so far, and all
// bytes of all replies on the connection. It fails when the client takes less than the
// limits allow.
func (p *Pace) Judge(l PaceLimits, own, all int64) error {
	if l.Rate == 0 {
		return nil
	}
	if err := p.own.judge(l, own); err != nil {
		return err
	}
	return p.line.judge(l, all)
}

func (s *span) judge(l PaceLimits, sent int64) error {
	if s.waited == 0 {
		s.from = sent
	}
	if s.waited < l.Patience {
		return nil
	}
	took, waited := sent-s.from, s.waited
	*s = span{from: sent}
	if float64(took) >= float64(l.Rate)*waited.Seconds() {
		return nil
	}
	return fmt.Errorf("the client took %d bytes in %s, minimum rate %d bytes/s", took, waited.Round(time.Millisecond), l.Rate)
}

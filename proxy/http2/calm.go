package http2

import (
	"sync/atomic"
	"time"
)

// calm counts frames that cost us something and are of no use: a client that sends
// many of them, beyond what its requests explain, isn't one. CVE-2019-9512 to
// 9518, CVE-2023-44487.
type calm struct {
	// Owned by the reading goroutine.
	used  int
	since time.Time

	credit atomic.Int64 // earned by use since it was looked at
}

// What frames and replies count. A client answers DATA with up to two
// WINDOW_UPDATE and sometimes a PING.
const (
	calmBurst   = 1000 // at once
	calmRate    = 200  // more each second
	creditData  = 3
	creditReply = 4
	resetCost   = 4
)

// bother counts n; the error ends the connection.
func (c *calm) bother(n int) error {
	if c.used += n; c.used <= calmBurst {
		return nil
	}
	now := time.Now()
	c.used -= int(min(c.credit.Swap(0), calmBurst))
	c.used -= int(min(now.Sub(c.since).Seconds(), calmBurst/calmRate) * calmRate)
	c.used, c.since = max(c.used, 0), now
	if c.used > calmBurst {
		return connError{enhanceYourCalm, "too many frames that are of no use"}
	}
	return nil
}

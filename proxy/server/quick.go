package server

import "time"

// How long a connection's requests may follow each other before the socket is asked once
// more whether the client has ended its direction, and how many have to come before it is
// believed to go on.
const (
	quickTrust = 100 * time.Millisecond
	quickFrom  = 8
)

// quick answers the request that has just come, within the wait for it. It reports whether
// to wait for the next one there: see wire.Conn.AwaitEach. Whatever isn't a plain
// request that is here whole is left to serve.
func (c *conn) quick() bool {
	c.now = c.clock.read()
	if c.served < quickFrom || c.now.Sub(c.looked) > quickTrust {
		c.looked = c.now // serve's wait for the next one asks
		return false
	}
	c.settings = c.listener.settings.Load()
	c.work = c.server.desks.take(c)
	n, err := c.parse()
	if err != nil {
		return false
	}
	if n < len(c.wire.Buffered()) || c.request.Chunked || c.request.Length > 0 || c.request.Upgrade != "" || !c.request.KeepAlive {
		c.parsed = n
		return false
	}
	c.slow = false
	c.begin(n)
	if c.over = !c.answer(c.now); c.over {
		return false
	}
	// As in await: draining is looked at last.
	if c.wire.SetReadTimeout(c.now, time.Duration(c.settings.IdleTimeout)) != nil || c.ending() {
		return false
	}
	c.rest()
	return true
}

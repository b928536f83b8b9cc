package server

import "time"

// clock reads the time for a connection. The zero value is ready to use; it isn't
// safe for concurrent use.
type clock struct{ base time.Time }

// clockTrust is for how long the wall clock is taken to go on with the monotonic one.
const clockTrust = time.Second

// read returns the time, for half of what time.Now costs while requests follow each
// other: only one of the two clocks is read. When somebody sets the wall clock, that
// counts a second later at most. BenchmarkClock compares the two.
func (c *clock) read() time.Time {
	if past := time.Since(c.base); past < clockTrust {
		return c.base.Add(past)
	}
	c.base = time.Now()
	return c.base
}

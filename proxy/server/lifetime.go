package server

import "time"

// lifetime bounds how long a connection and its requests last.
type lifetime struct {
	born   time.Time
	spread time.Duration // of 256: where in the spread of connection_age it lies

	overtime *time.Timer // cuts the connection; nil until it was needed
}

func (t *lifetime) begin(now time.Time, random uint64) {
	t.born, t.spread = now, time.Duration(random&255)
}

// over reports whether the connection is old enough to get its last reply. Ages
// are spread, so that clients that came together don't come back together.
func (t *lifetime) over(s *settings, now time.Time) bool {
	age := time.Duration(s.ConnectionAge)
	return age > 0 && now.Sub(t.born) >= age-age/10+age/5/256*t.spread
}

// bound cuts c when d has passed before unbound is called.
func (t *lifetime) bound(c *conn, d time.Duration) {
	if t.overtime == nil {
		t.overtime = time.AfterFunc(d, c.kill)
		return
	}
	t.overtime.Reset(d)
}

func (t *lifetime) unbound() {
	if t.overtime != nil {
		t.overtime.Stop()
	}
}

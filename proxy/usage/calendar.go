package usage

import "time"

// Period is what a quota is for.
type Period uint8

// The periods. All are of the calendar in UTC; weeks begin on Monday (ISO 8601).
const (
	NoPeriod Period = iota
	Day
	Week
	Month

	periods
)

// ParsePeriod returns the period of that name: "day", "week", "month"; NoPeriod for
// any other.
func ParsePeriod(name string) Period {
	switch name {
	case "day":
		return Day
	case "week":
		return Week
	case "month":
		return Month
	}
	return NoPeriod
}

// date is a day, counted from 1 January 1970.
type date int64

const secondsPerDay = 24 * 60 * 60

func dateOf(t time.Time) date {
	s := t.Unix()
	if s < 0 {
		s -= secondsPerDay - 1
	}
	return date(s / secondsPerDay)
}

func (d date) time() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

// String returns d as "2006-01-02".
func (d date) String() string { return d.time().Format(time.DateOnly) }

func parseDate(s string) (date, bool) {
	t, err := time.Parse(time.DateOnly, s)
	return dateOf(t), err == nil
}

// span returns the first day of the period that d is in, and the first one after it.
func (d date) span(p Period) (start, end date) {
	switch p {
	case Day:
		return d, d + 1
	case Week:
		start = d - (d+3)%7 // day 0 was a Thursday
		return start, start + 7
	case Month:
		t := d.time()
		first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
		return dateOf(first), dateOf(first.AddDate(0, 1, 0))
	}
	return 0, 1 << 40
}

// calendar is one day, and the periods that it is in.
type calendar struct {
	day         date
	from, until int64 // seconds since 1970
	start, end  [periods]date
	marks       [periods]uint64 // of the windows that begin with start
}

func newCalendar(d date) *calendar {
	c := &calendar{day: d, from: int64(d) * secondsPerDay, until: int64(d+1) * secondsPerDay}
	for p := range periods {
		c.start[p], c.end[p] = d.span(p)
		c.marks[p] = mark(p, c.start[p])
	}
	return c
}

// maxSetback is how far a clock may be put back and the day still stays what it was:
// then nobody gets a quota twice. From further back it is the clock that was wrong
// before.
const maxSetback = secondsPerDay

// holds reports whether it is c's day at that second of the clock.
func (c *calendar) holds(second int64) bool { return second < c.until && second >= c.from-maxSetback }

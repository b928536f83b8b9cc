package responsecache

import (
	"math"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
)

// Statuses that are treated specially.
const (
	partialContent = 206
	notModified    = 304
	gatewayTimeout = 504
)

// freshness is for how long an answer is good, as its backend says. RFC 9111, 4.2.
type freshness struct {
	born     time.Time     // when it came
	age      time.Duration // that it had then
	lifetime time.Duration // from age 0 on
	epoch    uint32        // of its URL when it was asked for

	// Beyond lifetime. RFC 5861.
	whileRevalidate, ifError time.Duration
	strict                   bool // never beyond it
	always                   bool // ask each time

	etag, modified string // validators, "" for none
}

// validators reports whether a backend can be asked whether the answer still holds.
func (f *freshness) validators() bool { return f.etag != "" || f.modified != "" }

// ageAt returns the answer's age. RFC 9111, 4.2.3.
func (f *freshness) ageAt(now time.Time) time.Duration { return f.age + now.Sub(f.born) }

// unusable is an age above all lifetimes.
const unusable = time.Duration(math.MaxInt64 / 4)

// freshnessOf reads what an answer says that was asked for at asked and came at now, with an
// Age.
func freshnessOf(fields http1.Fields, age time.Duration, d *directives, asked, now time.Time) freshness {
	f := freshness{
		born:            now,
		whileRevalidate: d.staleWhileRevalidate.n, ifError: d.staleIfError.n,
		// RFC 9111, 5.2.2.10: s-maxage means proxy-revalidate as well.
		strict: d.mustRevalidate || d.proxyRevalidate || d.sharedMaxAge.set || d.noCache,
		always: d.noCache,
	}
	var date, expires string
	expiring := false
	for i := range fields {
		h := &fields[i]
		switch {
		case h.Known() == http1.Date:
			date = h.Value
		case strings.EqualFold(h.Name, "Expires"):
			if expiring { // two are none
				expires = ""
				break
			}
			expires, expiring = h.Value, true
		case strings.EqualFold(h.Name, "ETag"):
			f.etag = h.Value
		case strings.EqualFold(h.Name, "Last-Modified"):
			f.modified = h.Value
		}
	}
	made, dated := parseDate(date)
	if !dated {
		made = now
	}
	f.age = max(now.Sub(made).Truncate(time.Second), age+now.Sub(asked), 0)
	switch {
	case d.sharedMaxAge.set:
		f.lifetime = d.sharedMaxAge.n
	case d.maxAge.set:
		f.lifetime = d.maxAge.n
	case expiring:
		if at, ok := parseDate(expires); ok {
			f.lifetime = max(at.Sub(made), 0)
		}
	}
	return f
}

// explicit reports whether an answer says itself how long it is good.
func explicit(fields http1.Fields, d *directives) bool {
	if d.sharedMaxAge.set || d.maxAge.set {
		return true
	}
	_, found := fields.Lookup("Expires")
	return found
}

// parseAge reads an Age: the first of several in one line. What isn't one makes an answer
// too old for any use.
func parseAge(value string) time.Duration {
	value, _, _ = strings.Cut(value, ",")
	if age, ok := parseSeconds(strings.Trim(value, " \t")); ok {
		return age
	}
	return unusable
}

// parseDate reads an HTTP-date in its three forms. RFC 9110, 5.6.7.
func parseDate(value string) (time.Time, bool) {
	if len(value) < len("Sun Nov  6 08:49:37 1994") {
		return time.Time{}, false
	}
	for _, layout := range [...]string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if t, err := time.Parse(layout, value); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

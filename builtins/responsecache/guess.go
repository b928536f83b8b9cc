package responsecache

import (
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
)

// guess is for which share of the time since it was changed last an answer is good that
// doesn't say how long it is; 0 guesses nothing. RFC 9111, 4.2.2.
type guess float64

// mostGuessed is the longest that is guessed.
const mostGuessed = 24 * time.Hour

// apply makes e good for as long as is guessed, unless it says itself how long, or what
// was asked for has a query: such an answer is mostly made for the one who asks.
func (g guess) apply(e *entry, d *directives, target string) {
	f := &e.fresh
	if g <= 0 || f.modified == "" || f.always || !guessable(e.status) || explicit(e.fields, d) || strings.Contains(target, "?") {
		return
	}
	made, dated := parseDate(e.fields.GetKnown(http1.Date))
	if !dated {
		made = f.born
	}
	modified, ok := parseDate(f.modified)
	if !ok || !modified.Before(made) {
		return
	}
	f.lifetime = min(time.Duration(float64(made.Sub(modified))*float64(g)), mostGuessed)
}

// guessable reports whether the freshness of answers of a status may be guessed.
// RFC 9110, 15.1.
func guessable(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

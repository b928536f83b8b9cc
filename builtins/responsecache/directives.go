package responsecache

import (
	"math"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
)

// directives are what Cache-Control says that anybody here heeds. RFC 9111, 5.2.
type directives struct {
	some                               bool // there is a Cache-Control
	noStore, noCache, private, public  bool
	mustRevalidate, proxyRevalidate    bool
	mustUnderstand, onlyIfCached       bool
	maxAge, sharedMaxAge               seconds
	staleWhileRevalidate, staleIfError seconds
	minFresh, maxStale                 seconds
}

// seconds is a directive's number of seconds.
type seconds struct {
	n   time.Duration
	set bool
}

// maxSeconds is what longer times count as. RFC 9111, 1.2.2.
const maxSeconds = math.MaxInt32

// parseDirectives reads all Cache-Control fields of a message. Of a directive that is there
// twice the first counts, and what isn't a number of seconds counts as 0, so that an answer
// isn't used for longer than somebody meant. RFC 9111, 4.2.1.
func parseDirectives(fields http1.Fields) (d directives) {
	for i := range fields {
		if f := &fields[i]; isCacheControl(f) {
			d.some = true
			d.read(f.Value)
		}
	}
	return d
}

func isCacheControl(f *http1.Field) bool {
	return len(f.Name) == len("Cache-Control") && strings.EqualFold(f.Name, "Cache-Control")
}

func (d *directives) read(rest string) {
	for rest != "" {
		var name, value string
		name, value, rest = nextDirective(rest)
		d.set(name, value)
	}
}

// nextDirective takes the first directive off a list. The value of a quoted one has lost its
// quotes, not its backslashes.
func nextDirective(s string) (name, value, rest string) {
	i := strings.IndexAny(s, ",=")
	if i < 0 {
		return strings.Trim(s, " \t"), "", ""
	}
	name = strings.Trim(s[:i], " \t")
	if s[i] == ',' {
		return name, "", s[i+1:]
	}
	s = s[i+1:]
	if strings.HasPrefix(s, `"`) {
		end := 1
		for ; end < len(s) && s[end] != '"'; end++ {
			if s[end] == '\\' {
				end++
			}
		}
		end = min(end, len(s))
		value = s[1:end]
		_, rest, _ = strings.Cut(s[end:], ",")
		return name, value, rest
	}
	value, rest, _ = strings.Cut(s, ",")
	return name, strings.TrimRight(value, " \t"), rest
}

func (d *directives) set(name, value string) {
	is := func(word string) bool { return len(name) == len(word) && strings.EqualFold(name, word) }
	switch {
	case is("no-store"):
		d.noStore = true
	case is("no-cache"):
		// With names of fields it is about these alone, RFC 9111, 5.2.2.4; taken for all of the
		// answer here, which is what most caches do.
		d.noCache = true
	case is("private"):
		d.private = true
	case is("public"):
		d.public = true
	case is("must-revalidate"):
		d.mustRevalidate = true
	case is("proxy-revalidate"):
		d.proxyRevalidate = true
	case is("must-understand"):
		d.mustUnderstand = true
	case is("only-if-cached"):
		d.onlyIfCached = true
	case is("max-age"):
		d.maxAge.read(value)
	case is("s-maxage"):
		d.sharedMaxAge.read(value)
	case is("stale-while-revalidate"):
		d.staleWhileRevalidate.read(value)
	case is("stale-if-error"):
		d.staleIfError.read(value)
	case is("min-fresh"):
		d.minFresh.read(value)
	case is("max-stale"):
		if value == "" { // however stale
			value = "2147483647"
		}
		d.maxStale.read(value)
	}
}

func (s *seconds) read(value string) {
	if s.set {
		return
	}
	n, _ := parseSeconds(value)
	*s = seconds{n, true}
}

// parseSeconds reads delta-seconds: digits alone. RFC 9111, 1.2.2.
func parseSeconds(value string) (time.Duration, bool) {
	if value == "" {
		return 0, false
	}
	n := int64(0)
	for i := range len(value) {
		c := value[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), maxSeconds)
	}
	return time.Duration(n) * time.Second, true
}

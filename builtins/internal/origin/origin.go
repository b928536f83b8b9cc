// Package origin tells which pages of other origins may do something.
package origin

import (
	"fmt"
	"slices"
	"strings"
)

// Set tells which origins are allowed. Browsers send an origin in one
// spelling only, so bytes are compared.
type Set struct {
	Any     bool // "*": all of them
	exact   []string
	schemes []string // "https://"
	below   []below
}

// below is "https://*.example.com:8443".
type below struct {
	scheme string // "https://"
	suffix string // ".example.com:8443"
}

// New returns the set of patterns that Check accepts.
func New(patterns []string) Set {
	var o Set
	for _, p := range patterns {
		scheme, rest, _ := strings.Cut(p, "://")
		switch {
		case p == "*":
			o.Any = true
		case rest == "*":
			o.schemes = append(o.schemes, scheme+"://")
		case strings.HasPrefix(rest, "*."):
			o.below = append(o.below, below{scheme + "://", rest[1:]})
		default:
			o.exact = append(o.exact, p)
		}
	}
	return o
}

// Allow reports whether pages of origin are allowed; "" is no origin.
func (o *Set) Allow(origin string) bool {
	if origin == "" {
		return false
	}
	if o.Any || slices.Contains(o.exact, origin) {
		return true
	}
	for _, scheme := range o.schemes {
		if strings.HasPrefix(origin, scheme) && sane(origin[len(scheme):]) {
			return true
		}
	}
	for i := range o.below {
		scheme, suffix := o.below[i].scheme, o.below[i].suffix
		if len(origin) > len(scheme)+len(suffix) && strings.HasPrefix(origin, scheme) && strings.HasSuffix(origin, suffix) &&
			sane(origin[len(scheme):len(origin)-len(suffix)]) {
			return true
		}
	}
	return false
}

// sane reports whether what a wildcard stands for could be of a host and a port,
// so that nothing else is sent back.
func sane(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._:[]", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// Check says what is wrong with a pattern: "https://app.example.com",
// "https://*.example.com" for all names below it, "https://*" for all of a scheme,
// "null", or "*" for all, and what to do about it.
func Check(s string) (text, hint string) {
	if s == "*" || s == "null" {
		return "", ""
	}
	scheme, host, found := strings.Cut(s, "://")
	switch {
	case !found || scheme == "" || host == "":
		return fmt.Sprintf("%q isn't an origin", s), `as in "https://app.example.com", "https://*.example.com", "https://*", "null" or "*"`
	case s != strings.ToLower(s):
		return fmt.Sprintf("%q would never match: browsers send origins in lower case", s), "write " + strings.ToLower(s)
	case strings.ContainsAny(host, "/?#@"):
		origin, _, _ := strings.Cut(host, "/")
		return fmt.Sprintf("%q is more than an origin: scheme, host and port", s), fmt.Sprintf("write %s://%s", scheme, origin)
	case scheme == "https" && strings.HasSuffix(host, ":443"), scheme == "http" && strings.HasSuffix(host, ":80"):
		return fmt.Sprintf("%q would never match: browsers leave out the scheme's own port", s), "remove the port"
	}
	if host == "*" || sane(strings.TrimPrefix(host, "*.")) {
		return "", ""
	}
	if strings.Contains(host, "*") {
		return fmt.Sprintf("the wildcard in %q isn't the whole first label", s), `as in "https://*.example.com"`
	}
	return fmt.Sprintf("%q isn't an origin: a character that browsers don't send", s), "names in other alphabets are written as xn--…"
}

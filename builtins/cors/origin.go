package cors

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// origins tells which origins are allowed. Browsers send an origin in one
// spelling only, so bytes are compared.
type origins struct {
	any     bool // "*"
	exact   []string
	schemes []string // "https://"
	below   []below
}

// below is "https://*.example.com:8443".
type below struct {
	scheme string // "https://"
	suffix string // ".example.com:8443"
}

func newOrigins(patterns []string) origins {
	var o origins
	for _, p := range patterns {
		scheme, rest, _ := strings.Cut(p, "://")
		switch {
		case p == "*":
			o.any = true
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

// allow reports whether pages of origin are allowed; "" is no origin.
func (o *origins) allow(origin string) bool {
	if origin == "" {
		return false
	}
	if o.any || slices.Contains(o.exact, origin) {
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

// check judges a cors table.
func check(c *config.CORS) error {
	if c.Off {
		return wrong([]string{"off"}, "only a route can be without CORS", "remove the table")
	}
	if len(c.AllowOrigins) == 0 {
		return wrong(nil, "no origin is allowed", `add allow_origins = ["https://app.example.com"], or "*" for all`)
	}
	for i, origin := range c.AllowOrigins {
		at := []string{"allow_origins", strconv.Itoa(i)}
		if text, hint := checkOrigin(origin); text != "" {
			return wrong(at, text, hint)
		}
		if c.AllowCredentials && (origin == "*" || origin == "null" || strings.HasSuffix(origin, "://*")) {
			return wrong(at, fmt.Sprintf("%q with allow_credentials would let every site act for the users that are signed in", origin),
				"list the origins, or remove allow_credentials")
		}
	}
	for _, list := range []struct {
		key   string
		names []string
	}{{"allow_methods", c.AllowMethods}, {"allow_headers", c.AllowHeaders}, {"expose_headers", c.ExposeHeaders}} {
		for i, name := range list.names {
			at := []string{list.key, strconv.Itoa(i)}
			switch {
			case name == "*" && c.AllowCredentials:
				return wrong(at, `"*" isn't a wildcard with allow_credentials: browsers take it as a name`, "list the names")
			case !http1.ValidFieldName(name):
				return wrong(at, fmt.Sprintf("%q can't be a name", name), "one name an entry")
			case list.key == "allow_methods" && name != strings.ToUpper(name):
				return wrong(at, fmt.Sprintf("methods are compared with regard to case: %q", name), "write "+strings.ToUpper(name))
			}
		}
	}
	return nil
}

// checkOrigin says what is wrong with an origin, and what to do about it.
func checkOrigin(s string) (text, hint string) {
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

func wrong(path []string, text, hint string) error {
	return &config.KeyError{Path: path, Text: text, Hint: hint}
}

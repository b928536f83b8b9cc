package http1

import "strings"

// Form is one of the four forms of a request target. RFC 9112, 3.2.
type Form uint8

// The forms.
const (
	OriginForm    Form = iota // "/path?query"
	AbsoluteForm              // "http://host/path?query"
	AuthorityForm             // "host:port", with CONNECT only
	AsteriskForm              // "*", with OPTIONS only
)

// Target is a request target taken apart. Its strings are views of the target.
type Target struct {
	Form      Form
	Scheme    string // "http" or "https" in absolute-form, else ""
	Authority string // host and port as sent, in absolute-form and authority-form
	Path      string // raw; starts with "/", or is "*"; "" in authority-form
	RawQuery  string // without "?"
	HasQuery  bool   // tells "/a?" from "/a"
}

// ParseTarget takes the target of a request with method apart. It refuses, with
// an *Error of status 400: bytes outside visible ASCII, fragments, schemes other
// than http and https, user information (RFC 9110, 4.2.4), authorities that
// ParseHost refuses, "*" with another method than OPTIONS, and everything but
// authority-form with a port for CONNECT. Path and query are not decoded, nor
// are their percent signs checked. It doesn't allocate.
func ParseTarget(method, target string) (Target, error) {
	for i := 0; i < len(target); i++ {
		if classOf[target[i]]&targetByte == 0 {
			return Target{}, refuse(400, reasonTarget)
		}
	}
	out, err := parseTarget(method, target)
	if err != nil {
		return Target{}, err
	}
	return out, nil
}

// parseTarget is ParseTarget for a target whose bytes are known to be good.
func parseTarget(method, target string) (t Target, err *Error) {
	if method == "CONNECT" {
		_, port, ok := splitHost(target)
		if !ok || port == "" {
			return t, refuse(400, reasonTarget)
		}
		return Target{Form: AuthorityForm, Authority: target}, nil
	}
	if target == "*" {
		if method != "OPTIONS" {
			return t, refuse(400, reasonTarget)
		}
		return Target{Form: AsteriskForm, Path: target}, nil
	}
	if target != "" && target[0] == '/' {
		t.split(target)
		return t, nil
	}
	t.Form = AbsoluteForm
	rest := ""
	switch {
	case len(target) > 7 && equalFold(target[:7], "http://"):
		t.Scheme, rest = "http", target[7:]
	case len(target) > 8 && equalFold(target[:8], "https://"):
		t.Scheme, rest = "https", target[8:]
	default:
		return Target{}, refuse(400, reasonTarget)
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	t.Authority = rest[:end]
	if _, _, ok := splitHost(t.Authority); !ok {
		return Target{}, refuse(400, reasonTarget)
	}
	t.split(rest[end:])
	if t.Path == "" {
		t.Path = "/"
		if method == "OPTIONS" && !t.HasQuery {
			t.Path = "*" // RFC 9112, 3.2.4
		}
	}
	return t, nil
}

// split fills in path and query.
func (t *Target) split(s string) {
	t.Path = s
	if i := strings.IndexByte(s, '?'); i >= 0 {
		t.Path, t.RawQuery, t.HasQuery = s[:i], s[i+1:], true
	}
}

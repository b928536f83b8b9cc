package authorizer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/document"
)

// maxClaims is how many members a token's payload may have.
const maxClaims = 256

// claims are what a token says. RFC 7519, 4.
type claims struct {
	doc *document.Document
}

// errClaims is for claims that aren't what RFC 7519 has them be.
var errClaims = errors.New("malformed claims")

// readClaims reads a payload, which must not change as long as the result is used.
func readClaims(payload []byte) (claims, error) {
	doc, err := document.Parse(payload)
	if err != nil {
		return claims{}, err
	}
	c := claims{doc}
	if doc.Kind(doc.Root()) != document.Object || doc.Count(doc.Root()) > maxClaims {
		return claims{}, errClaims
	}
	return c, nil
}

// once reports whether no claim is there twice: of two, one reader takes the first
// and another the last. RFC 7519, 4.
func (c claims) once() bool {
	root := c.doc.Root()
	for i := range c.doc.Count(root) {
		n := c.doc.At(root, i)
		if last, _ := c.doc.Member(root, c.doc.Name(n)); last != n {
			return false
		}
	}
	return true
}

// text returns a claim that is a string, "" if there is none. Anything else than a
// string is an error.
func (c claims) text(name string) (string, error) {
	n, found := c.doc.Member(c.doc.Root(), name)
	if !found {
		return "", nil
	}
	if c.doc.Kind(n) != document.String {
		return "", fmt.Errorf("%w: %s isn't a string", errClaims, name)
	}
	return c.doc.Text(n), nil
}

// latest is the last second that dates have, the end of the year 9999: what is
// later are milliseconds that somebody took for seconds.
const latest = 253402300799

// date returns a claim that is a time in seconds since 1970. RFC 7519, 2,
// "NumericDate".
func (c claims) date(name string) (seconds float64, found bool, err error) {
	n, found := c.doc.Member(c.doc.Root(), name)
	if !found {
		return 0, false, nil
	}
	if c.doc.Kind(n) == document.Number {
		seconds, err = strconv.ParseFloat(c.doc.Text(n), 64)
		if err == nil && seconds >= 0 && seconds <= latest {
			return seconds, true, nil
		}
	}
	return 0, false, fmt.Errorf("%w: %s isn't a date", errClaims, name)
}

// inTime checks exp, which must be there, nbf and iat, as far as they are.
func (c claims) inTime(at time.Time, skew time.Duration) (reason, error) {
	now, leeway := float64(at.UnixNano())/float64(time.Second), skew.Seconds()
	expires, found, err := c.date("exp")
	switch {
	case err != nil:
		return malformed, err
	case !found:
		return malformed, fmt.Errorf("%w: there is no exp", errClaims)
	case now >= expires+leeway:
		return expired, fmt.Errorf("it expired %v ago", seconds(now-expires))
	}
	for _, name := range [...]string{"nbf", "iat"} {
		from, found, err := c.date(name)
		if err != nil {
			return malformed, err
		}
		if found && now < from-leeway {
			return early, fmt.Errorf("its %s is in %v", name, seconds(from-now))
		}
	}
	return good, nil
}

func seconds(n float64) time.Duration {
	return time.Duration(math.Round(n)) * time.Second
}

// errMembers is for a list that has other members than strings.
var errMembers = fmt.Errorf("%w: a list of others than strings", errClaims)

// any reports whether one of the strings of a claim, which is one string or a list of
// them, is good. RFC 7519, 4.1.3.
func (c claims) any(name string, good func(string) bool) (is, found bool, err error) {
	n, found := c.doc.Member(c.doc.Root(), name)
	if !found {
		return false, false, nil
	}
	switch c.doc.Kind(n) {
	case document.String:
		return good(c.doc.Text(n)), true, nil
	case document.Array:
		for i := range c.doc.Count(n) {
			kid := c.doc.At(n, i)
			if c.doc.Kind(kid) != document.String {
				return false, true, errMembers
			}
			is = is || good(c.doc.Text(kid))
		}
		return is, true, nil
	}
	return false, true, fmt.Errorf("%w: %s is neither a string nor a list", errClaims, name)
}

// isFor reports whether aud or, where there is none, client_id is one of audience.
func (c claims) isFor(audience []string) (bool, error) {
	is, found, err := c.any("aud", func(aud string) bool { return slices.Contains(audience, aud) })
	if found || err != nil {
		return is, err
	}
	client, err := c.text("client_id")
	return client != "" && slices.Contains(audience, client), err
}

// allows reports whether scope or scp has one of wanted: one string with spaces
// between scopes, or a list. RFC 8693, 4.2; scp is what some issuers call it.
func (c claims) allows(wanted []string) (bool, error) {
	for _, name := range [...]string{"scope", "scp"} {
		is, _, err := c.any(name, func(scopes string) bool {
			for scope := range strings.SplitSeq(scopes, " ") {
				if slices.Contains(wanted, scope) {
					return true
				}
			}
			return false
		})
		if is || err != nil {
			return is, err
		}
	}
	return false, nil
}

// tell makes the claims what the exchange knows of its caller:
// $context.authorizer.claims. Everything becomes text. AWS: "Control access to HTTP
// APIs with JWT authorizers"; lists, as observed, are "[a b]". Objects are JSON.
func (c claims) tell(ex *proxy.Exchange) {
	root := c.doc.Root()
	context := ex.Caller.Context[:0]
	for i := range c.doc.Count(root) {
		n := c.doc.At(root, i)
		value := c.doc.Text(n)
		switch c.doc.Kind(n) {
		case document.Null:
			continue
		case document.Array:
			value = ex.Text.Finish(c.appendList(ex.Text.Begin(), n))
		case document.Object:
			value = ex.Text.Finish(c.doc.Append(ex.Text.Begin(), n))
		}
		name := c.doc.Name(n)
		context = append(context, proxy.Param{Name: ex.Text.Concat(claimPrefix, name), Value: value})
		if name == "sub" {
			ex.Caller.Principal = value
		}
	}
	ex.Caller.Context = context
}

// claimPrefix is what claims' names begin with in an authorizer's context.
const claimPrefix = "claims."

func (c claims) appendList(dst []byte, list document.Node) []byte {
	dst = append(dst, '[')
	for i := range c.doc.Count(list) {
		if i > 0 {
			dst = append(dst, ' ')
		}
		n := c.doc.At(list, i)
		switch c.doc.Kind(n) {
		case document.Array, document.Object:
			dst = c.doc.Append(dst, n)
		default:
			dst = append(dst, c.doc.Text(n)...)
		}
	}
	return append(dst, ']')
}

package server

import (
	"errors"
	"fmt"
	"strings"

	"github.com/postern-gateway/postern/proxy/http1"
)

// element is one forwarded-element of Forwarded. RFC 7239, 4.
type element struct{ from, proto, host string }

// ErrForwarded is a Forwarded field that isn't well-formed.
var ErrForwarded = errors.New("not well-formed")

// followForwarded reads Forwarded from its end. All of its elements have to be
// well-formed: where one of them ends is what a client that spoils the first
// could decide.
func (c *chain) followForwarded(t *trust, fields http1.Fields) error {
	// The last elements count, so a ring holds them.
	var ring [maxHops + 1]element
	n := 0
	for i := range fields {
		if fields[i].Known() != http1.Forwarded {
			continue
		}
		for rest := fields[i].Value; rest != ""; {
			var e element
			var there bool
			var err error
			if e, there, rest, err = cutElement(rest); err != nil {
				return fmt.Errorf("Forwarded: %w", err)
			}
			if there {
				ring[n%len(ring)] = e
				n++
			}
		}
	}
	for i := n - 1; i >= 0 && n-i <= len(ring); i-- {
		e := &ring[i%len(ring)]
		more, err := c.step(t, e.from)
		if err != nil {
			return fmt.Errorf("Forwarded: for: %w", err)
		}
		c.proto, c.host = scheme(e.proto), e.host
		if !more {
			break
		}
	}
	return nil
}

// cutElement reads the first element of a list; there is false for an empty one.
func cutElement(s string) (e element, there bool, rest string, err error) {
	for {
		s = strings.TrimLeft(s, " \t")
		switch {
		case s == "":
			return e, there, "", nil
		case s[0] == ',':
			return e, there, s[1:], nil
		case s[0] == ';':
			s = s[1:]
			continue
		}
		name, after, found := strings.Cut(s, "=")
		if !found || !http1.ValidFieldName(name) {
			return e, false, "", ErrForwarded
		}
		var value string
		if value, s, err = cutValue(after); err != nil {
			return e, false, "", err
		}
		there = true
		var into *string
		switch {
		case strings.EqualFold(name, "for"):
			into = &e.from
		case strings.EqualFold(name, "proto"):
			into = &e.proto
		case strings.EqualFold(name, "host"):
			into = &e.host
		default:
			continue
		}
		if *into != "" { // RFC 7239, 4: each parameter at most once
			return e, false, "", ErrForwarded
		}
		*into = value
	}
}

// cutValue reads a token or a quoted string and the space behind it. What needs
// a backslash is none of the values that count, and refused.
func cutValue(s string) (value, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s[1:], '"')
		if end < 0 || strings.IndexByte(s[1:1+end], '\\') >= 0 {
			return "", "", ErrForwarded
		}
		value, rest = s[1:1+end], s[2+end:]
	} else {
		end := strings.IndexAny(s, ",; \t")
		if end < 0 {
			end = len(s)
		}
		// Brackets and colons belong into quotes; much software leaves them out.
		value, rest = s[:end], s[end:]
		if value == "" || strings.ContainsAny(value, "\"\\") {
			return "", "", ErrForwarded
		}
	}
	rest = strings.TrimLeft(rest, " \t")
	if rest != "" && rest[0] != ',' && rest[0] != ';' {
		return "", "", ErrForwarded
	}
	return value, rest, nil
}

package iam

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// add takes one value that the key is compared with.
func (c *condition) add(text string, s syntax) (problem, hint string) {
	c.values = append(c.values, text)
	switch c.comparison {
	case compareText, compareFolded:
		return c.addPattern(text, s&^wildcards)
	case compareLike:
		return c.addPattern(text, s)
	case compareARN:
		return c.addARN(text, s)
	case compareNumber:
		n, ok := parseNumber(text)
		if !ok {
			return fmt.Sprintf("%q isn't a number", text), ""
		}
		c.numbers = append(c.numbers, n)
	case compareTime:
		t, ok := parseTime(text)
		if !ok {
			return fmt.Sprintf("%q isn't a time", text), `write "2026-01-31T08:30:00Z", "2026-01-31" or seconds since 1970`
		}
		c.times = append(c.times, t)
	case compareTruth, compareNull:
		b, ok := parseTruth(text)
		if !ok {
			return fmt.Sprintf("%q is neither true nor false", text), ""
		}
		c.truths[truth(b)] = true
	case compareAddress:
		p, ok := parsePrefix(text)
		if !ok {
			return fmt.Sprintf("%q isn't an address or a prefix", text), `write "192.0.2.0/24" or "2001:db8::/32"`
		}
		c.prefixes = append(c.prefixes, p)
	}
	return "", ""
}

func (c *condition) addPattern(text string, s syntax) (problem, hint string) {
	p, problem, hint := compilePattern(text, s)
	c.patterns = append(c.patterns, p)
	return problem, hint
}

func (c *condition) addARN(text string, s syntax) (problem, hint string) {
	parts := arnFields(text)
	if len(parts) != arnParts {
		return fmt.Sprintf("%q isn't an ARN", text), "it has six parts with colons between them: arn:aws:iam::ACCOUNT:user/NAME"
	}
	patterns := make([]pattern, arnParts)
	for i, part := range parts {
		if patterns[i], problem, hint = compilePattern(part, s); problem != "" {
			return problem, hint
		}
	}
	c.arns = append(c.arns, patterns)
	return "", ""
}

// timeLayouts are the forms of ISO 8601 that policies write. AWS: "Date condition
// operators": the W3C's profile of it.
var timeLayouts = []string{
	time.RFC3339, // also with a fraction
	"2006-01-02T15:04Z07:00",
	"2006-01-02",
	"2006-01",
	"2006",
}

// parseTime reads a time, also one in seconds since 1970.
func parseTime(text string) (time.Time, bool) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || len(text) > 12 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}

// parseNumber reads a finite number.
func parseNumber(text string) (float64, bool) {
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

func parseTruth(text string) (value, ok bool) {
	switch {
	case strings.EqualFold(text, "true"):
		return true, true
	case strings.EqualFold(text, "false"):
		return false, true
	}
	return false, false
}

// parsePrefix reads an address or a prefix; bits behind the prefix don't count.
func parsePrefix(text string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

package upstream

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/uri"
)

// hashKey is the value of a request that balance = "hash" goes by.
type hashKey struct {
	place keyPlace
	name  string
}

// keyPlace is where the value stands.
type keyPlace uint8

const (
	inHeader keyPlace = iota
	inPath
	inQuery
	inAddress
	inPrincipal
	inContext
)

// parseHashKey reads the expression of config.Backend.Hash.
func parseHashKey(text string) (*hashKey, error) {
	switch text {
	case "context.identity.sourceIp":
		return &hashKey{place: inAddress}, nil
	case "context.authorizer.principalId":
		return &hashKey{place: inPrincipal}, nil
	}
	for _, p := range []struct {
		prefix string
		place  keyPlace
	}{
		{"method.request.header.", inHeader}, {"method.request.path.", inPath},
		{"method.request.querystring.", inQuery}, {"context.authorizer.", inContext},
	} {
		if name, found := strings.CutPrefix(text, p.prefix); found && name != "" {
			return &hashKey{p.place, name}, nil
		}
	}
	return nil, fmt.Errorf("hash %q isn't a value of a request", text)
}

// of returns the hash of the value in ex, and whether there is one. Equal values
// have equal hashes in every gateway and at every time.
func (k *hashKey) of(ex *proxy.Exchange) (hash uint64, found bool) {
	value := ""
	switch k.place {
	case inHeader:
		value = ex.In.Fields.Get(k.name)
	case inPath:
		value, _ = ex.Param(k.name)
		return hashEscaped(value, '+'), value != ""
	case inQuery:
		value = queryValue(ex.In.RawQuery, k.name)
		return hashEscaped(value, ' '), value != ""
	case inAddress:
		return hashAddress(ex.In.Client.Addr()), ex.In.Client.IsValid()
	case inPrincipal:
		value = ex.Caller.Principal
	case inContext:
		for i := range ex.Caller.Context {
			if c := &ex.Caller.Context[i]; c.Name == k.name {
				value = c.Value
			}
		}
	}
	return hashText(value), value != ""
}

// FNV-1a, 64 bits. Short values, one pass, no seed: the same in every gateway.
const (
	fnvOffset uint64 = 14695981039346656037
	fnvPrime  uint64 = 1099511628211
)

func hashText(s string) uint64 {
	h := fnvOffset
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h
}

// hashEscaped is hashText of s percent-decoded; plus is what "+" stands for.
func hashEscaped(s string, plus byte) uint64 {
	h := fnvOffset
	for s != "" {
		var c byte
		c, s = unescape(s, plus)
		h = (h ^ uint64(c)) * fnvPrime
	}
	return h
}

func hashAddress(a netip.Addr) uint64 {
	h := fnvOffset
	for _, c := range a.As16() {
		h = (h ^ uint64(c)) * fnvPrime
	}
	return h
}

// unescape returns the first byte of s, which isn't empty, and what follows it.
// A "%" without two hexadecimal digits stands for itself.
func unescape(s string, plus byte) (c byte, rest string) {
	switch {
	case s[0] == '+':
		return plus, s[1:]
	case s[0] == '%':
		if c, ok := uri.Unescape(s, 0); ok {
			return c, s[3:]
		}
	}
	return s[0], s[1:]
}

// queryValue returns the last value of name in a raw query, still escaped.
func queryValue(query, name string) string {
	last := ""
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		if unescapesTo(key, name) {
			last = value
		}
	}
	return last
}

// unescapesTo reports whether key, unescaped, is name.
func unescapesTo(key, name string) bool {
	for key != "" && name != "" {
		var c byte
		c, key = unescape(key, ' ')
		if c != name[0] {
			return false
		}
		name = name[1:]
	}
	return key == name
}

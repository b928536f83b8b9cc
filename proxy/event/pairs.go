package event

import (
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/uri"
)

// pair is one name with one value, of a header or of the query string.
type pair struct {
	name, value string

	next int  // index of the next pair of this name, 0 for none
	last int  // of the first pair of a name: index of the last
	more bool // there is an earlier pair of this name
}

// pairsOnStack is how many pairs need no memory.
const pairsOnStack = 48

// manyPairs is from where on comparing each name with each costs more than a map.
const manyPairs = 64

// How names are told apart.
type naming bool

const (
	exactNames  naming = false // query strings
	foldedNames naming = true  // headers: case makes no difference
)

// link connects the pairs of one name. It takes time in proportion to their
// number, however many of one name a client sends.
func link(all []pair, how naming) {
	if len(all) > manyPairs {
		linkMany(all, how)
		return
	}
	for i := range all {
		all[i].last = i
		for j := range i {
			if !all[j].more && len(all[j].name) == len(all[i].name) && sameName(all[j].name, all[i].name, how) {
				join(all, j, i)
				break
			}
		}
	}
}

func linkMany(all []pair, how naming) {
	firsts := make(map[string]int, len(all))
	for i := range all {
		all[i].last = i
		name := all[i].name
		if how == foldedNames {
			name = strings.ToLower(name)
		}
		if first, found := firsts[name]; found {
			join(all, first, i)
		} else {
			firsts[name] = i
		}
	}
}

// join makes pair i the last one of the name whose first pair is first.
func join(all []pair, first, i int) {
	all[all[first].last].next = i
	all[first].last = i
	all[i].more = true
}

func sameName(a, b string, how naming) bool {
	return a == b || how == foldedNames && strings.EqualFold(a, b)
}

// appendLast appends an object of each name's last value, null for no names.
func appendLast(dst []byte, all []pair) []byte {
	if len(all) == 0 {
		return append(dst, "null"...)
	}
	for i := range all {
		if !all[i].more {
			dst = appendMember(dst, i == 0, all[i].name)
			dst = document.AppendString(dst, all[all[i].last].value)
		}
	}
	return append(dst, '}')
}

// appendAll appends an object of each name's values, null for no names.
func appendAll(dst []byte, all []pair) []byte {
	if len(all) == 0 {
		return append(dst, "null"...)
	}
	for i := range all {
		if all[i].more {
			continue
		}
		dst = appendMember(dst, i == 0, all[i].name)
		dst = append(dst, '[')
		for j := i; ; j = all[j].next {
			dst = document.AppendString(dst, all[j].value)
			if all[j].next == 0 {
				break
			}
			dst = append(dst, ',')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// appendQuery appends the parameters of the query string, decoded.
//
// AWS, recorded: "+" is a space and %2B a plus. AWS: "Amazon API Gateway
// important notes": ";" separates like "&".
func appendQuery(all []pair, ex *proxy.Exchange) []pair {
	for rest := ex.In.RawQuery; ; {
		name, value, after, ok := uri.NextParam(rest)
		if !ok {
			return all
		}
		all = append(all, pair{name: decoded(ex, name), value: decoded(ex, value)})
		rest = after
	}
}

// decoded returns s without its percent-encoding. What only looks like an
// escape stays as it is.
func decoded(ex *proxy.Exchange, s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	return ex.Text.Finish(uri.AppendForm(ex.Text.Begin(), s))
}

package authorizer

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
)

// source is where a part of a caller's identity stands in a request.
type source struct {
	kind     sourceKind
	name     string      // of a header or parameter
	known    http1.Known // of a header
	fixed    string      // the same for every request of the route
	variable mapping.Variable
}

type sourceKind uint8

const (
	headerSource sourceKind = iota
	querySource
	fixedSource
	contextSource
)

// maxSources is how many parts an identity may have.
const maxSources = 16

// parseSources compiles identity_source for a route. The error is a
// *config.KeyError.
func parseSources(list []string, r *proxy.Route) ([]source, error) {
	if len(list) > maxSources {
		return nil, &config.KeyError{Path: []string{"identity_source"}, Text: fmt.Sprintf("it has %d sources, more than %d", len(list), maxSources)}
	}
	var all []source
	for i, text := range list {
		s, ok := parseSource(text, r)
		if !ok {
			return nil, &config.KeyError{
				Path: []string{"identity_source", fmt.Sprint(i)},
				Text: fmt.Sprintf("%q isn't an identity source", text),
				Hint: "method.request.header.NAME, method.request.querystring.NAME, stageVariables.NAME or context.NAME, as $context has them before an authorizer is asked",
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// parseSource reads the spellings of REST, HTTP and WebSocket APIs. AWS: "Configure a Lambda
// authorizer", "Identity source".
func parseSource(text string, r *proxy.Route) (source, bool) {
	text = strings.TrimPrefix(text, "$")
	for _, own := range []string{"method.", "route."} { // of REST, and of WebSocket APIs
		if rest, found := strings.CutPrefix(text, own+"request."); found {
			text = "request." + rest
		}
	}
	first, name, _ := strings.Cut(text, ".")
	if name == "" {
		return source{}, false
	}
	switch first {
	case "request":
		where, name, _ := strings.Cut(name, ".")
		switch {
		case where == "header" && http1.ValidFieldName(name):
			return source{kind: headerSource, name: name, known: http1.KnownName(name)}, true
		case where == "querystring" && name != "":
			return source{kind: querySource, name: name}, true
		}
	case "stageVariables":
		return source{kind: fixedSource, fixed: r.Stage.Variables[name]}, true
	case "context":
		if name == "routeKey" { // AWS: it makes entries of a cache the route's
			return source{kind: fixedSource, fixed: r.Key}, true
		}
		v, ok := mapping.ParseVariable(name)
		return source{kind: contextSource, variable: v}, ok && !strings.HasPrefix(name, "authorizer.")
	}
	return source{}, false
}

// last returns the last value of s in ex, the one that counts where there can be
// one only, and whether it is there and not blank. It is valid as long as ex.
func (s *source) last(passing *proxy.Passing, ex *proxy.Exchange) (value string, there bool) {
	switch s.kind {
	case headerSource:
		for i := len(ex.In.Fields) - 1; i >= 0; i-- {
			if s.is(passing, &ex.In.Fields[i]) {
				value = ex.In.Fields[i].Value
				break
			}
		}
	case querySource:
		found := ""
		for rest := ex.In.RawQuery; ; {
			name, raw, after, ok := uri.NextParam(rest)
			if !ok {
				break
			}
			if uri.FormIs(name, s.name) {
				found = raw
			}
			rest = after
		}
		if strings.ContainsAny(found, "%+") {
			found = ex.Text.Finish(uri.AppendForm(ex.Text.Begin(), found))
		}
		value = found
	case fixedSource:
		value = s.fixed
	case contextSource:
		value, _ = s.variable.Text(ex)
	}
	return value, strings.TrimSpace(value) != ""
}

// is reports whether f is the header that s names and goes beyond the gateway:
// what doesn't, no authorizer sees.
func (s *source) is(passing *proxy.Passing, f *http1.Field) bool {
	if len(f.Name) != len(s.name) || f.Known() != s.known || !strings.EqualFold(f.Name, s.name) {
		return false
	}
	return s.known == http1.Authorization || !passing.FromClient(f)
}

// count returns how many values a header or query parameter has.
func (s *source) count(passing *proxy.Passing, ex *proxy.Exchange) (n int) {
	if s.kind == querySource {
		for rest := ex.In.RawQuery; ; {
			name, _, after, ok := uri.NextParam(rest)
			if !ok {
				return n
			}
			if uri.FormIs(name, s.name) {
				n++
			}
			rest = after
		}
	}
	for i := range ex.In.Fields {
		if s.is(passing, &ex.In.Fields[i]) {
			n++
		}
	}
	return n
}

// appendKey appends all values of s, because an authorizer may see all of them, so
// that no other list of values of whatever sources gives the same bytes: each value
// with its length in front, and a mark behind the last one. last is what last
// returned.
func (s *source) appendKey(key []byte, passing *proxy.Passing, ex *proxy.Exchange, last string) []byte {
	switch s.kind {
	case headerSource:
		for i := range ex.In.Fields {
			if s.is(passing, &ex.In.Fields[i]) {
				key = appendValue(key, ex.In.Fields[i].Value)
			}
		}
	case querySource:
		for rest := ex.In.RawQuery; ; {
			name, raw, after, ok := uri.NextParam(rest)
			if !ok {
				break
			}
			if uri.FormIs(name, s.name) {
				key = appendValue(key, raw) // as it stands: whoever spells it otherwise has another key
			}
			rest = after
		}
	case fixedSource:
		key = appendValue(key, last)
	case contextSource:
		key = append(appendValue(key, last), 0, 0, 0, 0)
		at := len(key)
		key = s.variable.AppendIssuer(key, ex)
		binary.LittleEndian.PutUint32(key[at-4:], uint32(len(key)-at))
	}
	return append(key, endOfValues)
}

// Marks in a key: a value follows, and no further one does.
const (
	endOfValues = iota
	oneValue
)

func appendValue(key []byte, value string) []byte {
	key = binary.AppendUvarint(append(key, oneValue), uint64(len(value)))
	return append(key, value...)
}

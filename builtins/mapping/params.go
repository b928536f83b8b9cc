package mapping

import (
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
)

// header is one request header that something asks for.
type header struct {
	name  string
	known http1.Known
}

// last returns the header's last value.
//
// AWS compares names with regard to case. Here a name in another case counts,
// too, if the exact one isn't there: clients of HTTP/2 send lower case only.
func (h *header) last(ex *proxy.Exchange) (string, bool) {
	if value, own := h.own(ex); own {
		return value, value != ""
	}
	fields := ex.In.Fields
	passing := proxy.PassingOf(fields)
	folded := -1
	for i := len(fields) - 1; i >= 0; i-- {
		f := &fields[i]
		if len(f.Name) != len(h.name) || !strings.EqualFold(f.Name, h.name) || passing.FromClient(f) {
			continue
		}
		if f.Name == h.name {
			return f.Value, true
		}
		if folded < 0 {
			folded = i
		}
	}
	if folded < 0 {
		return "", false
	}
	return fields[folded].Value, true
}

// each returns the values of the header from field i on, one after the other:
// the next index is for the next call, -1 for no further value.
func (h *header) each(ex *proxy.Exchange, i int) (value string, next int) {
	if value, own := h.own(ex); own {
		if i > 0 || value == "" {
			return "", -1
		}
		return value, 1
	}
	fields := ex.In.Fields
	passing := proxy.PassingOf(fields)
	for ; i < len(fields); i++ {
		f := &fields[i]
		if len(f.Name) == len(h.name) && strings.EqualFold(f.Name, h.name) && !passing.FromClient(f) {
			return f.Value, i + 1
		}
	}
	return "", -1
}

// own returns the value of a header that the gateway knows better than the
// client: what a Lambda event would have under this name.
func (h *header) own(ex *proxy.Exchange) (value string, own bool) {
	in := &ex.In
	switch h.known {
	case http1.XForwardedFor:
		value = ex.ClientAddress()
		if in.Hops != "" && value != "" {
			value = ex.Text.Concat(value, ", ", in.Hops)
		}
	case http1.XForwardedPort:
		if port := in.Local.Port(); port != 0 {
			value = ex.Text.Finish(strconv.AppendUint(ex.Text.Begin(), uint64(port), 10))
		}
	case http1.XForwardedProto:
		value = in.Scheme
	case http1.XAmznTraceID:
		value = ex.TraceID()
	case http1.Host:
		if value = in.Fields.GetKnown(http1.Host); value == "" { // HTTP/2 has it in :authority
			value = in.Host
		}
	default:
		return "", false
	}
	return value, true
}

// lastQuery returns the last value of a query parameter, still encoded.
func lastQuery(ex *proxy.Exchange, name string) (raw string, found bool) {
	for rest := ex.In.RawQuery; ; {
		key, value, after, ok := uri.NextParam(rest)
		if !ok {
			return raw, found
		}
		if uri.FormIs(key, name) {
			raw, found = value, true
		}
		rest = after
	}
}

// eachQuery returns the next value of a query parameter in rest, still encoded,
// and what follows it.
func eachQuery(rest, name string) (raw, after string, found bool) {
	for {
		key, value, after, ok := uri.NextParam(rest)
		if !ok {
			return "", "", false
		}
		if uri.FormIs(key, name) {
			return value, after, true
		}
		rest = after
	}
}

// decoded returns a query parameter's value without its encoding.
func decoded(ex *proxy.Exchange, raw string) string {
	if strings.IndexByte(raw, '%') < 0 && strings.IndexByte(raw, '+') < 0 {
		return raw
	}
	return ex.Text.Finish(uri.AppendForm(ex.Text.Begin(), raw))
}

// decodedPath returns a path parameter's value without its encoding: "+" is a
// plus in a path.
func decodedPath(ex *proxy.Exchange, raw string) string {
	if strings.IndexByte(raw, '%') < 0 {
		return raw
	}
	return ex.Text.Finish(uri.AppendPath(ex.Text.Begin(), raw))
}

// is reports whether f is the header; names ignore case in what backends answer.
func (h *header) is(f *http1.Field) bool {
	return len(f.Name) == len(h.name) && strings.EqualFold(f.Name, h.name)
}

package plugins

import (
	"cmp"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/sdk/abi"
)

// textPair is a name and a value of the input's lists.
type textPair struct{ name, value string }

// appendOPAInput appends the request's facts, as a policy knows them by input.
// ABI.md lists them.
func (in *instance) appendOPAInput(b []byte) []byte {
	ex := in.ex
	b = document.AppendString(append(b, `{"method":`...), ex.Method)
	b = append(in.appendPathList(append(b, `,"path":`...)), `,"query":`...)
	b = append(in.appendQuery(b), `,"headers":`...)
	b = append(in.appendHeaders(b), `,"params":`...)
	b = append(in.appendParams(b, ex.Params, abi.MapPathParams), `,"stage_variables":`...)
	b = in.appendParams(b, in.variables, abi.MapStageVariables)
	b = appendMember(b, "raw_path", ex.Path)
	b = appendMember(b, "raw_query", ex.In.RawQuery)
	for _, f := range [...]struct {
		name   string
		number int32
	}{
		{"host", abi.FieldHost}, {"scheme", abi.FieldScheme}, {"protocol", abi.FieldProtocol}, {"source_ip", abi.FieldSourceIP},
		{"route", abi.FieldRouteKey}, {"resource", abi.FieldResource}, {"api", abi.FieldAPIID}, {"stage", abi.FieldStage},
		{"request_id", abi.FieldRequestID},
	} {
		value, _ := in.field(f.number)
		b = appendMember(b, f.name, value)
	}
	if ex.Caller.Principal != "" {
		b = appendMember(b, "principal", ex.Caller.Principal)
	}
	if len(ex.Caller.Context) > 0 {
		b = in.appendParams(append(b, `,"context":`...), ex.Caller.Context, abi.MapContext)
	}
	return append(b, '}')
}

// appendMember appends a member of an object that has one before it.
func appendMember(b []byte, name, value string) []byte {
	return document.AppendString(append(append(append(b, `,"`...), name...), `":`...), value)
}

// appendPathList appends the path's segments, each decoded; "/" has none.
func (in *instance) appendPathList(b []byte) []byte {
	b = append(b, '[')
	rest := strings.TrimPrefix(in.ex.Path, "/")
	for more := rest != ""; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		b = append(in.appendPlain(b, segment, plusIsPlus), ',')
	}
	return closeList(b, ']')
}

// closeList ends a list whose elements each have a comma behind them.
func closeList(b []byte, end byte) []byte {
	if last := len(b) - 1; b[last] == ',' {
		b[last] = end
		return b
	}
	return append(b, end)
}

// appendPlain appends s, percent-decoded, as a JSON string.
func (in *instance) appendPlain(b []byte, s string, p plus) []byte {
	if strings.IndexByte(s, '%') < 0 && (p == plusIsPlus || strings.IndexByte(s, '+') < 0) {
		return document.AppendString(b, s)
	}
	in.scratch = appendDecoded(in.scratch[:0], s, p)
	return document.AppendString(b, in.scratched())
}

// appendQuery appends the parameters of the query: all values of each name.
func (in *instance) appendQuery(b []byte) []byte {
	g := in.opa
	g.pairs = g.pairs[:0]
	for rest := in.ex.In.RawQuery; rest != ""; {
		var pair string
		if pair, rest = nextPair(rest); pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if strings.IndexByte(name, '%') >= 0 || strings.IndexByte(name, '+') >= 0 {
			in.scratch = appendDecoded(in.scratch[:0], name, plusIsSpace)
			name = in.ex.Text.Concat(in.scratched())
		}
		g.pairs = append(g.pairs, textPair{name, value})
	}
	b = append(b, '{')
	for rest := g.sorted(); len(rest) > 0; {
		var same []textPair
		same, rest = sameNames(rest)
		b = append(document.AppendString(b, same[0].name), ":["...)
		for i := range same {
			b = append(in.appendPlain(b, same[i].value, plusIsSpace), ',')
		}
		b = append(closeList(b, ']'), ',')
	}
	return closeList(b, '}')
}

// appendHeaders appends the request's header fields by their names in lower case.
// Several values of one name are one text. RFC 9110, 5.3; RFC 6265, 5.4.
func (in *instance) appendHeaders(b []byte) []byte {
	g := in.opa
	g.pairs = g.pairs[:0]
	fields := in.ex.In.Fields
	for i := range fields {
		if f := &fields[i]; visible(&in.passing, f) {
			g.pairs = append(g.pairs, textPair{in.lowered(f.Name), f.Value})
		}
	}
	if in.lacksHost(requestSide, fields) {
		g.pairs = append(g.pairs, textPair{"host", in.ex.In.Host})
	}
	b = append(b, '{')
	for rest := g.sorted(); len(rest) > 0; {
		var same []textPair
		same, rest = sameNames(rest)
		b = append(document.AppendString(b, same[0].name), ':')
		if len(same) == 1 {
			b = append(document.AppendString(b, same[0].value), ',')
			continue
		}
		between := ", "
		if same[0].name == "cookie" {
			between = "; "
		}
		in.scratch = in.scratch[:0]
		for i := range same {
			if i > 0 {
				in.scratch = append(in.scratch, between...)
			}
			in.scratch = append(in.scratch, same[i].value...)
		}
		b = append(document.AppendString(b, in.scratched()), ',')
	}
	return closeList(b, '}')
}

// lowered returns name in lower case.
func (in *instance) lowered(name string) string {
	for i := range len(name) {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			b := append(in.ex.Text.Begin(), name...)
			for j, c := range b[i:] {
				if 'A' <= c && c <= 'Z' {
					b[i+j] = c | 0x20
				}
			}
			return in.ex.Text.Finish(b)
		}
	}
	return name
}

// sorted returns the pairs in the order of their names.
func (g *opaGuest) sorted() []textPair {
	slices.SortStableFunc(g.pairs, func(a, b textPair) int { return cmp.Compare(a.name, b.name) })
	return g.pairs
}

// sameNames cuts off the pairs that have the name of the first.
func sameNames(pairs []textPair) (same, rest []textPair) {
	n := 1
	for n < len(pairs) && pairs[n].name == pairs[0].name {
		n++
	}
	return pairs[:n], pairs[n:]
}

// appendParams appends list, which is the map n, as an object.
func (in *instance) appendParams(b []byte, list []proxy.Param, n int32) []byte {
	b = append(b, '{')
	for i := range list {
		b = append(document.AppendString(b, list[i].Name), ':')
		b = append(document.AppendString(b, in.listed(n, list[i].Value)), ',')
	}
	return closeList(b, '}')
}

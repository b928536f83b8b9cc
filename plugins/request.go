package plugins

import (
	"strconv"
	"strings"
	"unsafe"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
	"github.com/postern-gateway/postern/sdk/abi"
)

// field returns a field of the request, and false for a number without one. The
// string is valid until the next call of a host function.
func (in *instance) field(n int32) (string, bool) {
	ex := in.ex
	if ex == nil {
		return in.naming.field(n)
	}
	switch n {
	case abi.FieldMethod:
		return ex.Method, true
	case abi.FieldPath:
		return ex.Path, true
	case abi.FieldFullPath:
		return ex.FullPath, true
	case abi.FieldRawQuery:
		return in.query(), true
	case abi.FieldRouteKey:
		return ex.Route.Key, true
	case abi.FieldResource:
		return ex.Route.Resource, true
	case abi.FieldStage:
		return ex.Route.Stage.Name, true
	case abi.FieldAPIID:
		return ex.Route.Stage.API.ID, true
	case abi.FieldRequestID:
		return ex.ID, true
	case abi.FieldSourceIP:
		in.scratch = in.scratch[:0]
		if addr := ex.In.Client.Addr(); addr.IsValid() {
			in.scratch = addr.Unmap().WithZone("").AppendTo(in.scratch)
		}
		return in.scratched(), true
	case abi.FieldProtocol:
		return ex.In.Proto, true
	case abi.FieldHost:
		return ex.In.Host, true
	case abi.FieldScheme:
		return ex.In.Scheme, true
	case abi.FieldPrincipal:
		return ex.Caller.Principal, true
	case abi.FieldAccountID:
		return ex.Route.Stage.API.AccountID, true
	case abi.FieldRegion:
		return ex.Route.Stage.API.Region, true
	case abi.FieldDomainName:
		return ex.Domain.Name, true
	case abi.FieldMethodARN:
		return in.methodARN(), true
	}
	return in.messageField(n)
}

// messageField returns a field of what the client or the backend gets.
func (in *instance) messageField(n int32) (string, bool) {
	ex, d := in.ex, &in.draft
	switch n {
	case abi.FieldStatus:
		if d.changes&changedStatus != 0 {
			return in.number(d.status), true
		}
		return in.number(ex.Reply.Status), true
	case abi.FieldFault:
		if ex.Fault == nil {
			return "", true
		}
		return ex.Fault.Kind.String(), true
	case abi.FieldBackendStatus:
		return in.number(ex.Notes.BackendStatus), true
	case abi.FieldBackendMethod:
		return changedOr(d.changes&changedMethod, d.method, ex.Out.Method), true
	case abi.FieldBackendTarget:
		return changedOr(d.changes&changedTarget, d.target, ex.Out.Target), true
	case abi.FieldBackendHost:
		return changedOr(d.changes&changedHost, d.host, ex.Out.Host), true
	}
	return "", false
}

func changedOr(changed uint16, value, before string) string {
	if changed != 0 {
		return value
	}
	return before
}

// number writes n, or nothing for 0.
func (in *instance) number(n int) string {
	in.scratch = in.scratch[:0]
	if n != 0 {
		in.scratch = strconv.AppendInt(in.scratch, int64(n), 10)
	}
	return in.scratched()
}

// methodARN names the called method.
func (in *instance) methodARN() string {
	in.scratch = proxy.AppendMethodARN(in.scratch[:0], in.ex)
	return in.scratched()
}

// scratched is scratch as a string, until scratch is written again.
func (in *instance) scratched() string {
	return unsafe.String(unsafe.SliceData(in.scratch), len(in.scratch))
}

// visible reports whether a request header is there for plugins: what goes on
// beyond the gateway, and every Authorization. So a plugin can't take what a
// client says of itself (X-Forwarded-For) for what the gateway knows.
func visible(p *proxy.Passing, f *http1.Field) bool {
	return f.Known() == http1.Authorization || !p.FromClient(f)
}

// header returns the last value of a request header, as AWS's event does.
func header(p *proxy.Passing, fs http1.Fields, name string) (string, bool) {
	for i := len(fs) - 1; i >= 0; i-- {
		if len(fs[i].Name) == len(name) && strings.EqualFold(fs[i].Name, name) && visible(p, &fs[i]) {
			return fs[i].Value, true
		}
	}
	return "", false
}

// list returns a map that is a list of names and values, but for query and
// headers.
func (in *instance) list(n int32) ([]proxy.Param, bool) {
	switch n {
	case abi.MapPathParams:
		return in.ex.Params, true
	case abi.MapStageVariables:
		return in.variables, true
	case abi.MapContext:
		return in.ex.Caller.Context, true
	case abi.MapBag:
		return in.bagged(), true
	}
	return nil, false
}

// query is the raw query as the guest has left it.
func (in *instance) query() string {
	return changedOr(in.draft.changes&changedQuery, in.draft.query, in.ex.In.RawQuery)
}

// headers returns a map that is made of header fields. Of the request's some are
// hidden.
func (in *instance) headers(n int32) (fields http1.Fields, ok bool) {
	switch n {
	case abi.MapHeaders:
		return in.fieldsOf(requestSide), true
	case abi.MapResponseHeaders:
		return in.fieldsOf(responseSide), true
	case abi.MapBackendHeaders:
		return in.fieldsOf(backendSide), true
	case abi.MapBackendResponseHeaders:
		return in.ex.Back.Fields, true
	}
	return nil, false
}

// shown reports whether field f of the headers in map n is there for guests.
func (in *instance) shown(n int32, f *http1.Field) bool {
	return n != abi.MapHeaders || visible(&in.passing, f)
}

func (in *instance) mapCount(n int32) int32 {
	count := int32(0)
	if n == abi.MapQuery {
		for rest := in.query(); rest != ""; {
			var pair string
			if pair, rest = nextPair(rest); pair != "" {
				count++
			}
		}
		return count
	}
	if fs, ok := in.headers(n); ok {
		for i := range fs {
			if in.shown(n, &fs[i]) {
				count++
			}
		}
		return count
	}
	list, _ := in.list(n)
	return int32(len(list))
}

// mapGet returns the value of name, the last one where there are several.
func (in *instance) mapGet(n int32, name string) (value string, code int32) {
	if n == abi.MapQuery {
		raw, ok := queryValue(in.query(), name)
		if !ok {
			return "", abi.NotFound
		}
		in.scratch = appendDecoded(in.scratch[:0], raw, plusIsSpace)
		return in.scratched(), abi.OK
	}
	if fs, ok := in.headers(n); ok {
		for i := len(fs) - 1; i >= 0; i-- {
			if sameName(fs[i].Name, name) && in.shown(n, &fs[i]) {
				return fs[i].Value, abi.OK
			}
		}
		return "", abi.NotFound
	}
	list, ok := in.list(n)
	if !ok {
		return "", abi.BadArgument
	}
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Name == name {
			return in.listed(n, list[i].Value), abi.OK
		}
	}
	return "", abi.NotFound
}

func found(ok bool) int32 {
	if ok {
		return abi.OK
	}
	return abi.NotFound
}

// listed decodes a value of list n where those are kept as sent.
func (in *instance) listed(n int32, value string) string {
	if n != abi.MapPathParams || strings.IndexByte(value, '%') < 0 {
		return value
	}
	in.scratch = appendDecoded(in.scratch[:0], value, plusIsPlus)
	return in.scratched()
}

// mapEntry returns the entry at index, in the order of arrival.
func (in *instance) mapEntry(n int32, index uint32) (name, value string, code int32) {
	if n == abi.MapQuery {
		return in.queryEntry(index)
	}
	if fs, ok := in.headers(n); ok {
		for i := range fs {
			if !in.shown(n, &fs[i]) {
				continue
			}
			if index == 0 {
				return fs[i].Name, fs[i].Value, abi.OK
			}
			index--
		}
		return "", "", abi.NotFound
	}
	list, ok := in.list(n)
	if !ok {
		return "", "", abi.BadArgument
	}
	if uint64(index) >= uint64(len(list)) {
		return "", "", abi.NotFound
	}
	return list[index].Name, in.listed(n, list[index].Value), abi.OK
}

// queryCursor is where queryEntry has come to in a query. Whoever asks for one
// entry after the other would have it begin anew thousands of times.
type queryCursor struct {
	of, rest string
	index    uint32 // of the first entry in rest
}

func (in *instance) queryEntry(index uint32) (name, value string, code int32) {
	at := &in.cursor
	if query := in.query(); at.of != query || index < at.index {
		*at = queryCursor{of: query, rest: query}
	}
	for at.rest != "" {
		before := at.rest
		var pair string
		if pair, at.rest = nextPair(at.rest); pair == "" {
			continue
		}
		if at.index < index {
			at.index++
			continue
		}
		at.rest = before // a guest asks twice when its buffer was too small
		name, value, _ := strings.Cut(pair, "=")
		in.scratch = appendDecoded(in.scratch[:0], name, plusIsSpace)
		split := len(in.scratch)
		in.scratch = appendDecoded(in.scratch, value, plusIsSpace)
		both := in.scratched()
		return both[:split], both[split:], abi.OK
	}
	return "", "", abi.NotFound
}

// nextPair cuts the first parameter off a raw query. It splits as the event does
// (AWS: "Amazon API Gateway important notes": also at ";"): an authorizer that
// saw other parameters than the function could be talked past.
func nextPair(query string) (pair, rest string) {
	if i := strings.IndexAny(query, "&;"); i >= 0 {
		return query[:i], query[i+1:]
	}
	return query, ""
}

// queryValue returns the last raw value of the parameter called name.
func queryValue(query, name string) (raw string, found bool) {
	for query != "" {
		var pair string
		if pair, query = nextPair(query); pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		if decodesTo(key, name) {
			raw, found = value, true
		}
	}
	return raw, found
}

// plus says what "+" means.
type plus bool

const (
	plusIsSpace plus = true // in a query: the form encoding
	plusIsPlus  plus = false
)

// next decodes the first byte of s, which isn't empty, and returns what it
// took. A "%" without two hex digits stands for itself.
func (p plus) next(s string) (c byte, n int) {
	if s[0] == '+' && p == plusIsPlus {
		return '+', 1
	}
	return uri.FormByte(s)
}

// appendDecoded appends s, percent-decoded once.
func appendDecoded(dst []byte, s string, p plus) []byte {
	for s != "" {
		c, n := p.next(s)
		dst, s = append(dst, c), s[n:]
	}
	return dst
}

// decodesTo reports whether the encoded query name raw means name.
func decodesTo(raw, name string) bool {
	if raw == name {
		return strings.IndexByte(raw, '%') < 0 && strings.IndexByte(raw, '+') < 0
	}
	for raw != "" {
		c, n := plusIsSpace.next(raw)
		if name == "" || name[0] != c {
			return false
		}
		raw, name = raw[n:], name[1:]
	}
	return name == ""
}

func failureText(code int32, text string) string {
	return "code " + strconv.Itoa(int(code)) + ": " + strings.ToValidUTF8(text, "\uFFFD")
}

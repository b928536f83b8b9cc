package plugins

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/tetratelabs/wazero/api"
	"go.uber.org/zap/zapcore"

	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
	"github.com/postern-gateway/postern/sdk/abi"
)

// The ABI has no codes: a host function that can't do what it is asked to ends
// the call.
var (
	errNoExchange = errors.New("there is no request to ask about at the start")
	errSentOn     = errors.New("the request has been sent on and can't be changed any more")
	errKind       = errors.New("no such kind of header or body")
	errNoTrailers = errors.New("trailer fields can't be changed: feature_trailers isn't there")
	errNoBuffer   = errors.New("read_body of zero bytes")
	errUnbuffered = errors.New("the response's content wasn't kept: ask for feature_buffer_response before")
	errEmptyName  = errors.New("an empty header name")
)

// The kinds of headers. Those of bodies are the first two.
const (
	kindRequest          = 0
	kindResponse         = 1
	kindRequestTrailers  = 2
	kindResponseTrailers = 3
)

// provides lists the functions of the ABI.
func (httpWasmABI) provides() []hostModule {
	return []hostModule{{name: httpWasmModule, functions: []hostFunc{
		{"enable_features", "i", "i", 0, (*instance).enableFeatures},
		{"get_config", "ii", "i", 0, func(in *instance, s []uint64) { answer(s, in.putWithin(s[0], s[1], in.plugin.configuration())) }},
		{"log_enabled", "i", "i", 0, func(in *instance, s []uint64) { s[0] = in.httpWasmLogs(s[0]) }},
		{"log", "iii", "", 0, func(in *instance, s []uint64) {
			if in.httpWasmLogs(s[0]) != 0 {
				in.log(zapcore.Level(int32(s[0])), in.view(s[1], s[2]))
			}
		}},
		{"get_method", "ii", "i", 0, inExchange(func(in *instance, s []uint64) { answer(s, in.putWithin(s[0], s[1], in.sentMethod())) })},
		{"set_method", "ii", "", 0, inExchange((*instance).setMethod)},
		{"get_uri", "ii", "i", 0, inExchange((*instance).getURI)},
		{"set_uri", "ii", "", 0, inExchange((*instance).setURI)},
		{"get_protocol_version", "ii", "i", 0, inExchange(func(in *instance, s []uint64) { answer(s, in.putWithin(s[0], s[1], in.ex.In.Proto)) })},
		{"get_source_addr", "ii", "i", 0, inExchange((*instance).getSource)},
		{"get_header_names", "iii", "I", 0, inExchange((*instance).getHeaderNames)},
		{"get_header_values", "iiiii", "I", 0, inExchange((*instance).getHeaderValues)},
		{"set_header_value", "iiiii", "", 0, inExchange(func(in *instance, s []uint64) {
			side, name := in.httpWasmEdits(s)
			insist("set_header_value", in.setField(side, name, in.text(s[3], s[4])))
		})},
		{"add_header_value", "iiiii", "", 0, inExchange(func(in *instance, s []uint64) {
			side, name := in.httpWasmEdits(s)
			insist("add_header_value", in.addField(side, name, in.text(s[3], s[4])))
		})},
		{"remove_header", "iii", "", 0, inExchange(func(in *instance, s []uint64) {
			side, name := in.httpWasmEdits(s)
			insist("remove_header", in.delField(side, name))
		})},
		{"read_body", "iii", "I", 0, inExchange((*instance).httpWasmRead)},
		{"write_body", "iii", "", 0, inExchange((*instance).httpWasmWrite)},
		{"get_status_code", "", "i", 0, inExchange((*instance).getStatusCode)},
		{"set_status_code", "i", "", 0, inExchange(func(in *instance, s []uint64) {
			insist("set_status_code", in.setStatus(int(int32(s[0]))))
		})},
	}}}
}

// inExchange is call for the time of requests only.
func inExchange(call hostCall) hostCall {
	return func(in *instance, s []uint64) {
		if in.ex == nil {
			panic(errNoExchange)
		}
		call(in, s)
	}
}

// insist ends the call if code is a refusal. But for one because the gateway keeps
// a header field for itself: plugins set those, such as Content-Length, as a part
// of what the gateway does of its own accord.
func insist(function string, code int32) {
	if code < 0 && code != abi.Denied {
		panic(fmt.Errorf("%s: it is %s", function, map[int32]string{abi.BadArgument: "not valid HTTP", abi.Limit: "too much"}[code]))
	}
}

func (in *instance) enableFeatures(s []uint64) {
	g := in.guestOfHTTPWasm()
	g.enabled |= uint32(s[0]) & featuresProvided
	if in.ex == nil {
		g.features = g.enabled
	}
	s[0] = uint64(g.enabled)
}

// httpWasmLogs reports, as 1, that lines of a level are written. The levels are
// those of zap, and 3 for none.
func (in *instance) httpWasmLogs(level uint64) uint64 {
	l := int32(level)
	if l < int32(zapcore.DebugLevel) || l > int32(zapcore.ErrorLevel) || !in.plugin.logger.Core().Enabled(zapcore.Level(l)) {
		return 0
	}
	return 1
}

// sentMethod is the method that the backend will get, as far as filters have it.
func (in *instance) sentMethod() string {
	switch {
	case in.draft.changes&changedMethod != 0:
		return in.draft.method
	case in.ex.Rewrite.Method != "":
		return in.ex.Rewrite.Method
	}
	return in.ex.Method
}

// sentPath is the path that the backend will get, or that of the request below
// its stage, which an integration may place anywhere.
func (in *instance) sentPath() string {
	switch {
	case in.draft.changes&changedTarget != 0:
		return in.draft.target
	case in.ex.Rewrite.Path != "":
		return in.ex.Rewrite.Path
	}
	return in.ex.Path
}

// mustChangeRequest ends the call when it is too late for that.
func (in *instance) mustChangeRequest() {
	if in.phase != abi.Request {
		panic(errSentOn)
	}
}

func (in *instance) setMethod(s []uint64) {
	in.mustChangeRequest()
	method := in.text(s[0], s[1])
	if !http1.ValidFieldName(method) || method == "CONNECT" {
		insist("set_method", abi.BadArgument)
	}
	if method != in.sentMethod() {
		insist("set_method", in.setText(&in.draft.method, changedMethod, method))
	}
}

func (in *instance) getURI(s []uint64) {
	b := append(in.scratch[:0], in.sentPath()...)
	query := in.query()
	if query != "" || in.ex.In.HasQuery && in.draft.changes&changedQuery == 0 {
		b = append(append(b, '?'), query...)
	}
	in.scratch = b
	answer(s, in.putWithin(s[0], s[1], in.scratched()))
}

func (in *instance) setURI(s []uint64) {
	in.mustChangeRequest()
	whole := in.text(s[0], s[1])
	if whole == "" {
		whole = "/"
	}
	t, err := http1.ParseTarget("GET", whole)
	if err != nil || t.Form != http1.OriginForm || uri.HasDotSegment(t.Path) {
		insist("set_uri", abi.BadArgument)
	}
	if t.Path != in.sentPath() {
		insist("set_uri", in.setText(&in.draft.target, changedTarget, t.Path))
	}
	if t.RawQuery != in.query() {
		insist("set_uri", in.setText(&in.draft.query, changedQuery, t.RawQuery))
	}
}

func (in *instance) getSource(s []uint64) {
	in.scratch = in.scratch[:0]
	if from := in.ex.In.Client; from.IsValid() {
		in.scratch = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port()).AppendTo(in.scratch)
	}
	answer(s, in.putWithin(s[0], s[1], in.scratched()))
}

// httpWasmFields returns the side that a kind of headers stands for, and its fields
// as the guest has left them. There are no trailers.
func (in *instance) httpWasmFields(kind uint64) (side, http1.Fields) {
	switch kind {
	case kindRequest:
		return requestSide, in.fieldsOf(requestSide)
	case kindResponse:
		return responseSide, in.fieldsOf(responseSide)
	case kindRequestTrailers, kindResponseTrailers:
		return responseSide, nil
	}
	panic(errKind)
}

// httpWasmEdits returns the side and the name of a header that is to be changed.
func (in *instance) httpWasmEdits(s []uint64) (side, string) {
	if s[2] == 0 {
		panic(errEmptyName)
	}
	switch s[0] {
	case kindRequest:
		in.mustChangeRequest()
		return requestSide, in.text(s[1], s[2])
	case kindResponse:
		return responseSide, in.text(s[1], s[2])
	case kindRequestTrailers, kindResponseTrailers:
		panic(errNoTrailers)
	}
	panic(errKind)
}

// getHeaderNames writes all names in lower case, each once and ended by a zero.
func (in *instance) getHeaderNames(s []uint64) {
	side, fields := in.httpWasmFields(s[0])
	b, count := in.scratch[:0], uint64(0)
	add := func(name string) {
		count++
		for i := range len(name) {
			c := name[i]
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			b = append(b, c)
		}
		b = append(b, 0)
	}
	if in.lacksHost(side, fields) {
		add("host")
	}
	for i := range fields {
		if in.httpWasmShows(side, &fields[i]) && !in.namedBefore(side, fields[:i], fields[i].Name) {
			add(fields[i].Name)
		}
	}
	in.scratch = b
	in.putList(s, count, s[1], s[2])
}

// getHeaderValues writes all values of a name, each ended by a zero.
func (in *instance) getHeaderValues(s []uint64) {
	side, fields := in.httpWasmFields(s[0])
	if s[2] == 0 {
		panic(errEmptyName)
	}
	name := in.text(s[1], s[2])
	b, count := in.scratch[:0], uint64(0)
	if in.lacksHost(side, fields) && sameName(name, "host") {
		b, count = append(append(b, in.ex.In.Host...), 0), 1
	}
	for i := range fields {
		if f := &fields[i]; sameName(f.Name, name) && in.httpWasmShows(side, f) {
			b, count = append(append(b, f.Value...), 0), count+1
		}
	}
	in.scratch = b
	in.putList(s, count, s[3], s[4])
}

// putList hands over the texts in scratch, or only says how many and how long
// they are if they don't fit.
func (in *instance) putList(s []uint64, count, at, limit uint64) {
	size := uint64(len(in.scratch))
	in.putWithin(at, limit, in.scratched())
	s[0] = count<<32 | size
}

// putWithin is put for guests that may name a larger buffer than they have, as
// long as what they get fits into their memory.
func (in *instance) putWithin(at, limit uint64, text string) int32 {
	if n := uint64(len(text)); n > 0 && n <= limit {
		copy(in.view(at, n), text)
	}
	return int32(len(text))
}

func (in *instance) httpWasmShows(s side, f *http1.Field) bool {
	return s != requestSide || visible(&in.passing, f)
}

// lacksHost reports whether a request named its host by something else than the
// field: plugins look for that one.
func (in *instance) lacksHost(s side, fields http1.Fields) bool {
	return s == requestSide && in.ex.In.Host != "" && !fields.HasKnown(http1.Host)
}

func (in *instance) namedBefore(s side, before http1.Fields, name string) bool {
	for i := range before {
		if sameName(before[i].Name, name) && in.httpWasmShows(s, &before[i]) {
			return true
		}
	}
	return false
}

// bodySide returns the side that a kind of bodies stands for.
func bodySide(kind uint64) side {
	switch kind {
	case kindRequest:
		return requestSide
	case kindResponse:
		return responseSide
	}
	panic(errKind)
}

// httpWasmRead reads the next bytes, and says by 1 in the upper half of the
// result that there are no more.
func (in *instance) httpWasmRead(s []uint64) {
	side := bodySide(s[0])
	if s[2] == 0 {
		panic(errNoBuffer)
	}
	if side == responseSide && in.phase == abi.Response && in.ex.Reply.Body != nil {
		panic(errUnbuffered)
	}
	n := in.readContent(side, in.view(s[1], s[2]))
	s[0] = uint64(n)
	if in.draft.read[side] >= len(in.contentOf(side)) {
		s[0] |= 1 << 32
	}
}

func (in *instance) httpWasmWrite(s []uint64) {
	side := bodySide(s[0])
	if side == requestSide {
		in.mustChangeRequest()
	}
	insist("write_body", in.writeContent(side, in.view(s[1], s[2])))
}

// getStatusCode is the response's; before there is one, 200. net/http.
func (in *instance) getStatusCode(s []uint64) {
	status := 200
	switch {
	case in.draft.changes&changedStatus != 0:
		status = in.draft.status
	case in.phase == abi.Response:
		status = in.ex.Reply.Status
	}
	s[0] = api.EncodeI32(int32(status))
}

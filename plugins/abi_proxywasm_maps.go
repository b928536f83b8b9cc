package plugins

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// The maps of proxy-wasm: proxy_map_type_t.
const (
	mapRequestHeaders   = 0
	mapRequestTrailers  = 1
	mapResponseHeaders  = 2
	mapResponseTrailers = 3
	mapCallHeaders      = 6
	mapCallTrailers     = 7
)

// text returns n bytes of the guest's memory at address at as a string, until
// guest code runs.
func (g *proxyWasm) text(at, n uint64) (string, bool) {
	b, ok := g.bytes(at, n)
	return viewString(b), ok
}

func (g *proxyWasm) bytes(at, n uint64) ([]byte, bool) {
	return g.in.memory.Read(uint32(at), uint32(n))
}

func (g *proxyWasm) set32(at uint64, v uint32) bool {
	return g.in.memory.WriteUint32Le(uint32(at), v)
}

// allocate returns n new bytes of the guest's memory, which stay the guest's.
func (g *proxyWasm) allocate(n int) (b []byte, at uint32, ok bool) {
	if g.allocating {
		panic(errAllocate) // the allocator must not ask for memory itself
	}
	g.allocating = true
	g.allocation[0] = uint64(n)
	err := g.on.allocate.CallWithStack(g.in, g.allocation[:])
	g.allocating = false
	if err != nil {
		panic(err)
	}
	at = uint32(g.allocation[0])
	if at == 0 {
		return nil, 0, false
	}
	b, ok = g.in.memory.Read(at, uint32(n))
	return b, at, ok
}

// hand gives the guest value: where it is goes to address at, its length to size.
func (g *proxyWasm) hand(at, size uint64, value string) wasmStatus {
	b, status := g.handOver(at, size, len(value))
	copy(b, value)
	return status
}

// handOver is hand for n bytes that are still to be written.
func (g *proxyWasm) handOver(at, size uint64, n int) ([]byte, wasmStatus) {
	if !g.set32(at, 0) || !g.set32(size, uint32(n)) {
		return nil, statusMemory
	}
	if n == 0 {
		return nil, statusOK
	}
	b, where, ok := g.allocate(n)
	if !ok {
		g.set32(size, 0)
		return nil, statusMemory
	}
	g.set32(at, where)
	return b, statusOK
}

// fieldsIn returns the fields that a map is made of, but for those that begin
// with ":". There is none when the map isn't there now: ok is false.
func (g *proxyWasm) fieldsIn(number int32) (fields http1.Fields, ok bool) {
	f := g.flow
	switch number {
	case mapRequestHeaders:
		if f != nil {
			return g.in.fieldsOf(requestSide), true
		}
	case mapResponseHeaders:
		if f != nil && f.side == responseSide {
			return g.in.fieldsOf(responseSide), true
		}
	case mapRequestTrailers, mapResponseTrailers:
		if f != nil && f.inContent && f.source == nil && f.side == wasmSide(number) {
			return f.trailers, true
		}
	case mapCallHeaders:
		if g.reply != nil {
			return g.reply.fields, true
		}
	case mapCallTrailers:
		if g.reply != nil {
			return g.reply.trailers, true
		}
	}
	return nil, false
}

func wasmSide(number int32) side {
	if number == mapRequestHeaders || number == mapRequestTrailers {
		return requestSide
	}
	return responseSide
}

// pairs returns all of a map, until it is called again; nil for one that isn't
// there.
func (g *proxyWasm) pairs(number int32) http1.Fields {
	fields, ok := g.fieldsIn(number)
	if !ok {
		return nil
	}
	all := g.list[:0]
	add := func(name, value string) {
		if value != "" {
			all = append(all, http1.Field{Name: name, Value: value})
		}
	}
	switch number {
	case mapRequestHeaders:
		for _, name := range [...]string{":authority", ":path", ":method", ":scheme", "x-forwarded-for", "x-forwarded-proto", "content-length"} {
			value, _ := g.made(number, name)
			add(name, value)
		}
		for i := range fields {
			if fields[i].Known() != http1.Host && visible(&g.in.passing, &fields[i]) {
				all = append(all, fields[i])
			}
		}
	case mapResponseHeaders:
		for _, name := range [...]string{":status", "content-length"} {
			value, _ := g.made(number, name)
			add(name, value)
		}
		all = append(all, fields...)
	case mapCallHeaders:
		value, _ := g.made(number, ":status")
		add(":status", value)
		fallthrough
	default:
		all = append(all, fields...)
	}
	g.list = all
	return all
}

// made returns a field that no message has as such here: what HTTP/2 calls
// pseudo-header fields, what the gateway knows of the way of the request, and the
// length of content, which is the gateway's to write.
func (g *proxyWasm) made(number int32, name string) (value string, ok bool) {
	in, status := g.in, 0
	switch number {
	case mapRequestHeaders:
		return g.flow.stream.made(name)
	case mapCallHeaders:
		status = g.reply.status
	case mapResponseHeaders:
		if name == "content-length" {
			return g.flow.stream.response.lengthText()
		}
		if status = in.ex.Reply.Status; in.draft.changes&changedStatus != 0 {
			status = in.draft.status
		}
	}
	if name != ":status" {
		return "", false
	}
	return in.number(status), true
}

func (s *wasmStream) made(name string) (value string, ok bool) {
	in := s.guest.in
	ex := in.ex
	switch name {
	case ":authority", "host":
		if s.authority == "" {
			s.authority = ex.In.Fields.GetKnown(http1.Host)
		}
		if s.authority == "" {
			s.authority = ex.In.Host
		}
		return s.authority, s.authority != ""
	case ":method":
		return ex.Method, true
	case ":scheme", "x-forwarded-proto":
		return ex.In.Scheme, true
	case ":path":
		query := in.query()
		if query == "" && !ex.In.HasQuery {
			return ex.In.Path, true
		}
		in.scratch = append(append(append(in.scratch[:0], ex.In.Path...), '?'), query...)
		return in.scratched(), true
	case "x-forwarded-for":
		if from := ex.In.Client; s.forwarded == "" && from.IsValid() {
			in.scratch = from.Addr().Unmap().WithZone("").AppendTo(in.scratch[:0])
			if ex.In.Hops != "" {
				in.scratch = append(append(in.scratch, ", "...), ex.In.Hops...)
			}
			s.forwarded = in.lasting(in.scratched())
		}
		return s.forwarded, s.forwarded != ""
	case "content-length":
		return s.request.lengthText()
	}
	return "", false
}

// lengthText is the length of the content as the message tells it, unless the
// guest has removed the field.
func (f *wasmFlow) lengthText() (string, bool) {
	if f.total < 0 || f.unsized {
		return "", false
	}
	g := f.stream.guest
	g.scratch = strconv.AppendInt(g.scratch[:0], f.total, 10)
	return viewString(g.scratch), true
}

// isMade reports whether made may know name, in any case.
func isMade(name string) bool {
	if name == "" {
		return false
	}
	switch name[0] | 0x20 {
	case ':' | 0x20:
		return true
	case 'h':
		return sameName(name, "host")
	case 'c':
		return sameName(name, "content-length")
	case 'x':
		return sameName(name, "x-forwarded-for") || sameName(name, "x-forwarded-proto")
	}
	return false
}

// value returns the value of the first field called name.
func (g *proxyWasm) value(number int32, name string) (value string, status wasmStatus) {
	fields, ok := g.fieldsIn(number)
	if !ok {
		return "", statusBadArgument
	}
	if isMade(name) {
		if value, ok := g.made(number, strings.ToLower(name)); ok {
			return value, statusOK
		}
	}
	hides := number == mapRequestHeaders
	for i := range fields {
		if sameName(fields[i].Name, name) && !(hides && !visible(&g.in.passing, &fields[i])) {
			return fields[i].Value, statusOK
		}
	}
	if g.ancient {
		return "", statusOK
	}
	return "", statusNotFound
}

// change says what to do with the value of a field.
type change uint8

const (
	addValue change = iota
	replaceValue
	removeValue
)

// edit changes one field of a map.
func (g *proxyWasm) edit(number int32, what change, name, value string) wasmStatus {
	f := g.flow
	switch number {
	case mapRequestTrailers, mapResponseTrailers:
		if _, ok := g.fieldsIn(number); ok {
			return f.editTrailer(what, name, value)
		}
		return statusBadArgument
	case mapRequestHeaders, mapResponseHeaders:
		if f == nil || !f.editable || f.side != wasmSide(number) {
			return statusBadArgument
		}
	default:
		return statusBadArgument
	}
	if name != "" && name[0] == ':' {
		return g.editMade(number, what, name, value)
	}
	in, side := g.in, f.side
	if what == removeValue && http1.KnownName(name) == http1.ContentLength {
		f.unsized = true
		return statusOK
	}
	var code int32
	switch what {
	case addValue:
		code = in.addField(side, name, value)
	case replaceValue:
		code = in.setField(side, name, value)
	default:
		code = in.delField(side, name)
	}
	return editStatus(what, name, code)
}

// editStatus translates what the rules for header fields say. What frames content
// is the gateway's to write; plugins remove or set it as a part of changing the
// content, which is heeded.
func editStatus(what change, name string, code int32) wasmStatus {
	switch {
	case code >= abi.OK:
		return statusOK
	case code == abi.Limit:
		return statusInternal
	case code == abi.Denied:
		switch k := http1.KnownName(name); {
		case what == removeValue, k == http1.ContentLength, k == http1.TransferEncoding, k == http1.Connection:
			return statusOK
		}
	}
	return statusBadArgument
}

// editMade changes a pseudo-header field. The route is settled by then, so of the
// request's only the query may change; a value that is there already is no change.
func (g *proxyWasm) editMade(number int32, what change, name, value string) wasmStatus {
	name = strings.ToLower(name)
	if what == removeValue {
		return statusBadArgument
	}
	if number == mapResponseHeaders {
		status, ok := smallNumber(value)
		if name != ":status" || !ok || g.in.setStatus(status) != abi.OK {
			return statusBadArgument
		}
		return statusOK
	}
	before, ok := g.made(number, name)
	switch {
	case !ok:
		return statusBadArgument
	case before == value:
		return statusOK
	case name != ":path":
		return statusBadArgument
	}
	path, query, _ := strings.Cut(value, "?")
	if path != g.in.ex.In.Path || g.in.setPart(abi.FieldRawQuery, query) != abi.OK {
		return statusBadArgument
	}
	return statusOK
}

// editTrailer changes a trailer field.
func (f *wasmFlow) editTrailer(what change, name, value string) wasmStatus {
	in := f.stream.guest.in
	field := http1.NewField(name, value)
	if code := in.refusedField(f.side, &field); code != abi.OK {
		return statusBadArgument
	}
	if what != addValue {
		f.trailers.Del(name)
	}
	if what == removeValue {
		return statusOK
	}
	if len(f.trailers) >= abi.MaxFields {
		return statusInternal
	}
	name, value, ok := in.keepBoth(field.Name, field.Value)
	if !ok {
		return statusInternal
	}
	field.Name, field.Value = name, value
	f.trailers = append(f.trailers, field)
	return statusOK
}

// setPairs makes a map have these pairs only: what the guest can't see or change
// stays.
func (g *proxyWasm) setPairs(number int32, b []byte) wasmStatus {
	all, ok := readPairs(b)
	if !ok {
		return statusParse
	}
	for p := all; ; { // what is wrong is found before anything has changed
		name, value, more := p.next()
		if !more {
			break
		}
		if name == "" || name[0] != ':' && (!http1.ValidFieldName(name) || !http1.ValidFieldValue(strings.Trim(value, " \t"))) {
			return statusBadArgument
		}
	}
	if status := g.empty(number); status != statusOK {
		return status
	}
	for {
		name, value, more := all.next()
		if !more {
			return statusOK
		}
		status := g.edit(number, addValue, name, value)
		if status == statusInternal || status != statusOK && name[0] == ':' {
			return status
		}
		// Else it is one that empty left in its place.
	}
}

// empty removes what a guest may remove from a map.
func (g *proxyWasm) empty(number int32) wasmStatus {
	f := g.flow
	switch number {
	case mapRequestTrailers, mapResponseTrailers:
		if _, ok := g.fieldsIn(number); !ok {
			return statusBadArgument
		}
		f.trailers = f.trailers[:0]
		return statusOK
	case mapRequestHeaders, mapResponseHeaders:
	default:
		return statusBadArgument
	}
	if f == nil || !f.editable || f.side != wasmSide(number) {
		return statusBadArgument
	}
	in, side := g.in, f.side
	fields := in.editable(side)
	kept := (*fields)[:0]
	for _, field := range *fields {
		if in.refusedField(side, &field) == abi.Denied {
			kept = append(kept, field)
			continue
		}
		in.draft.size[side] -= len(field.Name) + len(field.Value)
	}
	clear((*fields)[len(kept):])
	*fields = kept
	return statusOK
}

// pairsSize is how many bytes fields have in the form in which maps are handed
// over.
func pairsSize(fields http1.Fields) int {
	n := 4
	for i := range fields {
		n += 8 + len(fields[i].Name) + 1 + len(fields[i].Value) + 1
	}
	return n
}

// writePairs writes fields to b: how many, all lengths, then names and values, each
// ended by a zero. Envoy: names are in lower case.
func writePairs(b []byte, fields http1.Fields) {
	binary.LittleEndian.PutUint32(b, uint32(len(fields)))
	lengths, texts := b[4:], b[4+8*len(fields):]
	for i := range fields {
		name, value := fields[i].Name, fields[i].Value
		binary.LittleEndian.PutUint32(lengths[8*i:], uint32(len(name)))
		binary.LittleEndian.PutUint32(lengths[8*i+4:], uint32(len(value)))
		for j := range len(name) {
			c := name[j]
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			texts[j] = c
		}
		texts[len(name)] = 0
		texts = texts[len(name)+1:]
		copy(texts, value)
		texts[len(value)] = 0
		texts = texts[len(value)+1:]
	}
}

// wasmPairs is a map as guests write it.
type wasmPairs struct{ lengths, texts []byte }

// readPairs checks that b is a whole map. An empty one may have one byte or none.
func readPairs(b []byte) (wasmPairs, bool) {
	if len(b) < 4 {
		return wasmPairs{}, len(b) == 0 || len(b) == 1 && b[0] == 0
	}
	count := uint64(binary.LittleEndian.Uint32(b))
	b = b[4:]
	if count > uint64(len(b))/8 {
		return wasmPairs{}, false
	}
	p := wasmPairs{b[:8*count], b[8*count:]}
	left := uint64(len(p.texts))
	for at := 0; at < len(p.lengths); at += 4 {
		n := uint64(binary.LittleEndian.Uint32(p.lengths[at:])) + 1
		if n > left {
			return wasmPairs{}, false
		}
		left -= n
	}
	return p, true
}

// next returns the next pair, as views of the guest's memory.
func (p *wasmPairs) next() (name, value string, ok bool) {
	if len(p.lengths) == 0 {
		return "", "", false
	}
	n, v := binary.LittleEndian.Uint32(p.lengths), binary.LittleEndian.Uint32(p.lengths[4:])
	name, value = viewString(p.texts[:n]), viewString(p.texts[n+1:][:v])
	p.lengths, p.texts = p.lengths[8:], p.texts[n+v+2:]
	return name, value, true
}

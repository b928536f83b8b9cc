package plugins

import (
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/event"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
	"github.com/postern-gateway/postern/sdk/abi"
)

// coreFunctions are the functions that every native plugin may call.
func coreFunctions() hostModule {
	return native(abi.Module, "", map[string]hostCall{
		"field_get":     (*instance).fieldGet,
		"field_set":     func(in *instance, s []uint64) { answer(s, in.setPart(int32(s[0]), in.text(s[1], s[2]))) },
		"map_count":     (*instance).mapCounted,
		"map_get":       (*instance).mapGot,
		"map_entry":     (*instance).mapEntered,
		"map_set":       func(in *instance, s []uint64) { answer(s, in.mapPut(s, true)) },
		"map_add":       func(in *instance, s []uint64) { answer(s, in.mapPut(s, false)) },
		"map_del":       func(in *instance, s []uint64) { answer(s, in.mapDelete(int32(s[0]), in.text(s[1], s[2]))) },
		"body_len":      (*instance).bodyLen,
		"body_read":     (*instance).bodyRead,
		"body_write":    (*instance).bodyWrite,
		"body_reset":    (*instance).bodyReset,
		"chunk_len":     func(in *instance, s []uint64) { answer(s, in.chunkLen()) },
		"chunk_last":    func(in *instance, s []uint64) { answer(s, in.chunkLast()) },
		"chunk_read":    func(in *instance, s []uint64) { answer(s, in.chunkRead(in.view(s[0], s[1]))) },
		"chunk_write":   func(in *instance, s []uint64) { answer(s, in.chunkWrite(in.view(s[0], s[1]))) },
		"chunk_keep":    func(in *instance, s []uint64) { answer(s, in.chunkKeep(int32(s[0]))) },
		"principal_set": func(in *instance, s []uint64) { answer(s, in.setPrincipal(in.text(s[0], s[1]))) },
		"context_set": func(in *instance, s []uint64) {
			answer(s, in.setContext(in.text(s[0], s[1]), in.text(s[2], s[3])))
		},
		"event_read":    func(in *instance, s []uint64) { answer(s, in.readEvent(s[0], s[1])) },
		"result_write":  func(in *instance, s []uint64) { answer(s, in.writeResult(in.view(s[0], s[1]))) },
		"config_read":   func(in *instance, s []uint64) { answer(s, in.put(s[0], s[1], in.plugin.config)) },
		"log":           func(in *instance, s []uint64) { answer(s, in.logLine(s[0], in.view(s[1], s[2]))) },
		"log_enabled":   func(in *instance, s []uint64) { answer(s, in.logEnabled(s[0])) },
		"time":          func(in *instance, s []uint64) { s[0] = uint64(in.plugin.host.clock().UnixNano()) },
		"random":        func(in *instance, s []uint64) { answer(s, in.random(s[0], s[1])) },
		"deadline_left": func(in *instance, s []uint64) { s[0] = api.EncodeI64(max(0, int64(in.left()))) },
		"fail":          func(in *instance, s []uint64) { answer(s, in.fail(in.text(s[1], s[2]), int32(s[0]))) },
	})
}

// refusedAccess is abi.OK if phases, those in which something may be used, have
// the call's; none at all means that there is no such thing.
func (in *instance) refusedAccess(phases, others abi.Phase) int32 {
	switch {
	case phases&in.phase != 0:
		return abi.OK
	case phases|others == 0:
		return abi.BadArgument
	}
	return abi.WrongPhase
}

func (in *instance) fieldGet(s []uint64) {
	n := int32(s[0])
	code := in.refusedAccess(abi.FieldAccess(n))
	if code == abi.OK {
		value, _ := in.field(n)
		code = in.put(s[1], s[2], value)
	}
	answer(s, code)
}

// setPart changes a field.
func (in *instance) setPart(n int32, value string) int32 {
	readable, writable := abi.FieldAccess(n)
	if code := in.refusedAccess(writable, readable); code != abi.OK {
		return code
	}
	d := &in.draft
	switch n {
	case abi.FieldRawQuery:
		if t, err := http1.ParseTarget("GET", "/?"+value); err != nil || t.RawQuery != value {
			return abi.BadArgument
		}
		return in.setText(&d.query, changedQuery, value)
	case abi.FieldStatus:
		status, ok := smallNumber(value)
		if !ok {
			return abi.BadArgument
		}
		return in.setStatus(status)
	case abi.FieldMessage:
		if !utf8.ValidString(value) {
			return abi.BadArgument
		}
		if len(value) > abi.MaxMessage {
			return abi.Limit
		}
		return in.setText(&d.message, changedMessage, value)
	case abi.FieldBackendMethod:
		if !http1.ValidFieldName(value) || value == "CONNECT" {
			return abi.BadArgument
		}
		return in.setText(&d.method, changedMethod, value)
	case abi.FieldBackendTarget:
		t, err := http1.ParseTarget("GET", value)
		if err != nil || t.Form != http1.OriginForm || uri.HasDotSegment(t.Path) {
			return abi.BadArgument
		}
		return in.setText(&d.target, changedTarget, value)
	case abi.FieldBackendHost:
		if _, _, err := http1.ParseHost(value); err != nil || value == "" {
			return abi.BadArgument
		}
		return in.setText(&d.host, changedHost, value)
	}
	return abi.BadArgument
}

// smallNumber reads three digits.
func smallNumber(s string) (n int, ok bool) {
	if len(s) != 3 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n, true
}

func (in *instance) mapCounted(s []uint64) {
	n := int32(s[0])
	code := in.refusedAccess(abi.MapAccess(n))
	if code == abi.OK {
		code = in.mapCount(n)
	}
	answer(s, code)
}

func (in *instance) mapGot(s []uint64) {
	n := int32(s[0])
	code := in.refusedAccess(abi.MapAccess(n))
	if code == abi.OK {
		var value string
		if value, code = in.mapGet(n, in.text(s[1], s[2])); code == abi.OK {
			code = in.put(s[3], s[4], value)
		}
	}
	answer(s, code)
}

func (in *instance) mapEntered(s []uint64) {
	n := int32(s[0])
	var name, value string
	code := in.refusedAccess(abi.MapAccess(n))
	if code == abi.OK {
		name, value, code = in.mapEntry(n, uint32(s[1]))
	}
	if code != abi.OK {
		s[0] = api.EncodeI64(int64(code))
		return
	}
	length := in.put(s[2], s[3], name)
	s[0] = uint64(length)<<32 | uint64(in.put(s[4], s[5], value))
}

// sideOf is the message whose header fields are map n.
func sideOf(n int32) side {
	switch n {
	case abi.MapResponseHeaders:
		return responseSide
	case abi.MapBackendHeaders:
		return backendSide
	}
	return requestSide
}

// mapPut is map_set, and map_add without replace.
func (in *instance) mapPut(s []uint64, replace bool) int32 {
	n, name, value := int32(s[0]), in.text(s[1], s[2]), in.text(s[3], s[4])
	readable, writable := abi.MapAccess(n)
	if code := in.refusedAccess(writable, readable); code != abi.OK {
		return code
	}
	if n == abi.MapBag {
		return in.putInBag(name, value)
	}
	return in.putField(sideOf(n), name, value, replace)
}

func (in *instance) mapDelete(n int32, name string) int32 {
	readable, writable := abi.MapAccess(n)
	if code := in.refusedAccess(writable, readable); code != abi.OK {
		return code
	}
	if n == abi.MapBag {
		return in.takeFromBag(name)
	}
	return in.delField(sideOf(n), name)
}

func (in *instance) bodyLen(s []uint64) {
	n := int32(s[0])
	code := in.refusedAccess(abi.BodyAccess(n))
	if code == abi.OK {
		code = int32(min(len(in.contentOf(side(n))), math.MaxInt32)) // a listener may let more in
	}
	answer(s, code)
}

func (in *instance) bodyRead(s []uint64) {
	n := int32(s[0])
	code := in.refusedAccess(abi.BodyAccess(n))
	if code == abi.OK {
		code = in.readContent(side(n), in.view(s[1], s[2]))
	}
	answer(s, code)
}

func (in *instance) bodyWrite(s []uint64) {
	n := int32(s[0])
	readable, writable := abi.BodyAccess(n)
	code := in.refusedAccess(writable, readable)
	if code == abi.OK {
		code = in.writeContent(side(n), in.view(s[1], s[2]))
	}
	answer(s, code)
}

func (in *instance) bodyReset(s []uint64) {
	n := int32(s[0])
	readable, writable := abi.BodyAccess(n)
	code := in.refusedAccess(writable, readable)
	if code == abi.OK {
		in.resetContent(side(n))
	}
	answer(s, code)
}

func (in *instance) setPrincipal(id string) int32 {
	if !utf8.ValidString(id) {
		return abi.BadArgument
	}
	if len(id) > abi.MaxPrincipal {
		return abi.Limit
	}
	kept, ok := in.keep(id)
	if !ok {
		return abi.Limit
	}
	in.principal = kept
	return abi.OK
}

// setContext sets one entry of the authorizer's context. A name that was set
// before gets the new value.
func (in *instance) setContext(name, value string) int32 {
	if name == "" || !utf8.ValidString(name) || !utf8.ValidString(value) {
		return abi.BadArgument
	}
	at := slices.IndexFunc(in.context, func(p proxy.Param) bool { return p.Name == name })
	if in.contextSize+len(name)+len(value) > abi.MaxContext || at < 0 && len(in.context) >= abi.MaxContextEntries {
		return abi.Limit
	}
	in.contextSize += len(name) + len(value)
	if at >= 0 {
		in.context[at].Value = in.ex.Text.Concat(value)
		return abi.OK
	}
	in.context = append(in.context, proxy.Param{Name: in.ex.Text.Concat(name), Value: in.ex.Text.Concat(value)})
	return abi.OK
}

// renderEvent fills in.event on its first use, unless it was given.
func (in *instance) renderEvent() {
	if !in.rendered {
		in.event = event.AppendRequest(in.event[:0], in.ex)
		in.rendered = true
	}
}

func (in *instance) readEvent(at, size uint64) int32 {
	in.renderEvent()
	b := in.view(at, size)
	if len(in.event) <= len(b) {
		copy(b, in.event)
	}
	return int32(len(in.event))
}

// writeResult copies the answer: it has to outlive the instance's next call.
func (in *instance) writeResult(b []byte) int32 {
	if len(b) > abi.MaxResult {
		return abi.Limit
	}
	in.result = append(in.result[:0], b...)
	in.answered = true
	return abi.OK
}

func (in *instance) logLine(n uint64, text []byte) int32 {
	l, ok := level(n)
	if !ok {
		return abi.BadArgument
	}
	if !in.log(l, text) {
		return abi.Limit
	}
	return abi.OK
}

func (in *instance) logEnabled(n uint64) int32 {
	l, ok := level(n)
	switch {
	case !ok:
		return abi.BadArgument
	case in.plugin.logger.Core().Enabled(l):
		return 1
	}
	return 0
}

func (in *instance) random(at, n uint64) int32 {
	b := in.view(at, n)
	if len(b) > abi.MaxRandom {
		return abi.Limit
	}
	if _, err := io.ReadFull(in.plugin.host.entropy, b); err != nil {
		panic(err)
	}
	return abi.OK
}

// fail notes why the guest can't do what it was asked. The first reason counts.
func (in *instance) fail(text string, code int32) int32 {
	if in.failed {
		return abi.OK
	}
	if len(text) > abi.MaxFailure {
		text = text[:abi.MaxFailure]
	}
	in.failed, in.failure = true, failureText(code, text)
	return abi.OK
}

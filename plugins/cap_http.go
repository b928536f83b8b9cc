package plugins

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/tetratelabs/wazero/api"
	"go.uber.org/zap/zapcore"

	"github.com/postern-gateway/postern/plugins/outbound"
	"github.com/postern-gateway/postern/sdk/abi"
)

// httpFunctions are requests to other servers.
func httpFunctions() hostModule {
	return native(abi.ModuleHTTP, groupHTTP, map[string]hostCall{
		"send":         (*instance).sendRequest,
		"wait":         func(in *instance, s []uint64) { _, code := in.awaited(s[0]); answer(s, code) },
		"status":       (*instance).answerStatus,
		"header":       (*instance).answerHeader,
		"header_entry": (*instance).answerHeaderEntry,
		"read":         (*instance).answerContent,
	})
}

// workPerSend is what a request costs besides its bytes, in nanoseconds.
const workPerSend = 20_000

// sendRequest begins a request. What the guest passes is copied.
func (in *instance) sendRequest(s []uint64) {
	r := outbound.Request{
		Method: in.text(s[0], s[1]), URL: in.text(s[2], s[3]), Header: in.text(s[4], s[5]), Content: in.view(s[6], s[7]),
		Timeout: time.Duration(s[8]),
	}
	switch {
	case r.Timeout < 0:
		answer(s, abi.BadArgument)
		return
	case !in.charge(workPerSend + len(r.Content)/16*workPer16Bytes):
		answer(s, abi.Limit)
		return
	}
	if in.requests == nil {
		in.requests = in.plugin.grants.http.Begin(in.asker())
	}
	if _, err := in.requests.Send(&r); err != nil {
		answer(s, in.httpCode("send", err))
		return
	}
	answer(s, int32(in.requests.Count()))
}

// asker says on whose behalf in sends requests.
func (in *instance) asker() outbound.Asker {
	a := outbound.Asker{Context: in.caller, Patience: time.Duration(in.latest - in.plugin.host.now()), Blocks: in.endTurn}
	if a.Context == nil {
		a.Context = context.Background()
	}
	if in.ex != nil {
		a.Gone = in.ex.ClientGone
	}
	return a
}

// endRequests breaks off what is still under way.
func (in *instance) endRequests() outbound.Figures {
	f := in.requests.End()
	in.requests = nil
	return f
}

// awaited returns the answer to the request n once its head is there.
func (in *instance) awaited(n uint64) (*outbound.Reply, int32) {
	r := in.reply(n)
	if r == nil {
		return nil, abi.BadArgument
	}
	if err := in.whileWaiting(r.Wait); err != nil {
		return nil, in.httpCode("wait", err)
	}
	return r, abi.OK
}

func (in *instance) reply(n uint64) *outbound.Reply {
	if in.requests == nil {
		return nil
	}
	return in.requests.Reply(int(n))
}

// whileWaiting calls wait, which may wait for an answer: that time isn't the
// guest's.
func (in *instance) whileWaiting(wait func() error) error {
	before := in.requests.Waited()
	err := wait()
	if took := int64(in.requests.Waited() - before); took > 0 {
		in.waited += took
		in.deadline = min(in.deadline+took, in.latest)
		if in.lastTick != 0 {
			in.lastTick += took
		}
	}
	return err
}

// httpCode is the code for an error of package outbound. What isn't allowed is
// told to the operator, who may have forgotten to allow it.
func (in *instance) httpCode(function string, err error) int32 {
	if errors.Is(err, outbound.ErrDenied) {
		in.log(zapcore.WarnLevel, []byte(function+": "+err.Error()))
		return abi.Denied
	}
	in.explain(function, err)
	switch {
	case errors.Is(err, outbound.ErrMalformed):
		return abi.BadArgument
	case errors.Is(err, outbound.ErrLimit):
		return abi.Limit
	case errors.Is(err, outbound.ErrDeadline):
		return abi.Deadline
	}
	return abi.Unavailable
}

func (in *instance) answerStatus(s []uint64) {
	r, code := in.awaited(s[0])
	if code == abi.OK {
		code = int32(r.Status())
	}
	answer(s, code)
}

func (in *instance) answerHeader(s []uint64) {
	name := in.text(s[1], s[2])
	r, code := in.awaited(s[0])
	if code == abi.OK {
		if value, found := r.Field(name); found {
			code = in.put(s[3], s[4], value)
		} else {
			code = abi.NotFound
		}
	}
	answer(s, code)
}

func (in *instance) answerHeaderEntry(s []uint64) {
	r, code := in.awaited(s[0])
	if code == abi.OK && s[1] >= uint64(len(r.Fields())) {
		code = abi.NotFound
	}
	if code != abi.OK {
		s[0] = api.EncodeI64(int64(code))
		return
	}
	f := r.Fields()[s[1]]
	length := in.put(s[2], s[3], f.Name)
	s[0] = uint64(length)<<32 | uint64(in.put(s[4], s[5], f.Value))
}

func (in *instance) answerContent(s []uint64) {
	to := in.view(s[1], s[2])
	r := in.reply(s[0])
	if r == nil {
		answer(s, abi.BadArgument)
		return
	}
	var n int
	err := in.whileWaiting(func() (err error) {
		n, err = r.Read(to)
		return err
	})
	if err != nil && err != io.EOF {
		answer(s, in.httpCode("read", err))
		return
	}
	answer(s, int32(n))
}

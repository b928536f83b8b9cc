package plugins

import (
	"errors"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/plugins/keyvalue"
	"github.com/postern-gateway/postern/sdk/abi"
)

// kvFunctions are values and counters that outlive a call.
func kvFunctions() hostModule {
	return native(abi.ModuleKV, groupKV, map[string]hostCall{
		"get": (*instance).getValue,
		"set": (*instance).setValue,
		"delete": func(in *instance, s []uint64) {
			in.plugin.grants.space.Delete(in.text(s[0], s[1]))
			answer(s, abi.OK)
		},
		"add": (*instance).addToCounter,
		"cas": (*instance).compareAndSet,
	})
}

// workPer16Bytes is what it costs to copy or compare 16 bytes of a value, in
// nanoseconds.
const workPer16Bytes = 2

// life is a time to live as the guest gives it.
func life(ttl uint64) (time.Duration, bool) { return time.Duration(ttl), int64(ttl) >= 0 }

// kvCode is the code for an error of package keyvalue.
func kvCode(err error) int32 {
	switch {
	case err == nil:
		return abi.OK
	case errors.Is(err, keyvalue.ErrSize), errors.Is(err, keyvalue.ErrRange):
		return abi.Limit
	}
	return abi.BadArgument
}

func (in *instance) getValue(s []uint64) {
	length, found := in.plugin.grants.space.Read(in.text(s[0], s[1]), in.view(s[2], s[3]))
	switch {
	case !found:
		answer(s, abi.NotFound)
	case !in.charge(length / 16 * workPer16Bytes):
		answer(s, abi.Limit)
	default:
		answer(s, int32(length))
	}
}

func (in *instance) setValue(s []uint64) {
	key, value := in.text(s[0], s[1]), in.view(s[2], s[3])
	ttl, ok := life(s[4])
	switch {
	case !ok:
		answer(s, abi.BadArgument)
	case !in.charge(len(value) / 16 * workPer16Bytes):
		answer(s, abi.Limit)
	default:
		answer(s, kvCode(in.plugin.grants.space.Set(key, value, ttl)))
	}
}

func (in *instance) addToCounter(s []uint64) {
	ttl, ok := life(s[3])
	if !ok {
		s[0] = api.EncodeI64(abi.BadArgument)
		return
	}
	count, err := in.plugin.grants.space.Add(in.text(s[0], s[1]), int64(s[2]), ttl)
	if err != nil {
		count = int64(kvCode(err))
	}
	s[0] = api.EncodeI64(count)
}

func (in *instance) compareAndSet(s []uint64) {
	key, old, value := in.text(s[0], s[1]), in.view(s[2], s[3]), in.view(s[4], s[5])
	ttl, ok := life(s[6])
	switch {
	case !ok:
		answer(s, abi.BadArgument)
		return
	case !in.charge((len(old) + len(value)) / 16 * workPer16Bytes):
		answer(s, abi.Limit)
		return
	}
	set, err := in.plugin.grants.space.CompareAndSet(key, old, value, ttl)
	code := kvCode(err)
	if set {
		code = 1
	}
	answer(s, code)
}

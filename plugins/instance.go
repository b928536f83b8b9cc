package plugins

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
	"unsafe"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/postern-gateway/postern/plugins/outbound"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/sdk/abi"
)

// instance is one running copy of a module with the state of the call that it
// serves. It is its own context.Context, so that a call allocates none and a
// host function finds its instance by one type assertion.
type instance struct {
	// Set at construction.
	plugin  *plugin
	module  api.Module
	memory  api.Memory
	linear  linearMemory // what memory stands in
	born    int64        // in the host's monotonic time
	initial *snapshot    // nil unless the instance is reset after each call

	// What the ABI of the guest keeps: one of these.
	native    *nativeGuest
	proxyWasm *proxyWasm
	httpWasm  *httpWasm
	opa       *opaGuest
	extism    *extism

	seat seat // in a boundPool; guarded by its mutex

	// The call's, set by begin.
	phase     abi.Phase
	ex        *proxy.Exchange // nil in phases that aren't about one
	naming    naming          // what those are about, but for Start
	passing   proxy.Passing   // which of ex's headers the guest sees
	variables []proxy.Param   // stage variables, by name
	deadline  int64           // in the host's monotonic time
	caller    context.Context // of who waits for the call; nil in phase Start
	account   *account        // who the call is booked to; nil for nobody
	began     int64           // in the host's monotonic time
	latest    int64           // likewise: the deadline however long the guest waits for others
	waited    int64           // for answers to the guest's requests, nanoseconds
	hostCalls int64
	requests  *outbound.Session // nil until the guest sends one

	// The meter's.
	slice    int32 // fuel of one slice
	lastTick int64 // 0 before the first of a call
	missed   bool  // the deadline

	lastSlice int32 // what the last tick gave

	computing bool        // it has one of the host's turns
	alarm     *time.Timer // for the deadline while it waits for one; nil before it did

	// What the guest has said in this call.
	principal   string
	context     []proxy.Param
	contextSize int
	result      []byte
	answered    bool
	event       []byte // the event JSON once it was asked for
	rendered    bool
	failure     string // of fail
	failed      bool
	exited      bool
	exitCode    uint32
	logLines    int
	line        []byte // begun line of standard output or error

	draft draft // of the exchange's messages

	piece  *passage   // of content that the call is about; nil for other calls
	stream *answering // of the call, if the plugin's integrations have content in pieces
	late   bool       // the exchange's trace and memory aren't for the call, which content on its way needed

	holdings *holdings // nil until the guest has the host keep something

	// A command's standard input and output.
	stdin    []byte
	stdinPos int
	stdout   bool // standard output is the answer

	stack   [4]uint64
	scratch []byte
	cursor  queryCursor // of the call's query
	calls   int
	idle    int64 // since when, in the host's monotonic time
}

// The reasons for which a host function ends a guest's call.
var (
	errDeadline = errors.New("deadline exceeded")
	errDepth    = errors.New("calls are nested too deeply")
	errPointer  = errors.New("address range outside of the guest's memory")
	errExit     = errors.New("the guest exited")

	errAnswerSize = fmt.Errorf("the answer has more than %d bytes", abi.MaxResult)
)

// failure is a call that ended without a usable result. what goes into the
// access record.
type failure struct {
	what string // "trap", "deadline", "exit", "fail", "answer", "start"
	err  error
}

func (f *failure) Error() string { return f.what + ": " + f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// instanceKey is what an instance answers to as a context.
type instanceKey struct{}

// Deadline is context.Context's; the meter keeps the real one.
func (in *instance) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done is context.Context's.
func (in *instance) Done() <-chan struct{} { return nil }

// Err is context.Context's.
func (in *instance) Err() error { return nil }

// Value is context.Context's. wazero asks it at every call.
func (in *instance) Value(key any) any {
	if _, own := key.(instanceKey); own {
		return in
	}
	return nil
}

// instanceOf finds the instance behind a host function's context. Only during
// instantiation is that wrapped.
func instanceOf(ctx context.Context) *instance {
	if in, ok := ctx.(*instance); ok {
		return in
	}
	return ctx.Value(instanceKey{}).(*instance)
}

// newInstance makes an instance of p and starts it as its ABI wants, for which
// it has startTimeout.
//
// The error is a *failure, or p.full when there is no memory for it.
func newInstance(p *plugin) (in *instance, err error) {
	if !p.host.room(p.counters, p.module.minimum) {
		return nil, p.full
	}
	in = &instance{plugin: p, slice: firstSlice, born: p.host.now()}
	in.begin(abi.Start, nil, nil, startTimeout)
	in.nextTurn() // this takes longer than most calls
	memory := &memories{budget: &p.host.budget, counters: p.counters}
	ctx := experimental.WithMemoryAllocator(in, memory)
	// Anonymous: many instances of one module. No start function runs by itself.
	mc := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	in.module, err = instantiate(ctx, p.host.runtime, p.module.compiled, mc)
	if err != nil {
		in.endTurn()
		memory.free()
		if memory.refused { // somebody was faster
			return nil, p.full
		}
		return nil, in.judge(err)
	}
	in.linear = memory.linear
	p.counters.instances.Add(1)
	p.counters.started.Add(1)
	in.memory = in.module.Memory()
	if err := p.module.abi.start(in); err != nil {
		in.close()
		if memory.refused { // a guest can't start without, and isn't to blame
			return nil, p.full
		}
		return nil, err
	}
	in.end()
	if p.isolation == isolationReset {
		if err := in.snap(); err != nil {
			in.close()
			return nil, err
		}
	}
	return in, nil
}

// instantiate is InstantiateModule with a boundary: a module that wazero
// stumbles over costs this instance, not the process.
func instantiate(ctx context.Context, r wazero.Runtime, m wazero.CompiledModule, mc wazero.ModuleConfig) (module api.Module, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return r.InstantiateModule(ctx, m, mc)
}

// begin makes in ready for one call, which may take limit.
func (in *instance) begin(phase abi.Phase, ex *proxy.Exchange, variables []proxy.Param, limit time.Duration) {
	in.phase, in.ex, in.variables = phase, ex, variables
	if ex != nil {
		in.passing = proxy.PassingOf(ex.In.Fields)
	}
	in.began = in.plugin.host.now()
	in.deadline, in.latest = in.began+int64(limit), math.MaxInt64
	in.waited, in.hostCalls = 0, 0
	in.lastTick, in.lastSlice, in.missed = 0, 0, false
	in.principal, in.context, in.contextSize = "", in.context[:0], 0
	in.result, in.answered, in.rendered = nil, false, false
	in.failure, in.failed, in.exited = "", false, false
	in.logLines, in.line = 0, in.line[:0]
	in.stdin, in.stdinPos, in.stdout = nil, 0, false
	in.cursor = queryCursor{}
}

// end forgets the exchange, and the memory of an unusually large call.
func (in *instance) end() {
	in.endTurn()
	if in.requests != nil {
		in.endRequests()
	}
	in.flushLine()
	clear(in.context)
	in.draft.reset()
	if in.holdings != nil {
		in.holdings.endCall(in.phase)
	}
	if in.extism != nil {
		in.extism.endCall(in)
	}
	in.passing = proxy.Passing{}
	in.caller, in.account = nil, nil
	in.piece, in.stream, in.late = nil, nil, false
	in.ex, in.variables, in.principal, in.stdin, in.result = nil, nil, "", nil, nil
	if cap(in.event) > keepBuffer {
		in.event = nil
	}
	if cap(in.scratch) > keepBuffer {
		in.scratch = nil
	}
}

// run calls f, which has no parameters and at most one result; the result is
// then in stack[0]. The error is a *failure.
func (in *instance) run(f api.Function) error {
	in.calls++
	in.stack[0] = 0
	err := f.CallWithStack(in, in.stack[:])
	if err == nil {
		return nil
	}
	return in.judge(err)
}

// judge says what kind of end err is.
func (in *instance) judge(err error) error {
	c := newCutOff(err)
	switch {
	case in.missed:
		c.text = errDeadline.Error()
		return &failure{"deadline", c}
	case in.exited:
		c.text = fmt.Sprintf("exit status %d", in.exitCode)
		return &failure{"exit", c}
	}
	return &failure{"trap", c}
}

// left is the time until the deadline; it may be negative.
func (in *instance) left() time.Duration {
	return time.Duration(in.deadline - in.plugin.host.now())
}

// close ends the instance and gives its memory back.
func (in *instance) close() {
	in.end()
	_ = in.module.Close(context.Background()) // closes no file and runs no guest code
	if in.extism != nil {
		in.extism.blocks.empty(in, -1)
	}
	if in.initial != nil {
		in.plugin.host.budget.force(in.plugin.counters, -int64(len(in.initial.image)))
	}
	in.plugin.counters.instances.Add(-1)
}

// worn reports whether the instance should make room for a fresh one: guests
// leak, and their memory never shrinks.
func (in *instance) worn(now int64) bool {
	return in.calls >= recycleCalls || uint64(in.memory.Size()) > in.plugin.memoryMark ||
		now-in.born >= int64(recycleAge)
}

// view returns n bytes of the guest's memory at address at, for as long as no
// guest code runs. A range that isn't all in the memory ends the call.
func (in *instance) view(at, n uint64) []byte {
	if at|n <= math.MaxUint32 {
		if b, ok := in.memory.Read(uint32(at), uint32(n)); ok {
			return b
		}
	}
	panic(errPointer)
}

// text is view as a string, under the same rule.
func (in *instance) text(at, n uint64) string {
	b := in.view(at, n)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// putBytes is put for bytes.
func (in *instance) putBytes(at, size uint64, b []byte) int32 {
	return in.put(at, size, unsafe.String(unsafe.SliceData(b), len(b)))
}

// put writes s into the guest's buffer of size bytes at address at, or nothing
// when it doesn't fit, and returns the length of s.
func (in *instance) put(at, size uint64, s string) int32 {
	b := in.view(at, size)
	if len(s) <= len(b) {
		copy(b, s)
	}
	return int32(len(s))
}

const (
	// firstSlice is an instance's first slice of fuel, in instructions.
	firstSlice = 100_000
	// startTimeout bounds an instance's start. Go's runtime takes about 5 ms.
	startTimeout = 10 * time.Second
	// recycleCalls is how many calls one instance serves.
	recycleCalls = 1_000_000
	// recycleAge is for how long.
	recycleAge = 60 * time.Minute
	// keepBuffer is how much memory an idle instance keeps in each buffer, bytes.
	keepBuffer = 256 << 10
)

package plugins

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/event"
	"github.com/postern-gateway/postern/sdk/abi"
)

// extismABI is that of plugins built with a PDK of Extism: a function takes an
// input and makes an output, which stand in blocks of memory that the host keeps.
// ABI.md says what input and output are.
// Source: extism.org, "Extism Runtime Kernel" and the PDKs; "Go SDK:" marks what
// those leave open.
type extismABI struct{}

const extismModule = "extism:host/env"

// Functions that are called when the configuration names none.
const (
	extismAuthorize = "authorize"
	extismHandle    = "handle"
	extismIntegrate = "integrate"
)

// What a function's input and output are.
const payloadBody = "body" // the content of request and response; else events

// extism is what an instance of an Extism module has of its own.
type extism struct {
	authorize, integrate api.Function
	config               map[string]string

	blocks  blockMemory
	input   memoryBlock
	output  memoryBlock
	message uint64 // block with what went wrong; 0 for none

	variables map[string][]byte
	varSize   int

	status  int // of the last answer to a request of the guest's
	headers []byte
}

func (extismABI) name() string { return "extism" }

func (extismABI) fresh() bool { return false }

func (extismABI) speaks(m *module) error {
	if m.importsFrom(extismModule) {
		return nil
	}
	return refuse("an Extism plugin is built with one of its PDKs", "the module doesn't import from %s, so it isn't an Extism plugin", extismModule)
}

func (extismABI) check(m *module) error {
	for _, name := range []string{abi.ExportInitialize, "__wasm_call_ctors"} {
		if err := m.checkSignature(name, ""); err != nil {
			return err
		}
	}
	if m.exports["hs_init"] != nil {
		return m.mustExport("hs_init", "ii:")
	}
	return nil
}

func (extismABI) checkOptions(o config.Plugin) (option string, err error) {
	if o.Function == abi.ExportStart && isolation(o.Isolation) != isolationFresh {
		return "isolation", refuse(`set isolation = "fresh"`, "an instance ends with a call of %s", abi.ExportStart)
	}
	return "", nil
}

// start runs what a PDK's language has to make itself ready. Go SDK: never _start.
func (extismABI) start(in *instance) error {
	g := &extism{variables: map[string][]byte{}}
	in.extism = g
	var err error
	if g.config, err = extismConfig(in.plugin.config); err != nil {
		return err
	}
	f := in.module.ExportedFunction
	switch initialize, construct := f(abi.ExportInitialize), f("__wasm_call_ctors"); {
	case initialize != nil:
		err = in.run(initialize)
	case construct != nil:
		err = in.run(construct)
	}
	if haskell := f("hs_init"); haskell != nil && err == nil {
		in.stack[1] = 0
		err = in.run(haskell)
	}
	if err != nil {
		return err
	}
	name := in.plugin.function
	if g.authorize, err = in.extismFunction(name, extismAuthorize); err != nil {
		return err
	}
	g.integrate, err = in.extismFunction(name, extismHandle, extismIntegrate)
	return err
}

// extismFunction looks up the configured function, which has to be there, or one
// of the usual names.
func (in *instance) extismFunction(configured string, usual ...string) (api.Function, error) {
	names := usual
	if configured != "" {
		names = []string{configured}
	}
	for _, name := range names {
		f := in.plugin.module.exports[name]
		if f == nil {
			continue
		}
		if results := letters(f.ResultTypes()); len(f.ParamTypes()) > 0 || results != "" && results != "i" && results != "I" {
			return nil, refuse("", "the module exports %s with a signature that isn't an Extism function's", name)
		}
		return in.module.ExportedFunction(name), nil
	}
	if configured != "" {
		return nil, refuse("set function to one that it has", "the module doesn't export %s", configured)
	}
	return nil, nil
}

// extismConfig is a plugin's configuration as names and texts. What isn't text is
// JSON.
func extismConfig(text string) (map[string]string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, raw := range members {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw)
		}
		values[name] = s
	}
	return values, nil
}

func (extismABI) greet(in *instance) (roles uint32, err error) {
	g := in.extism
	if g.authorize != nil {
		roles |= abi.RoleAuthorize
	}
	if g.integrate != nil {
		roles |= abi.RoleIntegrate
	}
	if roles == 0 {
		return 0, refuse("set function to the name of the one to call",
			"the module exports none of %s, %s and %s", extismAuthorize, extismHandle, extismIntegrate)
	}
	return roles, nil
}

// callExtism calls f and returns its output, as a view of the blocks.
func (in *instance) callExtism(f api.Function, input []byte) ([]byte, error) {
	g := in.extism
	at, err := g.blocks.allocate(in, uint64(len(input)))
	if err != nil {
		return nil, &failure{"start", err}
	}
	g.input = memoryBlock{at: at, size: uint64(len(input))}
	copy(g.blocks.bytes[at:], input)
	err = in.run(f)
	if in.exited && in.exitCode == 0 {
		err = nil
	}
	switch {
	case err != nil:
		return nil, err
	case g.message != 0:
		return nil, &failure{"fail", errors.New(g.said())}
	case uint32(in.stack[0]) != 0 && len(f.Definition().ResultTypes()) > 0:
		return nil, &failure{"fail", fmt.Errorf("the function returned %d", int32(in.stack[0]))}
	}
	output, ok := g.blocks.slice(g.output.at, g.output.size)
	if !ok { // it was given back since
		return nil, &failure{"answer", errPointer}
	}
	return output, nil
}

// said is the text of the error that the guest has set.
func (g *extism) said() string {
	b := g.blocks.find(g.message)
	if b == nil {
		return "an error without a text"
	}
	return strings.ToValidUTF8(string(g.blocks.bytes[b.at:b.at+min(b.size, abi.MaxFailure)]), "\uFFFD")
}

// endCall forgets the call's blocks, but keeps a little memory for later ones, and
// forgets the variables if the guest forgets everything, too.
func (g *extism) endCall(in *instance) {
	g.blocks.empty(in, keepBuffer)
	g.input, g.output, g.message, g.status, g.headers = memoryBlock{}, memoryBlock{}, 0, 0, nil
	if in.plugin.isolation != isolationShared {
		clear(g.variables)
		g.varSize = 0
	}
}

// authorize calls the function with AWS's event of a REQUEST authorizer.
func (extismABI) authorize(in *instance) (decision int32, err error) {
	in.event = append(in.event[:0], `{"type":"REQUEST","methodArn":`...)
	in.event = document.AppendString(in.event, in.methodARN())
	in.event = append(in.event, ',')
	rest, content := len(in.event), in.ex.In.Content
	in.ex.In.Content = nil // authorizers get none
	in.event = event.AppendRequest(in.event, in.ex)
	in.ex.In.Content = content
	in.event = append(in.event[:rest], in.event[rest+1:]...) // without its brace
	answer, err := in.callExtism(in.extism.authorize, in.event)
	if err != nil {
		return 0, err
	}
	d, err := document.Parse(answer)
	if err != nil {
		return 0, &failure{"answer", err}
	}
	return in.decided(d, d.Root())
}

// integrate calls the function with AWS's proxy event, or with the content alone.
func (extismABI) integrate(in *instance) error {
	if in.plugin.payload == payloadBody {
		output, err := in.callExtism(in.extism.integrate, in.ex.In.Content)
		if err != nil {
			return err
		}
		in.setStatus(200)
		in.setField(responseSide, "Content-Type", kindOf(output))
		if in.writeContent(responseSide, output) != abi.OK {
			return &failure{"answer", errAnswerSize}
		}
		return nil
	}
	in.renderEvent()
	output, err := in.callExtism(in.extism.integrate, in.event)
	if err != nil {
		return err
	}
	if in.writeResult(output) != abi.OK {
		return &failure{"answer", errAnswerSize}
	}
	return nil
}

// kindOf is the media type of content of which nothing is known.
func kindOf(content []byte) string {
	switch {
	case json.Valid(content):
		return "application/json"
	case utf8.Valid(content):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// memoryBlock is a piece of memory that a guest has allocated.
type memoryBlock struct {
	at, size uint64
	free     bool
}

// blockMemory are the blocks of one call, in one array: their addresses are
// positions in it. Address 0 is none. Guests' accesses are checked against the
// array only, as those to their own memory are.
type blockMemory struct {
	bytes  []byte
	blocks []memoryBlock // by address
	freed  int           // of blocks; they may be given out again
}

const (
	// maxBlocks is how many bytes a call's blocks may take together.
	maxBlocks = 64 << 20
	// blockAlign is what addresses of blocks are multiples of.
	blockAlign = 16
	// blockLook is how many of the latest blocks are looked through for a free one.
	blockLook = 16
)

var (
	errBlocks = fmt.Errorf("the blocks of the call take more than %d bytes", maxBlocks)
	errBlock  = errors.New("there is no such block")
)

// allocate returns the address of size new bytes, all zero.
func (m *blockMemory) allocate(in *instance, size uint64) (at uint64, err error) {
	if size == 0 {
		return 0, nil
	}
	for i := len(m.blocks) - 1; m.freed > 0 && i >= max(0, len(m.blocks)-blockLook); i-- {
		if b := &m.blocks[i]; b.free && b.size == size {
			b.free = false
			m.freed--
			clear(m.bytes[b.at : b.at+b.size])
			return b.at, nil
		}
	}
	at = max(blockAlign, (uint64(len(m.bytes))+blockAlign-1)&^(blockAlign-1))
	if size > maxBlocks || at+size > maxBlocks {
		return 0, errBlocks
	}
	if err := m.grow(in, at+size); err != nil {
		return 0, err
	}
	m.blocks = append(m.blocks, memoryBlock{at: at, size: size})
	return at, nil
}

// grow makes the array end bytes long.
func (m *blockMemory) grow(in *instance, end uint64) error {
	if end > uint64(cap(m.bytes)) {
		bigger := max(2*uint64(cap(m.bytes)), end, 4096)
		if p := in.plugin; !p.host.budget.take(p.counters, int64(bigger)-int64(cap(m.bytes))) {
			return errBudget
		}
		m.bytes = append(make([]byte, 0, bigger), m.bytes...)
	}
	was := len(m.bytes)
	m.bytes = m.bytes[:end]
	clear(m.bytes[was:])
	return nil
}

// empty forgets all blocks, and the array if it is larger than keep.
func (m *blockMemory) empty(in *instance, keep int) {
	m.bytes, m.blocks, m.freed = m.bytes[:0], m.blocks[:0], 0
	if cap(m.bytes) > keep {
		in.plugin.host.budget.force(in.plugin.counters, -int64(cap(m.bytes)))
		m.bytes, m.blocks = nil, nil
	}
}

// find returns the block at address at; nil if there is none.
func (m *blockMemory) find(at uint64) *memoryBlock {
	low, high := 0, len(m.blocks)
	for low < high {
		middle := (low + high) / 2
		switch order := cmp.Compare(m.blocks[middle].at, at); {
		case order == 0:
			if m.blocks[middle].free {
				return nil
			}
			return &m.blocks[middle]
		case order < 0:
			low = middle + 1
		default:
			high = middle
		}
	}
	return nil
}

// release gives a block back. Go SDK: an address that is none is no mistake.
func (m *blockMemory) release(at uint64) {
	b := m.find(at)
	if b == nil {
		return
	}
	b.free = true
	m.freed++
	for n := len(m.blocks); n > 0 && m.blocks[n-1].free; n = len(m.blocks) {
		m.bytes, m.blocks = m.bytes[:m.blocks[n-1].at], m.blocks[:n-1]
		m.freed--
	}
}

// slice returns n bytes at address at, if they are there.
func (m *blockMemory) slice(at, n uint64) ([]byte, bool) {
	end := at + n
	if end < at || end > uint64(len(m.bytes)) {
		return nil, n == 0
	}
	return m.bytes[at:end], true
}

// view is slice for host functions: if they aren't there, the call ends.
func (m *blockMemory) view(at, n uint64) []byte {
	b, ok := m.slice(at, n)
	if !ok {
		panic(errPointer)
	}
	return b
}

// at returns the content of the block at an address, or ends the call.
func (m *blockMemory) at(address uint64) []byte {
	b := m.find(address)
	if b == nil {
		panic(errBlock)
	}
	return m.bytes[b.at : b.at+b.size]
}

package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/sdk/abi"
)

// opaABI is that of policies in Rego, compiled by `opa build -t wasm`. ABI.md says
// what they get and may answer.
// Source: openpolicyagent.org, "WebAssembly".
type opaABI struct{}

// opaGuest is what an instance of a policy has of its own.
type opaGuest struct {
	malloc, heapSet, jsonDump, valueParse, eval api.Function

	entrypoint uint64
	facts      uint64 // address of what the policy knows as data
	heap       uint64 // where its memory is free, behind that
	builtins   map[uint64]opaBuiltin

	now       int64     // time.now_ns of this evaluation; 0 before it was asked for
	arguments [7]uint64 // of opa_eval
	nested    [2]uint64 // of what a builtin calls
	pairs     []textPair
}

// opaExports are the functions that the host calls, and their signatures.
func opaExports() map[string]string {
	return map[string]string{
		"opa_malloc": "i:i", "opa_heap_ptr_get": ":i", "opa_heap_ptr_set": "i:", "opa_json_dump": "i:i", "opa_value_parse": "ii:i",
		"opa_eval": "iiiiiii:i", "builtins": ":i", "entrypoints": ":i",
	}
}

const (
	opaMajor    = 1
	opaMinor    = 2       // the first with opa_eval
	opaAlign    = 16      // of addresses in a policy's memory
	maxOPAInput = 1 << 20 // bytes of the input document
)

func (opaABI) name() string { return "opa" }

func (opaABI) fresh() bool { return false }

// shares: an evaluation begins with the same memory as the one before anyway.
func (opaABI) shares() {}

func (opaABI) speaks(m *module) error {
	if m.exports["opa_eval_ctx_new"] != nil || m.exports["opa_eval"] != nil {
		return nil
	}
	return refuse("compile the policy by `opa build -t wasm -e PACKAGE/RULE`, and take policy.wasm out of the bundle",
		"the module doesn't export opa_eval, so it isn't a policy of OPA")
}

func (opaABI) check(m *module) error {
	if m.exports["opa_eval"] == nil {
		return refuse("compile the policy with a current opa", "the policy's ABI is older than %d.%d", opaMajor, opaMinor)
	}
	for name, want := range opaExports() {
		if err := m.mustExport(name, want); err != nil {
			return err
		}
	}
	return nil
}

// opaOptions are the keys in a policy's config.
type opaOptions struct {
	Entrypoint string          `json:"entrypoint"`
	Data       json.RawMessage `json:"data"`
}

func (opaABI) checkOptions(o config.Plugin) (option string, err error) {
	if len(o.Env) > 0 {
		return "env", refuse("leave it out, or put what the policy needs into config.data", "a policy has no environment variables")
	}
	for _, key := range slices.Sorted(maps.Keys(o.Config)) {
		value := o.Config[key]
		switch key {
		case "entrypoint":
			if _, ok := value.(string); !ok {
				return "config", &config.KeyError{Path: []string{key}, Text: "it isn't text", Hint: `name a rule, such as "authz/allow"`}
			}
		case "data":
			if _, ok := value.(map[string]any); !ok {
				return "config", &config.KeyError{Path: []string{key}, Text: "it isn't a table", Hint: "the policy knows it as data"}
			}
		default:
			return "config", &config.KeyError{Path: []string{key}, Text: fmt.Sprintf("there is no key %q for a policy", key),
				Hint: "what the policy is to know as data stands in config.data; the rule that decides is config.entrypoint"}
		}
	}
	return "", nil
}

// start finds the entrypoint and the builtins, and has the policy read its data.
// The module's own start function has run by then.
func (opaABI) start(in *instance) error {
	if err := checkOPAVersion(in.module); err != nil {
		return err
	}
	var options opaOptions
	if err := json.Unmarshal([]byte(in.plugin.config), &options); err != nil {
		return err
	}
	f := in.module.ExportedFunction
	g := &opaGuest{
		malloc: f("opa_malloc"), heapSet: f("opa_heap_ptr_set"), jsonDump: f("opa_json_dump"),
		valueParse: f("opa_value_parse"), eval: f("opa_eval"),
	}
	in.opa = g
	if _, err := in.callOPA(g.malloc, 0); err != nil { // makes the heap
		return err
	}
	heap, err := in.callOPA(f("opa_heap_ptr_get"))
	if err != nil {
		return err
	}
	if g.builtins, err = in.linkOPA(f("builtins")); err != nil {
		return err
	}
	if g.entrypoint, err = in.chooseEntrypoint(f("entrypoints"), options.Entrypoint); err != nil {
		return err
	}
	if _, err := in.callOPA(g.heapSet, heap); err != nil { // forget these lists
		return err
	}
	if options.Data == nil {
		options.Data = json.RawMessage("{}")
	}
	if g.facts, err = in.parseOPA(options.Data); err != nil {
		return err
	}
	g.heap, err = in.callOPA(f("opa_heap_ptr_get"))
	g.heap = aligned(g.heap)
	return err
}

func aligned(at uint64) uint64 { return (at + opaAlign - 1) &^ (opaAlign - 1) }

func checkOPAVersion(m api.Module) error {
	major, minor := m.ExportedGlobal("opa_wasm_abi_version"), m.ExportedGlobal("opa_wasm_abi_minor_version")
	if major == nil || minor == nil {
		return refuse("", "the policy doesn't export the version of its ABI")
	}
	if uint32(major.Get()) != opaMajor || uint32(minor.Get()) < opaMinor {
		return refuse("compile the policy with an opa of version 0.35 or later", "the policy's ABI is %d.%d; this host has %d.%d and later ones of %[3]d",
			uint32(major.Get()), uint32(minor.Get()), opaMajor, opaMinor)
	}
	return nil
}

// callOPA calls an export of the policy with i32s.
func (in *instance) callOPA(f api.Function, arguments ...uint64) (uint64, error) {
	g := in.opa
	g.nested[0] = 0
	copy(g.nested[:], arguments)
	in.calls++
	if err := f.CallWithStack(in, g.nested[:]); err != nil {
		return 0, in.judge(err)
	}
	return uint64(uint32(g.nested[0])), nil
}

// textAt returns the text at an address that ends before a zero, as a view.
func (in *instance) textAt(at uint64) ([]byte, error) {
	size := in.memory.Size()
	b, _ := in.memory.Read(uint32(at), size-min(uint32(at), size))
	end := bytes.IndexByte(b, 0)
	if end < 0 {
		return nil, &failure{"answer", errPointer}
	}
	return b[:end], nil
}

// write copies text to an address, where the policy has or gets room for it.
func (in *instance) write(at uint64, text []byte) error {
	if !in.memory.Write(uint32(at), text) {
		return &failure{"answer", errPointer}
	}
	return nil
}

// dumpOPA returns a value of the policy as JSON, as a view.
func (in *instance) dumpOPA(value uint64) ([]byte, error) {
	at, err := in.callOPA(in.opa.jsonDump, value)
	if err != nil {
		return nil, err
	}
	return in.textAt(at)
}

// parseOPA makes a value of the policy of JSON, or of what Rego has besides.
func (in *instance) parseOPA(text []byte) (value uint64, err error) {
	at, err := in.callOPA(in.opa.malloc, uint64(len(text)))
	if err != nil {
		return 0, err
	}
	if err := in.write(at, text); err != nil {
		return 0, err
	}
	value, err = in.callOPA(in.opa.valueParse, at, uint64(len(text)))
	if err == nil && value == 0 {
		err = &failure{"answer", errors.New("the policy can't read the data that it was given")}
	}
	return value, err
}

// numbersOPA calls an export that returns an object of numbers.
func (in *instance) numbersOPA(f api.Function) (map[string]uint64, error) {
	at, err := in.callOPA(f)
	if err != nil {
		return nil, err
	}
	text, err := in.dumpOPA(at)
	if err != nil {
		return nil, err
	}
	var numbers map[string]uint64
	return numbers, json.Unmarshal(text, &numbers)
}

// chooseEntrypoint returns the number of the rule called name; there has to be
// only one if that is "".
func (in *instance) chooseEntrypoint(f api.Function, name string) (uint64, error) {
	numbers, err := in.numbersOPA(f)
	if err != nil {
		return 0, err
	}
	names := slices.Sorted(maps.Keys(numbers))
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	number, ok := numbers[name]
	if !ok {
		text := fmt.Sprintf("the policy has no entrypoint %q", name)
		if name == "" {
			text = "the policy has several entrypoints"
		}
		return 0, refuse(fmt.Sprintf("set config.entrypoint to one of: %s", strings.Join(names, ", ")), "%s", text)
	}
	return number, nil
}

func (opaABI) greet(*instance) (roles uint32, err error) { return abi.RoleAuthorize, nil }

// authorize evaluates the entrypoint with the request's facts as input.
func (opaABI) authorize(in *instance) (decision int32, err error) {
	g := in.opa
	in.event = in.appendOPAInput(in.event[:0])
	input := in.event
	if len(input) > maxOPAInput {
		return 0, &failure{"answer", fmt.Errorf("the request's facts take more than %d bytes", maxOPAInput)}
	}
	at := g.heap
	if at+uint64(len(input)) > uint64(in.memory.Size()) {
		// Only the policy itself may ask for more memory, by its own accounts.
		if _, err := in.callOPA(g.heapSet, g.heap); err != nil {
			return 0, err
		}
		if at, err = in.callOPA(g.malloc, uint64(len(input))); err != nil {
			return 0, err
		}
	}
	if err := in.write(at, input); err != nil {
		return 0, err
	}
	g.now = 0
	free := aligned(at + uint64(len(input)))
	g.arguments = [...]uint64{0, g.entrypoint, g.facts, at, uint64(len(input)), free, 0}
	in.calls++
	if err := g.eval.CallWithStack(in, g.arguments[:]); err != nil {
		return 0, in.judge(err)
	}
	result, err := in.textAt(uint64(uint32(g.arguments[0])))
	if err != nil {
		return 0, err
	}
	return in.decide(result)
}

// decide reads what an entrypoint has come to: a list of one object with its
// value, or an empty one when it is undefined.
func (in *instance) decide(result []byte) (decision int32, err error) {
	switch string(result) {
	case `[{"result":true}]`:
		return abi.Allow, nil
	case `[{"result":false}]`, "[]":
		return abi.Deny, nil
	}
	d, err := document.Parse(result)
	if err != nil {
		return 0, &failure{"answer", err}
	}
	value, err := d.Find("$[0].result")
	if err != nil {
		return 0, &failure{"answer", err}
	}
	return in.decided(d, value)
}

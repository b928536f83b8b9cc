package plugins

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tetratelabs/wazero/api"
	"go.uber.org/zap/zapcore"

	"github.com/postern-gateway/postern/plugins/outbound"
)

// maxVariables is how much an instance keeps for its guest from call to call, in
// bytes of names and values. Go SDK: 1 MiB.
const maxVariables = 1 << 20

// provides lists the functions of Extism's kernel and host.
func (extismABI) provides() []hostModule {
	functions := append(blockFunctions(), []hostFunc{
		{"config_get", "I", "I", 0, func(in *instance, s []uint64) {
			value, found := in.extism.config[string(in.extism.blocks.at(s[0]))]
			s[0] = 0
			if found {
				s[0] = in.newBlock([]byte(value))
			}
		}},
		{"var_get", "I", "I", 0, (*instance).getVariable},
		{"var_set", "II", "", 0, (*instance).setVariable},
		{"get_log_level", "", "i", 0, func(in *instance, s []uint64) { s[0] = in.extismLevel() }},
	}...)
	for name, level := range extismLevels() {
		functions = append(functions, hostFunc{"log_" + name, "I", "", 0, func(in *instance, s []uint64) {
			if text := in.extism.blocks.at(s[0]); in.plugin.logger.Core().Enabled(level) {
				in.log(level, text)
			}
			in.extism.blocks.release(s[0])
		}})
	}
	requests := []hostFunc{
		{"http_request", "II", "I", 0, (*instance).extismRequest},
		{"http_status_code", "", "i", 0, func(in *instance, s []uint64) { s[0] = api.EncodeI32(int32(in.extism.status)) }},
		{"http_headers", "", "I", 0, func(in *instance, s []uint64) { s[0] = in.newBlock(in.extism.headers) }},
	}
	return []hostModule{
		{name: extismModule, functions: onceStarted(functions)},
		{name: extismModule, group: groupHTTP, functions: onceStarted(requests)},
	}
}

// errTooEarly is a call from a module's own start section.
var errTooEarly = errors.New("there are no blocks before the module has started")

// onceStarted are functions for the time when an instance has its blocks.
func onceStarted(functions []hostFunc) []hostFunc {
	for i := range functions {
		call := functions[i].call
		functions[i].call = func(in *instance, s []uint64) {
			if in.extism == nil {
				panic(errTooEarly)
			}
			call(in, s)
		}
	}
	return functions
}

// allocateBlock makes a block, or ends the call.
func (in *instance) allocateBlock(size uint64) uint64 {
	at, err := in.extism.blocks.allocate(in, size)
	if err != nil {
		panic(err)
	}
	return at
}

// newBlock makes a block of content, or ends the call.
func (in *instance) newBlock(content []byte) uint64 {
	at := in.allocateBlock(uint64(len(content)))
	copy(in.extism.blocks.bytes[at:], content)
	return at
}

// blockFunctions are those about memory, input and output.
func blockFunctions() []hostFunc {
	return []hostFunc{
		{"alloc", "I", "I", 0, func(in *instance, s []uint64) { s[0] = in.allocateBlock(s[0]) }},
		{"free", "I", "", 0, func(in *instance, s []uint64) { in.extism.blocks.release(s[0]) }},
		{"length", "I", "I", 0, (*instance).blockLength},
		{"length_unsafe", "I", "I", 0, (*instance).blockLength},
		{"load_u8", "I", "i", 0, func(in *instance, s []uint64) { s[0] = uint64(in.extism.blocks.view(s[0], 1)[0]) }},
		{"load_u64", "I", "I", 0, func(in *instance, s []uint64) {
			s[0] = binary.LittleEndian.Uint64(in.extism.blocks.view(s[0], 8))
		}},
		{"store_u8", "Ii", "", 0, func(in *instance, s []uint64) { in.extism.blocks.view(s[0], 1)[0] = byte(s[1]) }},
		{"store_u64", "II", "", 0, func(in *instance, s []uint64) {
			binary.LittleEndian.PutUint64(in.extism.blocks.view(s[0], 8), s[1])
		}},
		{"input_set", "II", "", 0, func(in *instance, s []uint64) { in.extism.input = in.extism.named(s) }},
		{"input_length", "", "I", 0, func(in *instance, s []uint64) { s[0] = in.extism.input.size }},
		{"input_offset", "", "I", 0, func(in *instance, s []uint64) { s[0] = in.extism.input.at }},
		{"input_load_u8", "I", "i", 0, func(in *instance, s []uint64) {
			at := s[0]
			if s[0] = 0; at < in.extism.input.size {
				s[0] = uint64(in.extism.blocks.view(in.extism.input.at+at, 1)[0])
			}
		}},
		{"input_load_u64", "I", "I", 0, func(in *instance, s []uint64) {
			at := s[0]
			if s[0] = 0; at <= in.extism.input.size && in.extism.input.size-at >= 8 {
				s[0] = binary.LittleEndian.Uint64(in.extism.blocks.view(in.extism.input.at+at, 8))
			}
		}},
		{"output_set", "II", "", 0, func(in *instance, s []uint64) { in.extism.output = in.extism.named(s) }},
		{"output_length", "", "I", 0, func(in *instance, s []uint64) { s[0] = in.extism.output.size }},
		{"output_offset", "", "I", 0, func(in *instance, s []uint64) { s[0] = in.extism.output.at }},
		{"error_set", "I", "", 0, func(in *instance, s []uint64) {
			if in.extism.message = s[0]; s[0] != 0 {
				in.extism.blocks.at(s[0]) // there has to be one
			}
		}},
		{"error_get", "", "I", 0, func(in *instance, s []uint64) { s[0] = in.extism.message }},
		{"memory_bytes", "", "I", 0, func(in *instance, s []uint64) { s[0] = uint64(len(in.extism.blocks.bytes)) }},
		{"reset", "", "", 0, func(in *instance, s []uint64) {
			g := in.extism
			g.blocks.empty(in, keepBuffer)
			g.input, g.output, g.message = memoryBlock{}, memoryBlock{}, 0
		}},
	}
}

// named returns the range of memory that a guest names as input or output.
func (g *extism) named(s []uint64) memoryBlock {
	g.blocks.view(s[0], s[1])
	return memoryBlock{at: s[0], size: s[1]}
}

// blockLength is 0 where there is no block.
func (in *instance) blockLength(s []uint64) {
	b := in.extism.blocks.find(s[0])
	if s[0] = 0; b != nil {
		s[0] = b.size
	}
}

func (in *instance) getVariable(s []uint64) {
	g := in.extism
	value, found := g.variables[string(g.blocks.at(s[0]))]
	g.blocks.release(s[0])
	s[0] = 0
	if found {
		s[0] = in.newBlock(value)
	}
}

// setVariable sets a variable, or removes it when there is no value.
func (in *instance) setVariable(s []uint64) {
	g := in.extism
	name := string(g.blocks.at(s[0]))
	g.blocks.release(s[0])
	size := g.varSize
	if old, found := g.variables[name]; found {
		size -= len(name) + len(old)
	}
	if s[1] == 0 {
		delete(g.variables, name)
		g.varSize = size
		return
	}
	value := g.blocks.at(s[1])
	if size += len(name) + len(value); size > maxVariables {
		panic(fmt.Errorf("the variables take more than %d bytes", maxVariables))
	}
	g.variables[name], g.varSize = append([]byte(nil), value...), size
	g.blocks.release(s[1])
}

// extismLevels are the levels of log lines by their names.
func extismLevels() map[string]zapcore.Level {
	return map[string]zapcore.Level{
		"trace": zapcore.DebugLevel, "debug": zapcore.DebugLevel, "info": zapcore.InfoLevel, "warn": zapcore.WarnLevel, "error": zapcore.ErrorLevel,
	}
}

// extismLevel is the lowest level that is written: 0 trace, 1 debug, 2 info, 3
// warn, 4 error.
func (in *instance) extismLevel() uint64 {
	core := in.plugin.logger.Core()
	for level := zapcore.DebugLevel; level < zapcore.ErrorLevel; level++ {
		if core.Enabled(level) {
			if level == zapcore.DebugLevel {
				return 0
			}
			return uint64(level - zapcore.DebugLevel + 1)
		}
	}
	return 4
}

// extismRequest sends a request that a block describes in JSON, with the content of
// another, and waits for the answer. What goes wrong ends the call. Go SDK.
func (in *instance) extismRequest(s []uint64) {
	g := in.extism
	var wanted struct {
		URL     string            `json:"url"`
		Method  string            `json:"method"`
		Headers map[string]string `json:"headers"`
	}
	text := g.blocks.at(s[0])
	if err := json.Unmarshal(text, &wanted); err != nil {
		panic(fmt.Errorf("http_request: %w", err))
	}
	r := outbound.Request{Method: strings.ToUpper(wanted.Method), URL: wanted.URL}
	if r.Method == "" {
		r.Method = "GET"
	}
	for name, value := range wanted.Headers {
		if strings.ContainsAny(name+value, "\r\n") {
			panic(errors.New("http_request: a header of several lines"))
		}
		r.Header += name + ": " + value + "\n"
	}
	if s[1] != 0 {
		r.Content = g.blocks.at(s[1])
	}
	if !in.charge(workPerSend + len(text)*workPerByte + len(r.Content)/16*workPer16Bytes) {
		panic(errors.New("http_request: the call has had too much work done"))
	}
	content, err := in.fetchExtism(&r)
	if err != nil {
		in.httpCode("http_request", err) // tells the operator what to allow
		panic(fmt.Errorf("http_request: %w", err))
	}
	g.blocks.release(s[0])
	if s[1] != 0 {
		g.blocks.release(s[1])
	}
	s[0] = in.newBlock(content)
}

func (in *instance) fetchExtism(r *outbound.Request) (content []byte, err error) {
	g := in.extism
	g.status, g.headers = 0, nil
	if in.requests == nil {
		in.requests = in.plugin.grants.http.Begin(in.asker())
	}
	reply, err := in.requests.Send(r)
	if err != nil {
		return nil, err
	}
	err = in.whileWaiting(func() (err error) {
		if err = reply.Wait(); err == nil {
			content, err = io.ReadAll(reply)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	g.status = reply.Status()
	headers := map[string]string{}
	for _, f := range reply.Fields() {
		name := strings.ToLower(f.Name)
		if before, found := headers[name]; found {
			headers[name] = before + "," + f.Value
			continue
		}
		headers[name] = f.Value
	}
	g.headers, err = json.Marshal(headers)
	return content, err
}

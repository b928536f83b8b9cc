package plugins

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/plugins/meter"
	"github.com/postern-gateway/postern/sdk/abi"
)

// HostCall is one call of a host function by a guest, for Options.Trace.
type HostCall struct {
	Plugin   string      `json:"plugin"`
	Phase    string      `json:"phase"`    // "start", or a role's name
	Function string      `json:"function"` // "postern_v1.map_get"
	Args     []HostValue `json:"args,omitempty"`
	Result   string      `json:"result"` // number, the name of a negative code, "trap: …" or "the guest exited"
	// Got is what the host wrote into the guest's buffers.
	Got  []HostValue   `json:"got,omitempty"`
	Took time.Duration `json:"took_ns"`
}

// HostValue is an argument or what became of a buffer, as text: numbers that
// name something by that name, bytes that aren't text in hex, both cut.
type HostValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// traceText is how much of a text a trace shows, in bytes.
const traceText = 200

// tracer wraps host functions, for Options.Trace and for exchanges that are traced.
// The calls of others go past it.
type tracer struct {
	tell  func(HostCall)          // nil: only the exchange's trace is told
	known map[string]abi.Function // by module and name
	names map[byte]map[int32]string
}

func newTracer(tell func(HostCall)) *tracer {
	t := &tracer{tell, map[string]abi.Function{}, map[byte]map[int32]string{}}
	for _, f := range abi.Functions() {
		t.known[f.Module+"."+f.Name] = f
	}
	for kind, parts := range map[byte][]abi.Part{'f': abi.FieldParts(), 'm': abi.MapParts(), 'y': abi.BodyParts()} {
		t.names[kind] = map[int32]string{}
		for _, p := range parts {
			t.names[kind][p.Number] = p.Name
		}
	}
	return t
}

// wrap returns f with each of its calls told.
func (t *tracer) wrap(module string, f hostFunc) hostFunc {
	if module == meter.Module {
		return f
	}
	inner := f
	f.phases = 0
	known, named := t.known[module+"."+f.name]
	f.call = func(in *instance, stack []uint64) {
		c := HostCall{Plugin: in.plugin.name, Phase: phaseName(in.phase), Function: module + "." + inner.name}
		args := append([]uint64(nil), stack[:len(inner.params)]...)
		if named {
			c.Args = t.arguments(in, &known, args)
		} else {
			c.Args = numbers(in, module, inner.params, args)
		}
		began := time.Now()
		defer func() {
			c.Took = time.Since(began)
			if r := recover(); r != nil {
				if c.Result = fmt.Sprintf("trap: %v", r); r == any(errExit) {
					c.Result = errExit.Error() // which a command may do
				}
				t.told(in, &c)
				panic(r)
			}
			if len(inner.results) > 0 {
				c.Result = strconv.FormatInt(signed(inner.results, stack[0]), 10)
			}
			if named {
				c.Result += codeName(signed(inner.results, stack[0]))
				c.Got = written(in, &known, args, stack[0])
			}
			t.told(in, &c)
		}()
		if inner.phases != 0 && inner.phases&in.phase == 0 {
			stack[0] = refusal(inner.results)
			return
		}
		inner.call(in, stack)
	}
	return f
}

// told tells of a call who wants to know.
func (t *tracer) told(in *instance, c *HostCall) {
	if t.tell != nil {
		t.tell(*c)
		return
	}
	if in.ex == nil || in.ex.Explain == nil { // the call has ended it
		return
	}
	if strings.HasSuffix(c.Function, ".config_read") {
		c.Got = nil // it is as secret as in the masked configuration
	}
	in.ex.Explain.Note("host call", c.String(), c.Took.String())
}

func phaseName(p abi.Phase) string {
	for _, r := range abi.Roles() {
		if r.Phase == p {
			return r.Name
		}
	}
	return "start"
}

// arguments shows what the guest passed, by the ABI's table.
func (t *tracer) arguments(in *instance, f *abi.Function, args []uint64) []HostValue {
	var all []HostValue
	for _, a := range f.Arguments() {
		v := HostValue{Name: a.Name}
		switch a.Kind {
		case 'I':
			v.Value, args = strconv.FormatInt(int64(args[0]), 10), args[1:]
		case 't', 'd':
			v.Value, args = peek(in, args[0], args[1]), args[2:]
		case 'b':
			v.Value, args = fmt.Sprintf("%d bytes at %#x", args[1], args[0]), args[2:]
		default:
			number := int32(args[0])
			v.Value, args = strconv.Itoa(int(number)), args[1:]
			if name := t.names[a.Kind][number]; name != "" {
				v.Value = name
			}
		}
		all = append(all, v)
	}
	return all
}

// numbers shows the arguments of a function of another ABI than ours. Two that
// can be the address and length of a text are shown as one; WASI passes none.
func numbers(in *instance, module, params string, args []uint64) []HostValue {
	var all []HostValue
	for i := 0; i < len(args); i++ {
		v := HostValue{Value: strconv.FormatInt(int64(args[i]), 10)}
		if params[i] == 'i' {
			v.Value = strconv.Itoa(int(int32(args[i])))
		}
		if !strings.HasPrefix(module, "wasi_") && strings.HasPrefix(params[i:], "ii") {
			if text, ok := textAt(in, args[i], args[i+1]); ok {
				v.Value = text
				i++
			}
		}
		all = append(all, v)
	}
	return all
}

// textAt shows n bytes at address at if they look like a text. No compiler puts
// one into the first KiB.
func textAt(in *instance, at, n uint64) (string, bool) {
	if at < 1<<10 || n == 0 || n > 64<<10 {
		return "", false
	}
	b, ok := in.memory.Read(uint32(at), uint32(n))
	if !ok || !utf8.Valid(b) || bytes.ContainsFunc(b, func(r rune) bool { return !unicode.IsPrint(r) && !unicode.IsSpace(r) }) {
		return "", false
	}
	return peek(in, at, n), true
}

// written shows what the host put into the buffers of a call with this result.
func written(in *instance, f *abi.Function, args []uint64, got uint64) []HostValue {
	lengths := []uint64{got & (1<<32 - 1)}
	switch {
	case f.Result == 'I' && int64(got) < 0, f.Result == 'i' && int32(got) < 0:
		return nil
	case f.Result == 'I':
		lengths = []uint64{got >> 32, got & (1<<32 - 1)}
	}
	var all []HostValue
	for _, a := range f.Arguments() {
		switch a.Kind {
		case 't', 'd':
			args = args[2:]
		case 'b':
			at, size := args[0], args[1]
			args = args[2:]
			if f.Gives == "0" {
				lengths = []uint64{size} // it fills the buffer
			}
			if len(lengths) == 0 {
				continue
			}
			n := lengths[0]
			lengths = lengths[1:]
			v := HostValue{a.Name, peek(in, at, n)}
			if n > size {
				v.Value = "nothing: too small"
			}
			all = append(all, v)
		default:
			args = args[1:]
		}
	}
	return all
}

// peek shows n bytes of the guest's memory at address at.
func peek(in *instance, at, n uint64) string {
	if at > 1<<32-1 || n > 1<<32-1 {
		return "outside of the memory"
	}
	b, ok := in.memory.Read(uint32(at), uint32(n))
	if !ok {
		return fmt.Sprintf("%d bytes at %#x: outside of the memory", n, at)
	}
	more := ""
	if len(b) > traceText {
		more = fmt.Sprintf("… (%d bytes)", len(b))
		b = b[:traceText]
		for len(b) > 0 && !utf8.Valid(b) && traceText-len(b) < utf8.UTFMax {
			b = b[:len(b)-1] // the cut may be within a character
		}
	}
	if utf8.Valid(b) {
		return strconv.Quote(string(b)) + more
	}
	return fmt.Sprintf("%x", b) + more
}

func signed(letter string, got uint64) int64 {
	if letter == "i" {
		return int64(api.DecodeI32(got))
	}
	return int64(got)
}

// codeName is what a negative result of the native ABI means.
func codeName(code int64) string {
	switch code {
	case abi.NotFound:
		return " not found"
	case abi.Denied:
		return " denied"
	case abi.WrongPhase:
		return " wrong phase"
	case abi.BadArgument:
		return " bad argument"
	case abi.Limit:
		return " limit"
	case abi.Unavailable:
		return " unavailable"
	case abi.Deadline:
		return " deadline"
	}
	return ""
}

// String is the call in one line, as a programmer would write it.
func (c *HostCall) String() string {
	var b strings.Builder
	b.WriteString(c.Function + "(")
	for i, a := range c.Args {
		if i > 0 {
			b.WriteString(", ")
		}
		if a.Name != "" {
			b.WriteString(a.Name + "=")
		}
		b.WriteString(a.Value)
	}
	b.WriteString(")")
	if c.Result != "" {
		b.WriteString(" → " + c.Result)
	}
	for _, g := range c.Got {
		b.WriteString("  " + g.Name + "=" + g.Value)
	}
	return b.String()
}

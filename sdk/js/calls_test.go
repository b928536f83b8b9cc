package js_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/sdk/abi"
)

var update = flag.Bool("update", false, "rewrite calls.h")

// calls.h is what glue.c knows of the host's functions: nobody writes it by hand.
func TestCallsAreCurrent(t *testing.T) {
	want := calls()
	if *update {
		if err := os.WriteFile("glue/calls.h", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("glue/calls.h")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("calls.h is stale: go test ./sdk/js -update")
	}
}

// calls writes an entry of the table and a case for each function. Groups stand
// in #if, so that a plugin imports only what its handler asks for.
func calls() []byte {
	var table, cases bytes.Buffer
	for i, f := range abi.Functions() {
		group := strings.TrimPrefix(strings.TrimPrefix(f.Module, abi.Module), "_")
		name := strings.TrimPrefix(group+"_"+f.Name, "_")
		switch {
		case f.Name == "body_len" || f.Name == "body_read":
			group = "read"
		case strings.HasPrefix(f.Name, "body_"):
			group = "write"
		case strings.HasPrefix(f.Name, "chunk_"):
			group = "chunk" // nobody's yet: a script sees content whole
		case f.Name == "event_read" || f.Name == "result_write":
			group = "event"
		case group == "":
			group = "core"
		}
		var args []string
		signature, buffers := "", 0
		for at, a := range f.Arguments() {
			switch a.Kind {
			case 'I':
				args = append(args, fmt.Sprintf("a[%d].number", at))
				signature += "I"
			case 't', 'd':
				args = append(args, fmt.Sprintf("a[%d].at", at), fmt.Sprintf("a[%d].length", at))
				signature += "t"
			case 'b':
				args = append(args, fmt.Sprintf("buffer[%d].at", buffers), fmt.Sprintf("buffer[%d].size", buffers))
				signature += bufferKind(f.Gives)
				buffers++
			default:
				args = append(args, fmt.Sprintf("(int32_t)a[%d].number", at))
				signature += "i"
			}
		}
		if strings.ContainsAny(signature, "cr") { // its last argument

			args[len(args)-1] = fmt.Sprintf("(size_t)a[%d].number", len(signature)-1)
		}
		guard := "WITH_" + strings.ToUpper(group)
		fmt.Fprintf(&table, "#if %s\nENTRY(%d, %q, %q)\n#endif\n", guard, i, name, signature)
		fmt.Fprintf(&cases, "#if %s\ncase %d: return postern_%s(%s);\n#endif\n", guard, i, name, strings.Join(args, ", "))
	}
	var all bytes.Buffer
	all.WriteString("// Made from package sdk/abi: go test ./sdk/js -update. Don't edit.\n")
	fmt.Fprintf(&all, "\n#if defined ENTRY\n%s#endif\n", table.Bytes())
	fmt.Fprintf(&all, "\n#if defined CASES\n%s#endif\n", cases.Bytes())
	return all.Bytes()
}

// bufferKind tells what fills a buffer: b, the result is the length that's
// needed; c, the next bytes of as many as there are; r, all of it.
func bufferKind(gives string) string {
	switch {
	case strings.HasPrefix(gives, "bytes read"):
		return "c"
	case gives == "0":
		return "r"
	}
	return "b"
}

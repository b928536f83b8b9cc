package plugins

import (
	"fmt"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/sdk/abi"
)

func TestExamine(t *testing.T) {
	h := newHost(t, Options{})
	examine := func(module string) *Anatomy {
		t.Helper()
		a, findings := h.Examine(t.Context(), parse(t, pluginTOML(module)), "p")
		if findings.Failed() {
			t.Fatal(findings.Text())
		}
		return a
	}
	a := examine(write(t, string(smallest(t, `{"name":"guard","version":"1"}`))))
	if a.ABI != "native" || fmt.Sprint(a.Roles) != "[authorize]" || a.Memory != (Memory{Minimum: pageSize}) || a.Refusal != "" ||
		a.Manifest.Name != "guard" || fmt.Sprint(a.Exports) != "[postern_abi postern_authorize]" {
		t.Errorf("got %+v", a)
	}
	native := map[string]int32{abi.ExportVersion: abi.Version, abi.ExportRequest: abi.Continue}
	a = examine(wasmFile(t, []string{"postern_v1_crypto.equal:iiii:i", "postern_v1_crypto.equal:iiii:i", "postern_v1.time::I", "env.x::i"}, native))
	want := []Import{{"env", "x", "", false}, {"postern_v1", "time", "", true}, {"postern_v1_crypto", "equal", "crypto", true}}
	if fmt.Sprint(a.Imports) != fmt.Sprint(want) || fmt.Sprint(a.Groups) != "[crypto]" {
		t.Errorf("imports %v of the groups %v, want %v", a.Imports, a.Groups, want)
	}
	if !strings.Contains(a.Refusal, "isn't provided: env.x") || fmt.Sprint(a.Roles) != "[request]" {
		t.Errorf("it can't be loaded because of %q, and has the roles %v", a.Refusal, a.Roles)
	}
	// One that isn't granted what it needs is asked for its roles all the same.
	several := map[string]int32{abi.ExportVersion: abi.Version, abi.ExportRequest: 1, abi.ExportResponse: 1, abi.ExportRoles: abi.RoleResponse}
	a = examine(wasmFile(t, []string{"postern_v1_kv.delete:ii:i", "postern_v1_http.wait:i:i", "postern_v1_metric.set:iI:i"}, several))
	if !strings.Contains(a.Refusal, "isn't granted: kv, http, metric") || fmt.Sprint(a.Roles) != "[response]" {
		t.Errorf("it can't be loaded because of %q, and has the roles %v", a.Refusal, a.Roles)
	}
	// What isn't a module has no anatomy.
	if _, findings := h.Examine(t.Context(), parse(t, pluginTOML(write(t, "(module)"))), "p"); !findings.Failed() {
		t.Error("text was taken for a module")
	}
	// Nothing stays of what was examined.
	if s := stats(t, h); s.Instances != 0 {
		t.Errorf("%d instances are left", s.Instances)
	}
}

// A trace shows arguments and buffers as what they mean, and doesn't change what
// the guest sees.
func TestTrace(t *testing.T) {
	var lines []string
	h := newHost(t, Options{Trace: func(c HostCall) { lines = append(lines, c.Phase+" "+c.String()) }})
	code := map[string][]byte{
		// time; map_get(headers, at 0 with 1 byte, a buffer of 64 at 64); principal_set(at 64, 4) which is in the wrong phase at the start
		abi.ExportAuthorize: {0x10, 0, 0x1a, 0x41, 1, 0x41, 0, 0x41, 1, 0x41, 0xc0, 0, 0x41, 0xc0, 0, 0x10, 1, 0x1a, 0x41, 0xc0, 0, 0x41, 4, 0x10, 2, 0x1a, 0x41, 1, 0x0b},
		abi.ExportConfigure: {0x41, 0, 0x41, 0, 0x10, 2, 0x1a, 0x41, 0, 0x0b},
		abi.ExportVersion:   append(append([]byte{0x41}, sleb(abi.Version)...), 0x0b),
	}
	data := append([]byte{11, 7, 1, 0, 0x41, 0, 0x0b, 1}, 'x')
	imports := []string{"postern_v1.time::I", "postern_v1.map_get:iiiii:i", "postern_v1.principal_set:ii:i"}
	g := begin(t, h, pluginTOML(handMade(t, imports, code, data)))
	ex := authorizerRig(t, g).exchange("X", "yes!")
	r := authorizerRig(t, g)
	if _, err := r.steps[0].Run(t.Context(), ex); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(lines, "\n")
	for _, want := range []string{
		`start postern_v1.principal_set(principal="") → -3 wrong phase`,
		`authorize postern_v1.map_get(map=headers, name="x", buffer=64 bytes at 0x40) → 4  buffer="yes!"`,
		`authorize postern_v1.principal_set(principal="yes!") → 0`,
		`authorize postern_v1.time() → `,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if ex.Caller.Principal != "yes!" {
		t.Errorf("the principal is %q", ex.Caller.Principal)
	}
}

// A command that ends by proc_exit hasn't trapped.
func TestTraceOfExit(t *testing.T) {
	var last string
	h := newHost(t, Options{Trace: func(c HostCall) { last = c.String() }})
	r := integrationRig(t, begin(t, h, pluginTOML(guest(t, "command"))))
	if _, err := r.post(""); err != nil {
		t.Fatal(err)
	}
	if want := "wasi_snapshot_preview1.proc_exit(0) → the guest exited"; last != want {
		t.Errorf("the last call is %q, want %q", last, want)
	}
}

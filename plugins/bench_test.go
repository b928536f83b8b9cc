package plugins

import (
	"context"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/sdk/abi"
)

// readsHeader is a hand-made authorizer without a runtime of its own: it reads
// the Authorization header, sets it as the principal, and allows.
func readsHeader(t testing.TB) string {
	t.Helper()
	code := []byte{
		0x41, 1, 0x41, 0x80, 0x20, 0x41, 13, 0x41, 0x80, 0x10, 0x41, 0x80, 0x01, 0x10, 0, 0x1a, // map_get(headers, 4096, 13, 2048, 128)
		0x41, 0x80, 0x10, 0x41, 5, 0x10, 1, 0x1a, // principal_set(2048, 5)
		0x41, abi.Allow, 0x0b,
	}
	return handMade(t, []string{"postern_v1.map_get:iiiii:i", "postern_v1.principal_set:ii:i"},
		map[string][]byte{abi.ExportAuthorize: code, abi.ExportVersion: append(append([]byte{0x41}, sleb(abi.Version)...), 0x0b)},
		append([]byte{11, 19 + 1, 1, 0, 0x41, 0x80, 0x20, 0x0b, 13}, "Authorization"...))
}

// BenchmarkAuthorize is an authorizer's whole step: take, call, two host
// functions, give back.
func BenchmarkAuthorize(b *testing.B) {
	for name, file := range map[string]string{"smallest": readsHeader(b), "go": guest(b, "native")} {
		b.Run(name, func(b *testing.B) {
			r := authorizerRig(b, begin(b, newHost(b, Options{}), pluginTOML(file)), "method.request.header.Authorization")
			ex, ctx := r.exchange("Authorization", "allow"), context.Background()
			step := r.steps[proxy.MethodRequest]
			fields := ex.In.Fields
			in := ex.In
			b.ReportAllocs()
			for b.Loop() {
				ex.Begin(ex.Start, nil)
				ex.Route, ex.In = r.route, in
				ex.In.Fields = fields
				if _, err := step.Run(ctx, ex); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestAuthorizeAllocatesNothing(t *testing.T) {
	for name, file := range map[string]string{"smallest": readsHeader(t), "go": guest(t, "native")} {
		r := authorizerRig(t, begin(t, newHost(t, Options{}), pluginTOML(file, `timeout = "1s"`)), "method.request.header.Authorization")
		ex, ctx := r.exchange("Authorization", "allow"), context.Background()
		in, step := ex.In, r.steps[proxy.MethodRequest]
		run := func() {
			ex.Begin(ex.Start, nil)
			ex.Route, ex.In = r.route, in
			if _, err := step.Run(ctx, ex); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			run()
		}
		if n := testing.AllocsPerRun(500, run); n != 0 {
			t.Errorf("%s: %v allocations a call, want 0", name, n)
		}
		if name == "smallest" && ex.Caller.Principal != "allow" {
			t.Errorf("principal is %q", ex.Caller.Principal)
		}
	}
}

func BenchmarkFunction(b *testing.B) {
	for _, name := range []string{"native", "command"} {
		b.Run(name, func(b *testing.B) {
			r := integrationRig(b, begin(b, newHost(b, Options{}), pluginTOML(guest(b, name))))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.integrate(""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

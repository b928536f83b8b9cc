package plugins

import (
	"context"
	"fmt"
	"slices"
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

// editsHeaders is a hand-made filter: it reads a header of the request and sets
// another one to its value; of the response it sets one.
func editsHeaders(t testing.TB) string {
	t.Helper()
	i32 := func(n int32) []byte { return append([]byte{0x41}, sleb(n)...) }
	call := func(f byte, args ...int32) (code []byte) {
		for _, a := range args {
			code = append(code, i32(a)...)
		}
		return append(code, 0x10, f, 0x1a)
	}
	proceed := append(i32(abi.Continue), 0x0b)
	return handMade(t, []string{"postern_v1.map_get:iiiii:i", "postern_v1.map_set:iiiii:i"},
		map[string][]byte{
			abi.ExportVersion:  append(i32(abi.Version), 0x0b),
			abi.ExportRequest:  slices.Concat(call(0, abi.MapHeaders, 4096, 4, 2048, 128), call(1, abi.MapHeaders, 4100, 5, 2048, 5), proceed),
			abi.ExportResponse: slices.Concat(call(1, abi.MapResponseHeaders, 4100, 5, 4096, 4), proceed),
		},
		append([]byte{11, 15 + 1, 1, 0, 0x41, 0x80, 0x20, 0x0b, 9}, "X-InX-Out"...))
}

// filterRun returns a function that sends one typical exchange through one step
// of a filter.
func filterRun(t testing.TB, file string, phase proxy.Phase, options ...string) (run func(), ex *proxy.Exchange) {
	g := begin(t, newHost(t, Options{}), pluginTOML(file, append(options, `timeout = "5s"`)...))
	r := newRig(t)
	steps, err := g.newFilter(r.build(), proxy.Options{Plugin: "p"})
	if err != nil {
		t.Fatal(err)
	}
	ex = r.exchange("Accept", "*/*", "User-Agent", "curl/8.5.0", "X-In", "value", "Accept-Encoding", "gzip", "X-Out", "x")
	ctx, in := context.Background(), ex.In
	given := slices.Clone(ex.In.Fields)
	return func() {
		ex.Begin(ex.Start, nil)
		fields := append(ex.In.Fields[:0], given...)
		ex.Route, ex.In = r.route, in
		ex.In.Fields = fields
		ex.Reply.Status = 200
		ex.Reply.Fields = append(ex.Reply.Fields[:0], given[2:]...)
		if _, err := steps[phase].Run(ctx, ex); err != nil {
			t.Fatal(err)
		}
	}, ex
}

// BenchmarkFilter is a filter's whole step: take, call, read one header, set one,
// commit, give back; reset also puts 64 KiB of memory back. "nothing" is what the bench itself costs.
func BenchmarkFilter(b *testing.B) {
	for name, phase := range map[string]proxy.Phase{"request": proxy.MethodRequest, "response": proxy.MethodResponse} {
		for _, isolation := range []string{"shared", "reset"} {
			b.Run(name+"/"+isolation, func(b *testing.B) {
				run, _ := filterRun(b, editsHeaders(b), phase, fmt.Sprintf("isolation = %q", isolation))
				b.ReportAllocs()
				for b.Loop() {
					run()
				}
			})
		}
	}
	b.Run("nothing", func(b *testing.B) {
		r := newRig(b)
		ex := r.exchange("Accept", "*/*", "User-Agent", "curl/8.5.0", "X-In", "value", "Accept-Encoding", "gzip", "X-Out", "x")
		in, given := ex.In, slices.Clone(ex.In.Fields)
		for b.Loop() {
			ex.Begin(ex.Start, nil)
			fields := append(ex.In.Fields[:0], given...)
			ex.Route, ex.In = r.route, in
			ex.In.Fields = fields
			ex.Reply.Status = 200
			ex.Reply.Fields = append(ex.Reply.Fields[:0], given[2:]...)
		}
	})
}

func TestFilterAllocatesNothing(t *testing.T) {
	for name, phase := range map[string]proxy.Phase{"request": proxy.MethodRequest, "response": proxy.MethodResponse} {
		run, ex := filterRun(t, editsHeaders(t), phase)
		for range 100 {
			run()
		}
		if n := testing.AllocsPerRun(500, run); n != 0 {
			t.Errorf("%s: %v allocations a call, want 0", name, n)
		}
		if got := ex.In.Fields.Get("x-out"); name == "request" && got != "value" {
			t.Errorf("X-Out of the request is %q", got)
		}
		if got := ex.Reply.Fields.Get("x-out"); name == "response" && got != "X-In" {
			t.Errorf("X-Out of the reply is %q", got)
		}
	}
}

// BenchmarkAuthorize is an authorizer's whole step: take, call, two host
// functions, give back.
func BenchmarkAuthorize(b *testing.B) {
	for name, file := range map[string]string{"smallest": readsHeader(b), "go": guest(b, "native")} {
		b.Run(name, func(b *testing.B) {
			r := authorizerRig(b, begin(b, newHost(b, Options{}), pluginTOML(file)))
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
		r := authorizerRig(t, begin(t, newHost(t, Options{}), pluginTOML(file, `timeout = "1s"`)))
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

package plugins

import (
	"testing"

	"github.com/postern-gateway/postern/proxy"
	languages "github.com/postern-gateway/postern/sdk/guests"
)

// headerGuests are one filter in all languages: it reads one header and sets one.
var headerGuests = []struct{ name, source, environment string }{
	{"c", "testdata/wasm/header/header.c", ""},
	{"rust", "testdata/wasm/header/header.rs", ""},
	{"rust without std", "testdata/wasm/header/bare.rs", ""},
	{"zig", "testdata/wasm/header/header.zig", ""},
	{"assemblyscript", "testdata/wasm/header/header.ts", ""},
	{"tinygo", "testdata/wasm/header/go", "GO=tinygo"},
	{"go", "testdata/wasm/header/go", "GO=go"},
	{"js", "testdata/wasm/header/header.js", ""},
}

// BenchmarkLanguages is BenchmarkFilter's step with guests made of the SDKs. A
// plugin's memory is put back after each call, or isn't.
func BenchmarkLanguages(b *testing.B) {
	for _, guest := range headerGuests {
		for _, isolation := range []string{"shared", "reset"} {
			b.Run(guest.name+"/"+isolation, func(b *testing.B) {
				run, _ := filterRun(b, languages.Build(b, guest.source, guest.environment), proxy.MethodRequest, `isolation = "`+isolation+`"`)
				b.ReportAllocs()
				for b.Loop() {
					run()
				}
			})
		}
	}
}

func TestLanguagesAllocateNothing(t *testing.T) {
	for _, guest := range headerGuests {
		t.Run(guest.name, func(t *testing.T) {
			run, ex := filterRun(t, languages.Build(t, guest.source, guest.environment), proxy.MethodRequest)
			for range 100 {
				run()
			}
			if n := testing.AllocsPerRun(500, run); n != 0 {
				t.Errorf("%v allocations a call, want 0", n)
			}
			if got := ex.In.Fields.Get("x-agent"); got != "curl/8.5.0" {
				t.Errorf("X-Agent is %q", got)
			}
		})
	}
}

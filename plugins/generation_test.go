package plugins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/sdk/abi"
)

// wasmFile writes a hand-made module: imports are "module.name:params:results",
// exports have one function each that returns its number.
func wasmFile(t testing.TB, imports []string, exports map[string]int32) string {
	t.Helper()
	code := map[string][]byte{}
	for name, result := range exports {
		code[name] = append(append([]byte{0x41}, sleb(result)...), 0x0b) // i32.const, end
	}
	return handMade(t, imports, code)
}

// handMade writes a module whose exports have the given code: functions without
// parameters, with one i32. Further sections come at the end as they are.
func handMade(t testing.TB, imports []string, exports map[string][]byte, sections ...[]byte) string {
	t.Helper()
	var b, types, imported, functions, exported, code []byte
	sec := func(id byte, n int, content []byte) {
		content = append([]byte{byte(n)}, content...)
		b = append(append(b, id), leb(len(content))...)
		b = append(b, content...)
	}
	name := func(s string) []byte { return append(leb(len(s)), s...) }
	for i, im := range imports {
		parts := strings.Split(im, ":")
		from, what, _ := strings.Cut(parts[0], ".")
		types = append(append(types, 0x60, byte(len(parts[1]))), wasmTypes(parts[1])...)
		types = append(append(types, byte(len(parts[2]))), wasmTypes(parts[2])...)
		imported = append(append(append(imported, name(from)...), name(what)...), 0, byte(i))
	}
	types = append(types, 0x60, 0, 1, 0x7f)
	n := 0
	for _, export := range slices.Sorted(maps.Keys(exports)) {
		functions = append(functions, byte(len(imports)))
		exported = append(append(exported, name(export)...), 0, byte(len(imports)+n))
		body := append([]byte{0}, exports[export]...)
		code = append(append(code, leb(len(body))...), body...)
		n++
	}
	exported = append(append(exported, name("memory")...), 2, 0)
	b = append(b, "\x00asm\x01\x00\x00\x00"...)
	sec(1, len(imports)+1, types)
	sec(2, len(imports), imported)
	sec(3, n, functions)
	sec(5, 1, []byte{0, 1})
	sec(7, n+1, exported)
	sec(10, n, code)
	for _, s := range sections {
		b = append(b, s...)
	}
	file := filepath.Join(t.TempDir(), "m.wasm")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func leb(n int) []byte {
	var b []byte
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func sleb(n int32) []byte {
	var b []byte
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func wasmTypes(letters string) []byte {
	return bytes.Map(func(c rune) rune { return map[rune]rune{'i': 0x7f, 'I': 0x7e}[c] }, []byte(letters))
}

func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.wasm")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What can't run is refused at load, with its place and its reason.
func TestBadModulesAreFindings(t *testing.T) {
	h := newHost(t, Options{})
	f := func(file, key, want string, options ...string) {
		t.Helper()
		cfg := parse(t, pluginTOML(file, options...))
		g, findings := h.Begin(context.Background(), cfg)
		defer g.Discard()
		if len(findings) != 1 || findings[0].Key != "plugin.p."+key || !strings.Contains(findings[0].Text+" "+findings[0].Hint, want) || findings[0].Line == 0 {
			t.Errorf("got %s\nwant %q at plugin.p.%s", findings.Text(), want, key)
		}
		if n := len(h.modules) + len(h.plugins); n != 0 {
			t.Errorf("%q left %d modules and plugins", want, n)
		}
	}
	version := map[string]int32{abi.ExportVersion: abi.Version}
	with := func(name string, result int32) map[string]int32 {
		return map[string]int32{abi.ExportVersion: abi.Version, name: result}
	}
	f(write(t, ""), "module", "is empty")
	f(write(t, "#!/bin/sh"), "module", "isn't a WebAssembly module")
	f(write(t, "(module)"), "module", "wat2wasm")
	f(write(t, "\x00asm"), "module", "ends within its header")
	f(write(t, "\x00asm\x0d\x00\x01\x00"), "module", "is a component")
	f(write(t, "\x00asm\x02\x00\x00\x00"), "module", "unknown WebAssembly version")
	f(write(t, "\x00asm\x01\x00\x00\x00"), "module", "doesn't export its memory")
	whole, err := os.ReadFile(guest(t, "native"))
	if err != nil {
		t.Fatal(err)
	}
	f(write(t, string(whole[:len(whole)/2])), "module", "isn't valid")
	f(write(t, "\x00asm\x01\x00\x00\x00"+strings.Repeat("x", maxModule)), "module", "at most 16777216 are allowed")
	f(wasmFile(t, nil, nil), "module", "speaks none of the ABIs")
	f(wasmFile(t, nil, version), "module", "has no role")
	f(wasmFile(t, nil, map[string]int32{abi.ExportVersion: 2 << 16, abi.ExportAuthorize: 1}), "module", "needs ABI version 2.0; this host has 1.2")
	f(wasmFile(t, nil, map[string]int32{abi.ExportVersion: 1<<16 | 99, abi.ExportAuthorize: 1}), "module", "needs ABI version 1.99")
	f(wasmFile(t, nil, map[string]int32{abi.ExportVersion: abi.Version, abi.ExportAuthorize: 1, abi.ExportStart: 1}), "module", "-buildmode=c-shared")
	f(wasmFile(t, nil, map[string]int32{abi.ExportVersion: abi.Version, abi.ExportAuthorize: 1, abi.ExportConfigure: 3}), "module", "postern_configure returned 3")
	f(wasmFile(t, nil, with(abi.ExportAuthorize, 1)), "module", "isn't an event plugin", `abi = "event"`)
	f(wasmFile(t, nil, map[string]int32{"f": 1}), "module", "isn't a native plugin", `abi = "native"`)
	f(wasmFile(t, []string{"env.now::i", "postern_v2.x::"}, with(abi.ExportAuthorize, 1)), "module", "what isn't provided: env.now, postern_v2.x")
	f(wasmFile(t, []string{"wasi_snapshot_preview1.sock_accept:iii:i"}, with(abi.ExportAuthorize, 1)), "module", "imports sockets: sock_accept")
	f(wasmFile(t, []string{"postern_v1.field_get:ii:i"}, with(abi.ExportAuthorize, 1)), "module", "imports postern_v1.field_get as (ii:i), but it is (iii:i)")
	// A start section that traps gives its memory back, too.
	trap := map[string][]byte{abi.ExportVersion: {0x00, 0x0b}, abi.ExportAuthorize: {0x00, 0x0b}}
	f(handMade(t, nil, trap), "module", "unreachable")
	if n := stats(t, h).Memory; n != 0 {
		t.Errorf("%d bytes of memory are left", n)
	}
	f(guest(t, "native"), "module", `memory = "`, `memory = "64KiB"`)
	f(guest(t, "native"), "module", "doesn't start", `config = { keys = "refuse" }`)
	f(guest(t, "native"), "module", "but sha256 says", `sha256 = "`+strings.Repeat("ab", 32)+`"`)
	f(guest(t, "native"), "env", "no environment variables", `env = { A = "b" }`)
	f(guest(t, "command"), "config", "can't read a configuration", `config = { a = 1 }`)

	// What isn't there can be a finding of the configuration already.
	cfg := &config.Config{Plugin: map[string]config.Plugin{"p": {Module: filepath.Join(t.TempDir(), "none.wasm"), ABI: "auto", Memory: 1 << 20, MaxInstances: 1}}}
	if _, findings := h.Begin(context.Background(), cfg); len(findings) != 1 || !strings.Contains(findings[0].Text, "none.wasm") {
		t.Errorf("got %s", findings.Text())
	}
}

// A module claims more elements than it has bytes: nothing is reserved for them.
func TestCountsAreNotBelieved(t *testing.T) {
	h := newHost(t, Options{})
	for id := byte(1); id <= 11; id++ {
		if id == 8 { // the start section is no vector
			continue
		}
		wasm := append([]byte("\x00asm\x01\x00\x00\x00"), id, 5, 0xff, 0xff, 0xff, 0xff, 0x0f)
		_, findings := h.Begin(t.Context(), parse(t, pluginTOML(write(t, string(wasm)))))
		if len(findings) != 1 || !strings.Contains(findings.Text(), "the module isn't valid") {
			t.Errorf("section %d: %s", id, findings.Text())
		}
	}
}

// A hand-made plugin of the least size works.
func TestSmallestPlugin(t *testing.T) {
	h := newHost(t, Options{})
	g := begin(t, h, pluginTOML(wasmFile(t, nil, map[string]int32{abi.ExportVersion: abi.Version, abi.ExportAuthorize: abi.Allow})))
	r := authorizerRig(t, g)
	if _, err := r.authorize("x"); err != nil {
		t.Error(err)
	}
	_, err := g.Kinds()[1].New(r.build(), proxy.Options{Integration: &config.Integration{Type: "wasm", Plugin: "p"}})
	var key *config.KeyError
	if !errors.As(err, &key) || !strings.Contains(key.Text, "that can authorize") || fmt.Sprint(key.Path) != "[plugin]" {
		t.Errorf("got %v", err)
	}
	if _, err := g.Kinds()[0].New(r.build(), proxy.Options{Plugin: "none"}); !errors.As(err, &key) {
		t.Errorf("got %v", err)
	}
}

func TestReloadKeepsWhatDidNotChange(t *testing.T) {
	h := newHost(t, Options{})
	text := pluginTOML(guest(t, "native"))
	r := authorizerRig(t, begin(t, h, text))
	calls := func(r *rig) string {
		t.Helper()
		ex, err := r.authorize("allow")
		if err != nil {
			t.Fatal(err)
		}
		return ex.Caller.Context[1].Value
	}
	calls(r)
	// The same file and options: the same instance counts on.
	again := authorizerRig(t, begin(t, h, text))
	if got := calls(again); got != "2" {
		t.Errorf("call %s of the instance, want 2", got)
	}
	// A generation that is given up changes nothing.
	cfg := parse(t, pluginTOML(guest(t, "native"), "max_instances = 3"))
	g, findings := h.Begin(context.Background(), cfg)
	if len(findings) > 0 {
		t.Fatal(findings.Text())
	}
	g.Discard()
	if got := calls(again); got != "3" || stats(t, h).Instances != 1 {
		t.Errorf("call %s of the instance, want 3; %d instances, want 1", got, stats(t, h).Instances)
	}
	// Other options: a new pool of the same compiled module. The old one serves
	// its snapshot until that is closed.
	changed := authorizerRig(t, begin(t, h, pluginTOML(guest(t, "native"), "max_instances = 3")))
	if got := calls(changed); got != "1" {
		t.Errorf("call %s of the instance, want 1", got)
	}
	if got := calls(r); got != "4" {
		t.Errorf("call %s of the old instance, want 4", got)
	}
	if len(h.modules) != 1 || stats(t, h).Instances != 2 {
		t.Errorf("%d modules, %d instances; want 1 and 2", len(h.modules), stats(t, h).Instances)
	}
	r.Close()
	again.Close()
	if stats(t, h).Instances != 1 || len(h.plugins) != 1 {
		t.Errorf("%d instances, %d plugins after the old snapshots were closed; want 1 and 1", stats(t, h).Instances, len(h.plugins))
	}
	// Without the plugin nothing is left of it.
	begin(t, h, "[listen.public]\naddress = \"127.0.0.1:0\"\n")
	changed.Close()
	if s := stats(t, h); s.Instances != 0 || s.Memory != 0 || len(h.plugins) != 0 || len(h.modules) != 0 {
		t.Errorf("%+v, %d plugins, %d modules; want nothing", s, len(h.plugins), len(h.modules))
	}
}

func TestReloadsLeaveNothingBehind(t *testing.T) {
	h := newHost(t, Options{})
	file := wasmFile(t, nil, map[string]int32{abi.ExportVersion: abi.Version, abi.ExportAuthorize: abi.Allow})
	for n := range 100 {
		r := authorizerRig(t, begin(t, h, pluginTOML(file, fmt.Sprintf("max_instances = %d", 1+n%7))))
		if _, err := r.authorize("x"); err != nil {
			t.Fatal(err)
		}
		r.Close()
		if s := stats(t, h); s.Instances > 1 || len(h.plugins) != 1 || len(h.modules) != 1 {
			t.Fatalf("reload %d: %+v, %d plugins, %d modules", n, s, len(h.plugins), len(h.modules))
		}
	}
}

// What it took to validate and compile a module of some MiB doesn't stay.
func TestLoadLeavesNoGarbage(t *testing.T) {
	file := guest(t, "native")
	h := newHost(t, Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin(t, h, pluginTOML(file))
	runtime.ReadMemStats(&after)
	if left := int64(after.HeapAlloc) - int64(before.HeapAlloc); left > 16<<20 {
		t.Errorf("%d MiB are left on the heap", left>>20)
	}
}

func TestCacheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	text := pluginTOML(wasmFile(t, nil, map[string]int32{abi.ExportVersion: abi.Version, abi.ExportAuthorize: abi.Allow}))
	h := newHost(t, Options{CacheDir: dir})
	begin(t, h, text)
	st, err := os.Stat(dir)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	entries, _ := filepath.Glob(filepath.Join(dir, "metered", "*.wasm"))
	if len(entries) != 1 {
		t.Fatalf("%d rewritten modules are kept, want 1", len(entries))
	}
	// A damaged entry is made anew; the next host starts all the same.
	if err := os.WriteFile(entries[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := authorizerRig(t, begin(t, newHost(t, Options{CacheDir: dir}), text))
	if _, err := r.authorize("x"); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(entries[0]); err != nil || string(b) == "damaged" {
		t.Errorf("the damaged entry is still there: %v", err)
	}
	compiled, _ := filepath.Glob(filepath.Join(dir, "wazero-*", "*"))
	for _, entry := range compiled {
		if err := os.WriteFile(entry, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(compiled) == 0 {
		t.Error("no compiled module is kept")
	}
	r = authorizerRig(t, begin(t, newHost(t, Options{CacheDir: dir}), text))
	if _, err := r.authorize("x"); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(dir, 0o770); err != nil {
		t.Fatal(err)
	}
	if _, err := NewHost(Options{CacheDir: dir}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a folder that others can write to: %v", err)
	}
}

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/sdk/abi"
)

// Every proxy that is installed takes the configuration that is made for it.
func TestConfigurations(t *testing.T) {
	s, err := newSite()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(s.dir); err != nil {
			t.Error(err)
		}
	})
	s.backend = "127.0.0.1:9"
	small := filepath.Join(s.dir, "small.wasm")
	if err := os.WriteFile(small, smallGuest(), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &place{site: s, folder: s.dir, plain: 18001, secure: 18002, admin: 18003, workers: 2, files: 1024, log: filepath.Join(s.dir, "access.log"), guest: small, small: small}
	for _, name := range []string{nginx, haproxy, caddy, postern} {
		t.Run(name, func(t *testing.T) {
			args, _, err := p.program(name, "postern")
			if err != nil {
				t.Fatal(err)
			}
			if name == postern {
				if _, findings := config.Load(args[len(args)-1]); len(findings) > 0 {
					t.Error(findings.Text())
				}
				return
			}
			program, err := exec.LookPath(name)
			if err != nil {
				t.Skip(err)
			}
			check := map[string][]string{nginx: {"-t", "-p", s.dir, "-c"}, haproxy: {"-c", "-f"}, caddy: {"adapt", "--adapter", "caddyfile", "--config"}}
			c := exec.Command(program, append(check[name], filepath.Join(s.dir, name+".conf"))...)
			c.Env = append(os.Environ(), "HOME="+s.dir, "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestSmallGuest(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer func() { _ = r.Close(ctx) }() // the test is over
	var token, principal string
	read := func(m api.Module, at, n uint32) string {
		b, ok := m.Memory().Read(at, n)
		if !ok {
			t.Errorf("%d bytes at %d aren't in the memory", n, at)
		}
		return string(b)
	}
	_, err := r.NewHostModuleBuilder(abi.Module).
		NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, which, name, length, to, size uint32) int32 {
		if which != abi.MapHeaders || read(m, name, length) != "Authorization" {
			t.Errorf("it asks for %q of map %d", read(m, name, length), which)
		}
		if len(token) <= int(size) {
			m.Memory().Write(to, []byte(token))
		}
		return int32(len(token))
	}).Export("map_get").
		NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, at, n uint32) int32 {
		principal = read(m, at, n)
		return abi.OK
	}).Export("principal_set").Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Instantiate(ctx, smallGuest())
	if err != nil {
		t.Fatal(err)
	}
	call := func(name string) int32 {
		t.Helper()
		v, err := m.ExportedFunction(name).Call(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return int32(v[0])
	}
	if v := call(abi.ExportVersion); v != abi.Major<<16 { // it needs nothing of later minor versions
		t.Errorf("version %d, want %d", v, abi.Major<<16)
	}
	f := func(value, caller string, want int32) {
		t.Helper()
		token, principal = value, ""
		if got := call(abi.ExportAuthorize); got != want || principal != caller {
			t.Errorf("%q: got %d and principal %q, want %d and %q", value, got, principal, want, caller)
		}
	}
	f("Bearer sesame", "bearer", abi.Allow)
	f("Bearer sesamf", "", abi.Deny)
	f("bearer sesame", "", abi.Deny)
	f("Bearer sesame ", "", abi.Deny)
	f("Bearer sesam", "", abi.Deny)
	f("", "", abi.Deny)
	f(strings.Repeat("x", 100), "", abi.Deny) // longer than the buffer
}

func TestParse(t *testing.T) {
	f := func(line string, want func(options) bool) {
		t.Helper()
		o, err := parse(strings.Fields(line), io.Discard)
		if err != nil || !want(o) {
			t.Errorf("%s: got %+v, %v", line, o, err)
		}
	}
	f("", func(o options) bool { return o.Rounds == 7 && o.Duration == 3*time.Second && len(o.Proxies) == 4 })
	f("-short", func(o options) bool { return o.Rounds == 2 && o.Duration == time.Second && len(o.Proxies) == 2 })
	// What is said counts for more than -short.
	f("-short -rounds 5 -proxies caddy", func(o options) bool { return o.Rounds == 5 && slices.Equal(o.Proxies, []string{caddy}) })
	for line, wrong := range map[string]string{
		"-only nothing":    `no scenario "nothing"`,
		"-proxies apache":  `no proxy "apache"`,
		"-duration 1500ms": "whole seconds",
		"-rounds 0":        "above 0",
		"get1k":            "no further arguments",
	} {
		var said bytes.Buffer
		if _, err := parse(strings.Fields(line), &said); err == nil || !strings.Contains(said.String(), wrong) {
			t.Errorf("%s: got %v and %q, want %q", line, err, said.String(), wrong)
		}
	}
}

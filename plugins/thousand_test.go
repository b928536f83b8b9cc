package plugins

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A thousand different plugins that nobody calls cost little memory each, and the
// budget bounds them all.
func TestThousandPluginsIdle(t *testing.T) {
	const count = 1000
	const listener = "memory_budget = \"256MiB\"\n[listen.public]\naddress = \"127.0.0.1:0\"\n"
	const bound = 200 << 10 // of one plugin: its page of memory, what it is reset to, its code
	base, err := os.ReadFile(readsHeader(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var text strings.Builder
	for i := range count {
		file := filepath.Join(dir, fmt.Sprintf("p%d.wasm", i))
		// A custom section makes it another module.
		other := append(append([]byte(nil), base...), fmt.Sprintf("\x00\x06\x01x%04d", i)...)
		if err := os.WriteFile(file, other, 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "[plugin.p%d]\nmodule = %q\ntimeout = \"1m\"\n", i, file)
	}
	h := newHost(t, Options{CacheDir: t.TempDir()})
	before := resident(t)
	g, findings := h.Begin(context.Background(), parse(t, listener+text.String()))
	if len(findings) > 0 {
		t.Fatal(findings.Text())
	}
	g.Commit()
	each := (resident(t) - before) / count
	var linear, instances int64
	for _, s := range h.Stats() {
		linear += s.Memory
		instances += s.Instances
	}
	t.Logf("%d plugins: %d KiB resident each, %d instances, %d MiB of linear memory", count, each>>10, instances, linear>>20)
	if each > bound {
		t.Errorf("%d bytes each, want at most %d", each, bound)
	}
	if linear > 256<<20 {
		t.Errorf("linear memory of %d bytes is beyond the budget", linear)
	}
	begin(t, h, listener)
	for _, s := range h.Stats() {
		if s.Memory != 0 {
			t.Fatalf("plugin %s keeps %d bytes after the reload without it", s.Name, s.Memory)
		}
	}
}

package proxytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// published copies a file of a Go module of others into the scenario's folder: from
// the module cache, or from a proxy that has it. Without either it skips the test.
func (p *player) published(l line) error {
	module, path, ok := strings.Cut(l.rest, " ")
	if !ok {
		return errors.New("needs a module with its version, and a file in it")
	}
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = p.dir // outside of our module, which needn't know of it
	out, err := cmd.Output()
	var got struct{ Dir string }
	if err != nil || json.Unmarshal(out, &got) != nil || got.Dir == "" {
		p.t.Skipf("the Go module %s isn't there: %v %s", module, err, out)
	}
	content, err := os.ReadFile(filepath.Join(got.Dir, filepath.FromSlash(path)))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, filepath.Base(path)), content, 0o600)
}

// policy compiles a policy of the project's test data, with OPA's own compiler.
func (p *player) policy(l line) error {
	name, entrypoints, ok := strings.Cut(l.rest, " ")
	if !ok {
		return errors.New("needs a name and entrypoints")
	}
	source := filepath.Join(projectRoot, "testdata", "wasm", "opa")
	compiler := filepath.Join(p.dir, "opa")
	build := exec.Command("go", "build", "-o", compiler, ".")
	build.Dir = source // which is a module of its own
	if out, err := build.CombinedOutput(); err != nil {
		p.t.Skipf("OPA's compiler can't be built: %v\n%s", err, out)
	}
	compile := exec.Command(compiler, filepath.Join(p.dir, name+".wasm"), entrypoints, name+".rego")
	compile.Dir = source
	if out, err := compile.CombinedOutput(); err != nil {
		p.fatal(fmt.Errorf("compile %s: %w\n%s", name, err, out))
	}
	return nil
}

package plugins

import (
	"testing"

	"github.com/postern-gateway/postern/sdk/abi"
)

// A module of the ABI is provided whole or not at all, the one that needs no
// grant always. That nothing is provided besides, native sees to.
func TestModulesAreProvidedWhole(t *testing.T) {
	modules, functions := map[string]bool{abi.Module: true}, map[string]bool{}
	for _, m := range (nativeABI{}).provides() {
		modules[m.name] = true
		for _, f := range m.functions {
			functions[m.name+"."+f.name] = true
		}
	}
	for _, f := range abi.Functions() {
		if modules[f.Module] && !functions[f.Module+"."+f.Name] {
			t.Errorf("%s.%s has no code", f.Module, f.Name)
		}
	}
}

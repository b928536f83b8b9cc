package plugins

import (
	"testing"

	"github.com/postern-gateway/postern/sdk/abi"
)

// Every function of the ABI that needs no grant has code, and none has code
// without being in the ABI (native panics then).
func TestCoreIsImplemented(t *testing.T) {
	implemented := map[string]bool{}
	for _, m := range (nativeABI{}).provides() {
		for _, f := range m.functions {
			implemented[m.name+"."+f.name] = true
		}
	}
	for _, f := range abi.Functions() {
		if f.Module == abi.Module && !implemented[f.Module+"."+f.Name] {
			t.Errorf("%s has no code", f.Name)
		}
	}
}

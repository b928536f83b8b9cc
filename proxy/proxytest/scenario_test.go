package proxytest

import "testing"

// Every behaviour that a client or a backend can see has its scenario.
func TestScenarios(t *testing.T) {
	Run(t, "../../testdata/scenarios", Starter(t.TempDir()))
}

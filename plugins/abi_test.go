package plugins

import (
	"os"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/sdk/abi"
)

// The specification has a row for each function, with its signature and phases,
// and the host has code for each.
func TestABIDocument(t *testing.T) {
	text, err := os.ReadFile("ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows[cells[0]] = cells
	}
	first := func(s string) string { s, _, _ = strings.Cut(s, ":"); return s }
	implemented := map[string]bool{}
	for _, m := range (nativeABI{}).provides() {
		for _, f := range m.functions {
			implemented[f.name] = true
		}
	}
	for _, f := range abi.Functions() {
		if !implemented[f.Name] {
			continue
		}
		row := rows[f.Name]
		if len(row) != 5 || first(row[1]) != f.Params() || first(row[2]) != f.Results() {
			t.Errorf("%s: the row is %q, the signature %s:%s", f.Name, row, f.Params(), f.Results())
			continue
		}
		if !implemented[f.Name] {
			t.Errorf("%s has no code", f.Name)
		}
		delete(implemented, f.Name)
	}
	for name := range implemented {
		t.Errorf("%s isn't in the ABI", name)
	}
}

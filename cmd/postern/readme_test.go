package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// README's table of commands has all of them.
func TestReadmeHasCommands(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(readme), "## Command line\n")
	table, _, ended := strings.Cut(table, "\nExit codes:")
	if !found || !ended {
		t.Fatal("README has no table of commands")
	}
	for _, c := range newRoot(&streams{io.Discard, io.Discard}).Commands() {
		if !c.Hidden && c.Name() != "help" && c.Name() != "completion" && !strings.Contains(table, "`postern "+c.Name()) && !strings.Contains(table, ", `"+c.Name()) {
			t.Errorf("README doesn't have `postern %s`: %s", c.Name(), c.Short)
		}
	}
}

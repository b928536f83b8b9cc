package scaffold

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// sdk/build.sh is for those without the command postern, and to be read: it has
// the same recipes. JavaScript's is one script for both, and TinyGo here is built
// from source, with a target of its own.
func TestBuildAsTheScript(t *testing.T) {
	for _, language := range []string{"go", "rust", "c", "assemblyscript", "zig"} {
		t.Run(language, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "try")
			if _, err := (&Project{Language: language, Role: "validate", Name: "try", Dir: dir}).Create(); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(dir, "manifest.json")); err != nil { // the script puts in none
				t.Fatal(err)
			}
			var log bytes.Buffer
			built, err := Build(t.Context(), BuildOptions{Dir: dir, Language: language, Log: &log})
			switch {
			case errors.Is(err, ErrTool):
				t.Skip(err)
			case err != nil:
				t.Fatalf("%v\n%s", err, log.String())
			}
			l, err := find(language)
			if err != nil {
				t.Fatal(err)
			}
			source := filepath.Join(dir, l.Source)
			if l.Source == "main.go" {
				source = dir
			}
			script := exec.Command("sh", "../../sdk/build.sh", source, filepath.Join(dir, "script.wasm"))
			if out, err := script.CombinedOutput(); err != nil {
				if e := new(exec.ExitError); errors.As(err, &e) && e.ExitCode() == 3 {
					t.Skipf("%s", out)
				}
				t.Fatalf("%v\n%s", err, out)
			}
			ours, err := os.ReadFile(built)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := os.ReadFile(filepath.Join(dir, "script.wasm"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("postern plugin build makes %d bytes, the script %d that differ: change both recipes\n%s", len(ours), len(theirs), log.String())
			}
		})
	}
}

// Projects of the roles that are about names build in every language, without cases,
// which are about requests.
func TestBuildNames(t *testing.T) {
	for _, language := range Languages() {
		roles := []string{"dns"}
		if language.Name == "c" { // it is the quickest
			roles = append(roles, "certify")
		}
		for _, role := range roles {
			t.Run(language.Name+"/"+role, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "try")
				names, err := (&Project{Language: language.Name, Role: role, Name: "try", Dir: dir}).Create()
				if err != nil {
					t.Fatal(err)
				}
				if slices.Contains(names, "tests/first.txtar") {
					t.Error("there is a case about a request")
				}
				var log bytes.Buffer
				_, err = Build(t.Context(), BuildOptions{Dir: dir, Language: language.Name, Log: &log})
				switch {
				case errors.Is(err, ErrTool):
					t.Skip(err)
				case err != nil:
					t.Fatalf("%v\n%s", err, log.String())
				}
			})
		}
	}
}

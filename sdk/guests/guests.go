// Package guests compiles plugins of any language for tests, and keeps what it
// has compiled: a module is made anew only when its source, its SDK, or the
// script that builds it has changed. Only tests use it.
package guests

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// kept is how long a module stays that no test has asked for.
const kept = 30 * 24 * time.Hour

// missing is the exit code of sdk/build.sh when there is no compiler.
const missing = 3

// sdks are the folders of sdk by the kinds of sources.
var sdks = map[string][]string{
	".c": {"c"}, ".cc": {"c"}, ".nim": {"c"}, ".d": {}, ".wat": {},
	".rs": {"rust"}, ".ts": {"assemblyscript"}, ".zig": {"zig"}, ".js": {"js", "c"}, "": {"go", "abi"},
}

// Build compiles source, a path below the project's root, with sdk/build.sh and
// returns the module's file. Without the compiler it skips the test. environment
// is for the script: "GO=tinygo". Any number of tests may call it at once.
func Build(t testing.TB, source string, environment ...string) string {
	t.Helper()
	module, err := build(source, environment)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == missing {
		t.Skipf("%s: %v", source, err)
	}
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return module
}

// build returns the module of source from the cache, or compiles it into there.
func build(source string, environment []string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	key, err := digest(root, source, environment)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "postern-guests")
	module := filepath.Join(cache, key+".wasm")
	if _, err := os.Stat(module); err == nil {
		now := time.Now()
		return module, os.Chtimes(module, now, now)
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	prune(cache)
	// Another process may build the same: the last one's rename wins.
	out, err := os.MkdirTemp(cache, "build")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(out) }()
	built := filepath.Join(out, "plugin.wasm")
	cmd := exec.Command(filepath.Join(root, "sdk", "build.sh"), source, built)
	cmd.Dir, cmd.Env = root, append(os.Environ(), environment...)
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w", strings.TrimSpace(string(said)), err)
	}
	return module, os.Rename(built, module)
}

// prune removes modules that nobody has asked for in a long time.
func prune(cache string) {
	entries, _ := os.ReadDir(cache)
	for _, e := range entries {
		if at, err := e.Info(); err == nil && time.Since(at.ModTime()) > kept {
			_ = os.RemoveAll(filepath.Join(cache, e.Name()))
		}
	}
}

// Root returns the project's root: the folder above the working directory that
// has the go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = above
	}
}

// digest names what the module of source depends on.
func digest(root, source string, environment []string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, source, environment)
	inputs := []string{source, "sdk/build.sh", "sdk/toolchains.sh"}
	of, found := sdks[filepath.Ext(source)]
	if !found {
		return "", fmt.Errorf("guests: no SDK for %s", source)
	}
	for _, name := range of {
		inputs = append(inputs, filepath.Join("sdk", name))
	}
	for _, input := range inputs {
		err := filepath.WalkDir(filepath.Join(root, input), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) == ".md" || filepath.Ext(name) == ".wasm" {
				return err
			}
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			fmt.Fprintln(h, strings.TrimPrefix(name, root))
			_, err = io.Copy(h, f)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

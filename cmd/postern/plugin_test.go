package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/plugins/supply/supplytest"
	"github.com/postern-gateway/postern/proxy/config"
)

// command runs the program and returns its exit code and what it wrote.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

// says runs the program and wants an exit code and a text in what it wrote.
func says(t *testing.T, code int, want string, args ...string) string {
	t.Helper()
	got, stdout, stderr := command(t, args...)
	if got != code || !strings.Contains(stdout+stderr, want) {
		t.Errorf("postern %s: exit code %d, want %d and %q\n%s%s", strings.Join(args, " "), got, code, want, stdout, stderr)
	}
	return stdout
}

// aside gives the test an empty working folder and a home of its own; compilers
// keep finding their caches.
func aside(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Chdir(dir)
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	t.Setenv("STATE_DIRECTORY", "")
	return dir
}

func lay(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// beginPlugin makes a Go authorizer, built, and goes to its folder.
func beginPlugin(t *testing.T) {
	t.Helper()
	dir := aside(t)
	says(t, exitOK, "guard.wasm", "plugin", "new", "--lang", "go", "--role", "authorize", "guard")
	t.Chdir(filepath.Join(dir, "guard"))
}

func TestPluginCommands(t *testing.T) {
	beginPlugin(t)

	// run, by name and by file.
	out := says(t, exitOK, "verdict: allow", "plugin", "run", "-H", "Authorization: Bearer sesame", "/hello")
	if !strings.Contains(out, `postern_v1.map_get(map=headers, name="Authorization"`) {
		t.Errorf("the calls aren't shown:\n%s", out)
	}
	says(t, exitOK, "verdict: deny", "plugin", "run", "guard.wasm", "--set", "config.token=simsim", "-H", "Authorization: Bearer sesame")
	lay(t, "request.json", `{"role": "authorize", "request": {"method": "GET", "url": "https://a.example/x", "headers": [{"name": "Authorization", "value": "Bearer sesame"}]}}`)
	var outcome struct {
		Verdict string
		Calls   []struct{ Function, Result string }
		Sent    struct{ URL string }
	}
	_, stdout, _ := command(t, "plugin", "run", "--request", "request.json", "--format", "json")
	if err := json.Unmarshal([]byte(stdout), &outcome); err != nil || outcome.Verdict != "allow" || len(outcome.Calls) == 0 || outcome.Sent.URL != "/x" {
		t.Errorf("got %+v, %v from\n%s", outcome, err, stdout)
	}

	// test
	out = says(t, exitOK, "ok   tests/first.txtar", "plugin", "test")
	if !strings.HasSuffix(out, "\n2 passed, 0 failed, 0 skipped\n") {
		t.Errorf("the last line is another one:\n%s", out)
	}
	lay(t, "tests/third.txtar", "-- request --\nGET /\n-- want --\nverdict: allow\n")
	lay(t, "tests/fourth.txtar", "skip there is no such token yet\n-- request --\nGET /\n")
	out = says(t, exitTests, "want verdict: allow, got verdict: unauthenticated", "plugin", "test", "tests")
	if !strings.HasSuffix(out, "\n2 passed, 1 failed, 1 skipped\n") {
		t.Errorf("the last line is another one:\n%s", out)
	}
	says(t, exitOK, "new  tests/third.txtar", "plugin", "test", "--update", "tests/third.txtar")
	says(t, exitOK, "3 passed, 0 failed, 1 skipped", "plugin", "test")

	// inspect, check and manifest
	says(t, exitOK, "roles      authorize", "plugin", "inspect")
	var anatomy struct {
		ABI      string
		Roles    []string
		SHA256   string
		Manifest struct{ Name string }
	}
	_, stdout, _ = command(t, "plugin", "inspect", "guard", "--format", "json")
	if err := json.Unmarshal([]byte(stdout), &anatomy); err != nil || anatomy.ABI != "native" || len(anatomy.SHA256) != 64 || anatomy.Manifest.Name != "guard" {
		t.Errorf("got %+v, %v", anatomy, err)
	}
	says(t, exitOK, "ok    authorize: trap", "plugin", "check", "--request", "tests/first.txtar")
	says(t, exitOK, `"version": "0.1.0"`, "plugin", "manifest", "show", "guard.wasm")
	lay(t, "manifest.json", `{"name": "guard", "version": "2.0.0"}`)
	says(t, exitOK, "other.wasm: guard 2.0.0", "plugin", "manifest", "add", "guard.wasm", "manifest.json", "-o", "other.wasm")
	says(t, exitOK, "manifest   guard 2.0.0", "plugin", "inspect", "other.wasm", "--set", "config.token=x")
}

// What a newcomer types wrong is told so that the next try is right.
func TestPluginMistakes(t *testing.T) {
	beginPlugin(t)
	for _, m := range []struct {
		code int
		want string
		args string
	}{
		{exitInvalid, "there is neither a file \"gard\" nor a plugin of that name: postern.toml has guard", "run gard /"},
		{exitInvalid, "there is no file gard.wasm", "run gard.wasm /"},
		{exitInvalid, "--set config.KEY=VALUE", "run guard.wasm /"},
		{exitInvalid, `unknown key "colour"`, "run guard.wasm --set colour=red /"},
		{exitUsage, "want KEY=VALUE", "run guard.wasm --set red /"},
		{exitUsage, "--set is for a PLUGIN that is a file", "run guard --set timeout=1s /"},
		{exitUsage, "want NAME: VALUE", "run -H Authorization /"},
		{exitUsage, `no such role: the plugin has authorize, not "request"`, "run --role request /"},
		{exitUsage, "--format is text or json", "run --format yaml /"},
		{exitUsage, "want one PLUGIN and one URL", "run guard guard"},
		{exitUsage, "the file has the request", "run --request tests/first.txtar -X PUT"},
		{exitFailed, "no such file", "run --request none.txtar"},
		{exitUsage, "want NAME=VALUE", "run --var x /"},
		{exitFailed, "client:", "run --client here /"},
		{exitUsage, "no cases", "test nowhere"},
		{exitUsage, "has no cases", "test postern"},
		{exitInvalid, "isn't a WebAssembly module", "inspect ./README.md"},
		{exitInvalid, "no name after the registry's host", "inspect oci://x"},
		{exitInvalid, "manifest.json: name:", "manifest add guard.wasm manifest.json"},
		{exitInvalid, "not a WebAssembly module", "manifest show main.go"},
		{exitUsage, "the folder . isn't empty", "new ."},
		{exitUsage, `no language "cobol": there are go,`, "new --lang cobol other"},
		{exitUsage, `no role "cook": there are authorize,`, "new --role cook other"},
		{exitUsage, "lower-case letters", "new Other"},
		{exitUsage, "accepts 1 arg", "new"},
		{exitFailed, "there is no plugin in", "build postern"},
	} {
		if strings.HasPrefix(m.args, "manifest add") {
			lay(t, "manifest.json", `{"name": "A B", "version": "1"}`)
		}
		says(t, m.code, m.want, append([]string{"plugin"}, strings.Fields(m.args)...)...)
	}
	if err := os.Remove("postern.toml"); err != nil {
		t.Fatal(err)
	}
	says(t, exitInvalid, "there is no postern.toml in", "plugin", "run", "/")
}

func TestPluginHelp(t *testing.T) {
	for _, name := range []string{"", "new", "build", "run", "test", "check", "inspect", "manifest", "manifest add", "manifest show", "fetch"} {
		says(t, exitOK, "Examples:", append(append([]string{"plugin"}, strings.Fields(name)...), "--help")...)
	}
}

func TestPluginFetch(t *testing.T) {
	beginPlugin(t)
	wasm, err := os.ReadFile("guard.wasm")
	if err != nil {
		t.Fatal(err)
	}
	registry := supplytest.New(t)
	layer := func(b []byte) supplytest.Layer { return supplytest.Layer{MediaType: "application/wasm", Content: b} }
	first := registry.Push("team/guard", "v1", layer(wasm))
	text, err := os.ReadFile("postern.toml")
	if err != nil {
		t.Fatal(err)
	}
	lay(t, "postern.toml", strings.Replace(string(text), `"guard.wasm"`, fmt.Sprintf(`"oci://%s/team/guard:v1"`, registry.Host), 1)+
		fmt.Sprintf("\n[registry.%q]\nplain_http = true\n", registry.Host))
	says(t, exitInvalid, "is a tag, which may mean another module tomorrow", "validate")
	says(t, exitOK, "guard: locked oci://", "plugin", "fetch")
	says(t, exitOK, "is valid", "validate")
	lock, err := os.ReadFile("postern.lock")
	if err != nil || !strings.Contains(string(lock), "/team/guard:v1 "+first+"\n") {
		t.Errorf("the lock file has %q, %v", lock, err)
	}
	// The tag moves, and the lock with it only when it is told to.
	second := registry.Push("team/guard", "v1", layer(append(wasm, "\x00\x05\x04note"...)))
	says(t, exitOK, first, "plugin", "fetch")
	says(t, exitOK, "was "+first, "plugin", "fetch", "--update")
	says(t, exitOK, "removed 2 files", "plugin", "fetch", "--prune")
	if lock, err = os.ReadFile("postern.lock"); err != nil || !strings.Contains(string(lock), second) {
		t.Errorf("the lock file has %q, %v", lock, err)
	}
	registry.Server.Close()
	says(t, exitOK, "is valid", "validate")
	says(t, exitFailed, "can't be reached", "plugin", "fetch", "--update")
	says(t, exitOK, "verdict: unauthenticated", "plugin", "run", "/")
}

// A gateway that runs notices what `plugin fetch` wrote.
func TestLockFileIsWatched(t *testing.T) {
	file := write(t, mock("one"))
	cfg, findings := config.Load(file)
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	lock := filepath.Join(filepath.Dir(file), "postern.lock")
	if all := sources(file, cfg); !strings.Contains(strings.Join(all, "\n"), lock) {
		t.Errorf("%s isn't among %q", lock, all)
	}
}

// Every language's plugin, in every role, passes its own cases and fits into its
// own configuration. A compiler that isn't there skips its language.
func TestScaffolds(t *testing.T) {
	languages := regexp.MustCompile(`languages +(.*)`).FindStringSubmatch(says(t, exitOK, "languages", "plugin", "new", "--help"))[1]
	roles := regexp.MustCompile(`roles +(.*)`).FindStringSubmatch(says(t, exitOK, "roles", "plugin", "new", "--help"))[1]
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	for _, language := range strings.Split(languages, ", ") {
		for _, role := range strings.Split(roles, ", ") {
			if slow := language == "go" || language == "js"; slow && role != "authorize" && role != "map_request" {
				continue // two of them take as long as all of another language
			}
			t.Run(language+" "+role, func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "try-it")
				code, stdout, stderr := command(t, "plugin", "new", "--lang", language, "--role", role, dir)
				if code != exitOK {
					t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
				}
				if strings.HasPrefix(stderr, "not built: missing tool: ") {
					t.Skip(stderr)
				}
				if role == "dns" || role == "certify" { // cases are about requests, which these never see
					says(t, exitOK, "roles "+role, "plugin", "check", "-c", filepath.Join(dir, "postern.toml"), "try-it")
					says(t, exitOK, "is valid", "validate", filepath.Join(dir, "postern.toml"))
					return
				}
				out := says(t, exitOK, "0 failed, 0 skipped", "plugin", "test", "-c", filepath.Join(dir, "postern.toml"), filepath.Join(dir, "tests"))
				if strings.HasPrefix(out, "0 passed") {
					t.Error("it has no cases")
				}
				says(t, exitOK, "is valid", "validate", filepath.Join(dir, "postern.toml"))
			})
		}
	}
}

// Who lacks a compiler is told which, and how to get it.
func TestMissingCompilers(t *testing.T) {
	aside(t)
	t.Setenv("PATH", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for language, install := range map[string]string{
		"go": "go isn't there; install it: https://go.dev/dl", "tinygo": "https://tinygo.org", "c": "clang-19 lld-19", "rust": "rustup target add",
		"assemblyscript": "npm install", "zig": "ziglang.org", "js": "sh postern/toolchains.sh",
	} {
		if _, err := os.Stat("/usr/bin/rustc"); language == "rust" && err == nil {
			continue // it is found where Debian puts it
		}
		out := says(t, exitOK, "not built: missing tool: ", "plugin", "new", "--lang", language, "my-"+language)
		if language == "tinygo" && !strings.Contains(out, "postern plugin build --lang tinygo &&") {
			t.Errorf("no word of how TinyGo is meant:\n%s", out)
		}
		says(t, exitFailed, install, "plugin", "build", "my-"+language, "--lang", language)
	}
}

// A closed output is told, not ignored.
func TestPluginOutputFails(t *testing.T) {
	beginPlugin(t)
	for _, args := range []string{"run /", "test", "inspect", "manifest show guard.wasm", "fetch"} {
		if code := run(context.Background(), append([]string{"plugin"}, strings.Fields(args)...), fullDisk{}, io.Discard); code != exitFailed {
			t.Errorf("plugin %s on a full disk: exit code %d", args, code)
		}
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, fmt.Errorf("no space left on device") }

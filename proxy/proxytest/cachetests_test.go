package proxytest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the cache of RFC 9111 has to pass of http-cache-tests' required cases, and the
// suites of which none may fail: a failure there gives somebody what isn't for them.
const (
	cacheCases = 157 // required ones that aren't for browsers
	cachePass  = 135
)

var safetySuites = []string{"auth", "vary", "vary-parse", "cc-response", "cc-freshness", "invalidation", "stale", "partial", "status"}

// The cache that goes by RFC 9111 is put to the test of the npm package
// http-cache-tests; `make cachetests` installs and runs it.
func TestCacheTests(t *testing.T) {
	folder := os.Getenv("HTTP_CACHE_TESTS")
	if folder == "" {
		t.Skip("HTTP_CACHE_TESTS doesn't name the package's folder: make cachetests")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node: Debian's package nodejs")
	}
	origin := cacheOrigin(t, node, folder)
	file := filepath.Join(t.TempDir(), "postern.toml")
	text := fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"
[api.tests]
type = "rest"
[api.tests.route."ANY /{proxy+}"]
integration = { type = "http_proxy", url = "http://%s/{proxy}", cache = "rfc9111" }
[api.tests.stage.prod]
[domain."127.0.0.1".map]
"/" = "tests:prod"
`, origin)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := Start(t)
	defer g.Close()
	if complaint := g.Apply(file); complaint != "" {
		t.Fatal(complaint)
	}
	var results map[string]any
	client := exec.Command(node, "--no-warnings", "cli.mjs")
	client.Dir = folder
	client.Env = append(os.Environ(), "npm_config_base=http://"+g.Addr("public"), "npm_package_config_id="+os.Getenv("HTTP_CACHE_TEST"))
	client.Stderr = os.Stderr
	out, err := client.Output()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("HTTP_CACHE_TEST") != "" {
		t.Fatalf("%s", out)
	}
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v in:\n%s", err, out)
	}
	judgeCache(t, cacheSuites(t, node, folder), results)
}

// cacheOrigin starts the suite's server and returns its address.
func cacheOrigin(t *testing.T, node, folder string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close() // the server can't be told to choose one
	server := exec.Command(node, "server/server.mjs")
	server.Dir = folder
	server.Env = append(os.Environ(), "npm_config_protocol=http", "npm_config_port="+port, "npm_config_pidfile="+filepath.Join(t.TempDir(), "pid"))
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the server says %q, and then: %v", line, err)
	}
	return "localhost:" + port
}

// cacheCase is one case of the suite.
type cacheCase struct {
	ID, Suite, Kind string
	Depends         []string
	Browser         bool
}

// cacheSuites returns the cases.
func cacheSuites(t *testing.T, node, folder string) (all []cacheCase) {
	t.Helper()
	index := (&url.URL{Scheme: "file", Path: filepath.Join(folder, "tests/index.mjs")}).String()
	out, err := exec.Command(node, "--input-type=module", "-e", fmt.Sprintf(`
import suites from %q
console.log(JSON.stringify(suites.flatMap(s => s.tests.map(t => (
  {ID: t.id, Suite: s.id, Kind: t.kind || "required", Depends: t.depends_on || [], Browser: t.browser_only === true})))))`, index)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// judgeCache reports what passed. A result is true, or a list of what went wrong, of which
// "Setup" means that the cache did nothing that could be judged. Nor can a case be that
// depends on another one that didn't pass.
func judgeCache(t *testing.T, cases []cacheCase, results map[string]any) {
	t.Helper()
	total, passed := map[string]int{}, map[string]int{}
	var missed []string
	for _, c := range cases {
		if c.Browser {
			continue
		}
		total[c.Kind]++
		if results[c.ID] == true {
			passed[c.Kind]++
			continue
		}
		wrong, _ := results[c.ID].([]any)
		judged := len(wrong) > 0 && wrong[0] != "Setup" &&
			!slices.ContainsFunc(c.Depends, func(id string) bool { return results[id] != true })
		missed = append(missed, fmt.Sprintf("%-9s %-16s %s: %v", c.Kind, c.Suite, c.ID, results[c.ID]))
		if c.Kind == "required" && judged && slices.Contains(safetySuites, c.Suite) {
			t.Errorf("%s of %s: %v", c.ID, c.Suite, wrong)
		}
	}
	t.Logf("passed %v of %v; not:\n%s", passed, total, strings.Join(missed, "\n"))
	if passed["required"] < cachePass || total["required"] != cacheCases {
		t.Errorf("%d of %d required cases passed, want at least %d of %d", passed["required"], total["required"], cachePass, cacheCases)
	}
}

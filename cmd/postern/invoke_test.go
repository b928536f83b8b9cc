package main

import (
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/explain"
)

var update = flag.Bool("update", false, "write the traces into the golden files")

// traced is a configuration in which everything that decides has something to decide.
const traced = `
[listen.public]
address = "127.0.0.1:0"
[plugin.gate]
module = "gate.wasm"
timeout = "1m"
[authorizer.gate]
type = "wasm"
plugin = "gate"
[plan.gold]
stages = ["pets:prod"]
quota = { limit = 1000, period = "day" }
[key.mobile]
value = "TheKeyOfTheMobileApplication"
plans = ["gold"]

[api.pets]
type = "rest"
policy = '''{"Version":"2012-10-17","Statement":[
  {"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"},
  {"Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"127.0.0.0/8"}}}]}'''
[api.pets.stage.prod]
variables = { backend = "BACKEND" }

[api.pets.route."POST /pets/{id}"]
[api.pets.route."POST /pets/{id}".integration]
type = "http"
method = "PUT"
url = "http://${stageVariables.backend}/store/{pet}"
parameters = { "integration.request.path.pet" = "method.request.path.id", "integration.request.querystring.q" = "method.request.querystring.x", "integration.request.header.X-Who" = "method.request.header.X-User", "integration.request.header.X-Token" = "method.request.header.Authorization" }
template."application/json" = '''{"name": "$input.path('$.nme')", "id": $input.params('id')#if($input.path('$.age') > 3), "old": true#end}'''
[api.pets.route."POST /pets/{id}".response.default]
[api.pets.route."POST /pets/{id}".response.gone]
pattern = "4\\d\\d"
status = 404
template."application/json" = '{"message": $input.json("$.reason")}'

[api.pets.route."GET /guarded"]
authorizer = "gate"
integration = { type = "mock" }
response.default = {}
[api.pets.route."GET /keyed"]
api_key_required = true
integration = { type = "mock" }
response.default = {}
[api.pets.route."GET /dead"]
integration = { type = "http_proxy", url = "http://127.0.0.1:1/" }
[api.pets.route."GET /slow"]
integration = { type = "http_proxy", url = "http://${stageVariables.backend}/slow", timeout = "50ms" }
[api.pets.route."GET /unmapped"]
integration = { type = "http", method = "GET", url = "http://${stageVariables.backend}/unmapped" }
response.gone = { pattern = "404" }
`

// settled is text without what differs from run to run.
func settled(text string) string {
	for _, r := range [][2]string{
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "ID"},
		{`\d+\.\d+ ms`, "TIME"}, {`\b([0-9.]+(ns|µs|ms)|[0-9]+\.[0-9]+s)\b`, "TIME"}, {`latency: \d+ ms`, "latency: TIME"},
		{`127\.0\.0\.1:\d+`, "BACKEND"}, {`Root=1-[^\s,}]*`, "TRACE"}, {`(x-amz-apigw-id[:=] ?)[^,}\n]*`, "${1}ID"},
		{`0x[0-9a-f]+`, "ADDRESS"}, {`\d+ bytes at ADDRESS\) → \d+`, "N bytes at ADDRESS) → N"}, {`… \(\d+ bytes\)`, "… (N bytes)"},
		{`/\S+/postern\.toml`, "DIR/postern.toml"}, {`(?m)^\w+ \w+ \d\d [\d:]+ UTC \d{4}`, "DATE"}, {`Date([:=] ?)[^\n}]*GMT`, "Date${1}DATE"},
	} {
		text = regexp.MustCompile(r[0]).ReplaceAllString(text, r[1])
	}
	return text
}

// golden compares a trace with the one in testdata/trace.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "trace", name+".golden")
	if got = settled(got); *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

// layTraced writes the configuration, with its plugin and a backend.
func layTraced(t *testing.T) (file string) {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		if strings.HasSuffix(r.URL.Path, "/404") {
			w.WriteHeader(410)
			_, _ = io.WriteString(w, `{"reason":"it ran away","secret":"do not tell anybody"}`)
			return
		}
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(backend.Close)
	file = write(t, strings.Replace(traced, "BACKEND", strings.TrimPrefix(backend.URL, "http://"), 1))
	layGuest(t, filepath.Join(filepath.Dir(file), "gate.wasm"), "../../testdata/wasm/gate")
	return file
}

// layGuest builds a plugin.
func layGuest(t *testing.T, file, source string) {
	t.Helper()
	guest := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-o", file, source)
	guest.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := guest.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// The quickstart's requests show all of their values and decisions.
func TestInvokeQuickstart(t *testing.T) {
	const quickstart = "../../examples/quickstart/"
	text, err := os.ReadFile(quickstart + "postern.toml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\ndata_dir = \"../../build/quickstart\"\n")
	if !found {
		t.Fatal("the quickstart has another data_dir")
	}
	// Where nobody is, and with time for a machine that pauses.
	file := write(t, strings.NewReplacer("127.0.0.1:9080", "127.0.0.1:1", "[plugin.guard]\n", "[plugin.guard]\ntimeout = \"1m\"\n").Replace(rest))
	for _, name := range []string{"greeter", "guard"} {
		layGuest(t, filepath.Join(filepath.Dir(file), name+".wasm"), quickstart+name)
	}
	f := func(name string, args ...string) {
		t.Helper()
		code, out, errs := shell(t, file, append([]string{"invoke", "hello", "--stage", "prod"}, args...)...)
		if code != exitOK || errs != "" {
			t.Fatalf("exit code %d: %s%s", code, out, errs)
		}
		golden(t, "quickstart."+name, out)
	}
	f("hello", "GET /hello/Ann?x=y")
	f("stranger", "GET /private", "-H", "Authorization: Bearer simsim")
	f("friend", "GET /private", "-H", "Authorization: Bearer sesame")
}

// A trace alone tells why a request came to what it did.
func TestInvoke(t *testing.T) {
	file := layTraced(t)
	f := func(name string, args ...string) {
		t.Helper()
		code, out, errs := shell(t, file, append([]string{"invoke", "pets"}, args...)...)
		if code != exitOK || errs != "" {
			t.Fatalf("exit code %d: %s%s", code, out, errs)
		}
		golden(t, name, out)
	}
	post := []string{"POST /pets/7?x=y&token=abcdefgh", "-H", "Content-Type: application/json", "-H", "Authorization: Bearer 0123456789abcdef0123456789", "-d", `{"name":"Rex","password":"hunter2"}`}
	f("template", post...)
	f("template.aws", append(post, "--format", "aws")...)
	f("pattern", "POST /pets/404", "-d", "{}")
	f("policy", "GET /guarded", "--source-ip", "192.0.2.7")
	f("plugin", "GET /guarded", "-H", "X-Gate: shut")
	f("plugin.passed", "GET /guarded", "-H", "X-Gate: open")
	f("key.missing", "GET /keyed")
	f("key.unknown", "GET /keyed", "-H", "X-API-Key: NobodyHasThisKeyAtAll1234")
	f("key.passed", "GET /keyed", "-H", "X-API-Key: TheKeyOfTheMobileApplication")
	f("nowhere", "GET /nowhere")
	for name, args := range map[string][]string{
		"dead": {"GET /dead"}, "slow": {"GET /slow"}, "unmapped": {"GET /unmapped"}, "nowhere": {"GET /nowhere?x=y"}, "plugin.passed": {"GET /guarded", "-H", "X-Gate: open"},
		"plugin": {"GET /guarded", "-H", "X-Gate: shut"}, "key.missing": {"GET /keyed"}, "key.passed": {"GET /keyed", "-H", "X-API-Key: TheKeyOfTheMobileApplication"},
		"long": {"GET /keyed", "-H", "X-API-Key: TheKeyOfTheMobileApplication", "-H", "X-Long: " + strings.Repeat("0123456789", 100)},
	} {
		f(name+".aws", append(args, "--format", "aws")...)
	}

	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitUsage, "isn't a request", []string{"pets", "GET"}},
		{exitUsage, "--format", []string{"pets", "GET /v", "--format", "xml"}},
		{exitFailed, `no API "cats"`, []string{"cats", "GET /v", "--stage", "prod"}},
		{exitFailed, `no stage "dev"`, []string{"pets", "GET /v", "--stage", "dev"}},
		{exitFailed, "no such file", []string{"pets", "POST /v", "-d", "@nothing"}},
		{exitFailed, "isn't an address", []string{"pets", "GET /v", "--source-ip", "here"}},
		{exitFailed, "can't be sent", []string{"pets", "GET /v", "-H", "a b: c"}},
	} {
		code, out, errs := shell(t, file, append([]string{"invoke"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%v: exit code %d, %s%s; want %d, %q", c.args, code, out, errs, c.code, c.says)
		}
	}
}

// The gateway that runs is asked, if one does; live requests are traced for whoever has
// a token, who sees nothing of it.
func TestTraceLive(t *testing.T) {
	r := start(t, layTraced(t))
	code, out, errs := shell(t, r.file, "invoke", "pets", "GET /keyed", "--format", "json")
	var invoked explain.Trace
	if err := json.Unmarshal([]byte(out), &invoked); code != exitOK || err != nil || invoked.Fault.Kind != "INVALID_API_KEY" {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	if strings.Contains(r.stdout.String(), invoked.ID) {
		t.Error("an invocation is in the access log")
	}

	live := func(token string) (id string, header http.Header) {
		t.Helper()
		q, err := http.NewRequest("GET", "http://"+r.addr+"/prod/keyed", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = "pets.localhost"
		q.Header.Set("X-API-Key", "TheKeyOfTheMobileApplication")
		if token != "" {
			q.Header.Set(explain.Header, token)
		}
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != 200 {
			t.Fatal(answer.Status)
		}
		return answer.Header.Get("x-amzn-RequestId"), answer.Header
	}
	kept := func() int {
		t.Helper()
		var found struct{ Traces []explain.Summary }
		code, out, errs := shell(t, r.file, "trace", "--format", "json")
		if err := json.Unmarshal([]byte(out), &found); code != exitOK || err != nil {
			t.Fatalf("exit code %d: %s%s", code, out, errs)
		}
		return len(found.Traces)
	}
	token := func(args ...string) string {
		t.Helper()
		code, out, errs := shell(t, r.file, append([]string{"trace", "token", "pets"}, args...)...)
		if code != exitOK {
			t.Fatal(errs)
		}
		return strings.TrimSpace(out)
	}
	live("") // before there is any token
	good := token("--stage", "prod")
	live("")
	live(good[:len(good)-3] + "AAA")
	live("a.b")
	if n := kept(); n != 0 {
		t.Fatalf("%d traces without a token", n)
	}
	id, header := live(good)
	for name, values := range header {
		if text := name + strings.Join(values, ""); strings.Contains(strings.ToLower(text), "postern") {
			t.Errorf("the reply tells of the trace: %s", text)
		}
	}
	r.await("trace", func() bool { return kept() == 1 })
	for range 20 { // the trace doesn't live in memory that other requests use again
		live("")
	}
	code, out, errs = shell(t, r.file, "trace", "show", id)
	if code != exitOK || strings.Contains(out, good) || strings.Contains(out, "TheKeyOfTheMobileApplication") || !strings.Contains(out, "plan: gold") || !strings.Contains(out, "\n  GET /prod/keyed\n  host        pets.localhost\n") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	if code, _, errs = shell(t, r.file, "trace", "show", "another"); code != exitFailed || !strings.Contains(errs, "no trace") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	info, err := os.Stat(filepath.Join(filepath.Dir(r.file), "state", "trace.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	short := token("--for", "1s")
	time.Sleep(1100 * time.Millisecond) // the clock is the machine's
	live(short)
	if n := kept(); n != 1 {
		t.Errorf("%d traces after one by a token that is too old", n)
	}
	if code, _, errs := shell(t, r.file, "trace", "token", "pets", "--for", "48h"); code != exitUsage {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if code, _, errs := shell(t, r.file, "trace", "token", "cats"); code != exitFailed || !strings.Contains(errs, `no API "cats"`) {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

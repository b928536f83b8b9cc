package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/usage"
)

// metered is an API that needs a key, and a backend-less route that doesn't.
const metered = `
[listen.public]
address = "127.0.0.1:0"
[drain]
timeout = "10s"
[api.hello]
type = "rest"
[api.hello.route."GET /v"]
api_key_required = true
integration = { type = "mock" }
response.default = {}
[api.hello.stage.prod]
[key.declared]
value = "TheDeclaredKeyOfThisFile"
plans = ["gold"]
[plan.gold]
stages = ["hello:prod"]
quota = { limit = 1000000, period = "month" }
`

// shell runs a command as in a shell and returns what it wrote.
func shell(t *testing.T, file string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append(args, "-c", file), &out, &errs)
	return code, out.String(), errs.String()
}

// must is shell for one that has to work; its output is JSON for into.
func must(t *testing.T, file string, into any, args ...string) {
	t.Helper()
	code, out, errs := shell(t, file, append(args, "--json")...)
	if code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, errs)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(out), into); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
}

// with asks for GET /v with an API key.
func (r *running) with(key string) int {
	r.t.Helper()
	status, err := ask(r.addr, key)
	if err != nil {
		r.t.Fatal(err)
	}
	return status
}

func ask(addr, key string) (int, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	fmt.Fprintf(conn, "GET /prod/v HTTP/1.1\r\nHost: hello.localhost\r\nX-API-Key: %s\r\nConnection: close\r\n\r\n", key)
	text, err := io.ReadAll(conn)
	if len(text) < 12 {
		return 0, errors.Join(err, fmt.Errorf("answer %q", text))
	}
	var status int
	_, err = fmt.Sscanf(string(text), "HTTP/1.1 %d", &status)
	return status, err
}

// Keys are made with a gateway and without one, and count at once.
func TestKeyCommands(t *testing.T) {
	file := write(t, metered)
	var before usage.Key
	must(t, file, &before, "key", "create", "before", "--plan", "gold", "--description", "for tests")
	r := start(t, file, "--no-watch")
	var live usage.Key
	must(t, file, &live, "key", "create", "live", "--plan", "gold")
	for _, key := range []string{before.Value, live.Value, live.Value, "TheDeclaredKeyOfThisFile"} {
		if got := r.with(key); got != 200 {
			t.Errorf("%d", got)
		}
	}
	if got := r.with("NobodyKnowsThisKeyAtAll0"); got != 403 {
		t.Errorf("%d", got)
	}
	must(t, file, nil, "key", "disable", "live")
	if got := r.with(live.Value); got != 403 {
		t.Errorf("disabled: %d", got)
	}
	must(t, file, nil, "key", "enable", live.ID)
	csv := filepath.Join(filepath.Dir(file), "keys.csv")
	if err := os.WriteFile(csv, []byte("name,key,usageplanids\nimported,AnImportedKeyOfThirtyCharacters,gold\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, file, nil, "key", "import", csv)
	if got := r.with("AnImportedKeyOfThirtyCharacters"); got != 200 {
		t.Errorf("imported: %d", got)
	}
	var all []usage.Key
	must(t, file, &all, "key", "list")
	if len(all) != 3 {
		t.Errorf("%+v", all)
	}
	var reports []usage.Report
	must(t, file, &reports, "usage", "gold")
	today := len(reports[0].Items[live.ID]) - 1
	if got := reports[0].Items[live.ID][today]; got != [2]int64{2, 999998} {
		t.Errorf("%v", got)
	}
	must(t, file, nil, "usage", "extend", "declared", "5")
	must(t, file, &reports, "usage", "declared")
	if got := reports[0].Items["declared"][today]; got != [2]int64{1, 1000004} {
		t.Errorf("%v", got)
	}
	must(t, file, nil, "key", "delete", "live")
	if got := r.with(live.Value); got != 403 {
		t.Errorf("deleted: %d", got)
	}
	refused := func(want string, args ...string) {
		t.Helper()
		if code, _, errs := shell(t, file, args...); code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("%v: %d, %s", args, code, errs)
		}
	}
	refused("not found", "key", "show", "live")
	refused(`no plan "silver"`, "key", "create", "x", "--plan", "silver")
	refused("not found", "usage", "nobody")
	refused("not found", "usage", "extend", "nobody", "5")
	// The metrics know, and no log has a value.
	if _, text := r.admin("/metrics"); !strings.Contains(text, `postern_plan_requests_total{plan="gold"} 5`) || !strings.Contains(text, "postern_api_keys 2") {
		t.Error(text)
	}
	_, masked := r.admin("/config")
	r.stop()
	if code := r.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, secret := range []string{before.Value, live.Value, "AnImportedKey", "TheDeclaredKey"} {
		for _, text := range []string{r.stdout.String(), r.stderr.String(), masked} {
			if strings.Contains(text, secret) {
				t.Errorf("a key is shown: %s", text)
			}
		}
	}
	if log := r.stderr.String(); !strings.Contains(log, "API key deleted") || !regexp.MustCompile(`by[^\n]*user \d+, process \d+`).MatchString(log) {
		t.Error(log)
	}
	if !strings.Contains(r.stdout.String(), `"api_key_id":"declared"`) {
		t.Error(r.stdout.String())
	}
	// What was used is still known, without the gateway.
	must(t, file, &reports, "usage", "gold")
	if got := reports[0].Items[before.ID][today]; got != [2]int64{1, 999999} {
		t.Errorf("%v", got)
	}
}

// Another process has the state, and no admin socket.
func TestKeyStateInUse(t *testing.T) {
	file := write(t, metered+"[admin]\naddress = \"off\"\n")
	startChild(t, file, nil, "--no-watch")
	code, _, errs := shell(t, file, "key", "list")
	if code != exitFailed || !strings.Contains(errs, "state.db is in use by another process") || !strings.Contains(errs, "admin") {
		t.Errorf("%d, %s", code, errs)
	}
}

// A damaged state keeps the gateway from starting: it doesn't begin with an empty one.
func TestDamagedState(t *testing.T) {
	file := write(t, metered)
	must(t, file, nil, "key", "create", "one")
	path := filepath.Join(filepath.Dir(file), "state", "state.db")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		text[i] ^= 0x55
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := shell(t, file, "run", "--no-watch")
	if code != exitFailed || !strings.Contains(errs, path) || !strings.Contains(errs, "move it away") {
		t.Errorf("%d, %s", code, errs)
	}
	if code, _, errs = shell(t, file, "validate"); code != 0 { // it doesn't look at the state
		t.Errorf("%d, %s", code, errs)
	}
}

// Pages of a browser can't make keys, though they reach loopback.
func TestKeyRequestsOfPages(t *testing.T) {
	file := write(t, metered+"[admin]\naddress = \"127.0.0.1:0\"\n")
	r := start(t, file, "--no-watch")
	admin := ""
	for _, line := range r.log() {
		if bound, ok := line["bound"].(string); ok && line["message"] == "admin" {
			admin = bound
		}
	}
	try := func(method, path, body string, headers ...string) int {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+admin+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			if req.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
				req.Host = headers[i+1]
			}
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	f := func(want int, method, path, body string, headers ...string) {
		t.Helper()
		if got := try(method, path, body, headers...); got != want {
			t.Errorf("%s %s %v: %d, want %d", method, path, headers, got, want)
		}
	}
	const json, good = "application/json", `{"name":"one"}`
	f(201, "POST", "/keys", good, "Content-Type", json)
	f(415, "POST", "/keys", good, "Content-Type", "text/plain")
	f(415, "POST", "/keys", good)
	f(403, "POST", "/keys", good, "Content-Type", json, "Origin", "http://evil.example")
	f(403, "POST", "/keys", good, "Content-Type", json, "Sec-Fetch-Site", "same-site")
	f(403, "DELETE", "/keys/one", "", "Origin", "null")
	f(415, "POST", "/keys/import", "Name,Key\n", "Content-Type", "text/plain")
	f(421, "POST", "/keys", good, "Content-Type", json, "Host", "evil.example")
	f(400, "POST", "/keys", `{"name":"one","nome":1}`, "Content-Type", json)
	f(400, "POST", "/keys", good+good, "Content-Type", json)
	f(400, "POST", "/keys", `{"name":"`+strings.Repeat("x", 70000)+`"}`, "Content-Type", json)
	f(409, "POST", "/keys", `{"name":"x","value":"TheDeclaredKeyOfThisFile"}`, "Content-Type", json)
	f(400, "PATCH", "/keys/one", `{}`, "Content-Type", json)
	f(200, "PATCH", "/keys/one", `{"enabled":false}`, "Content-Type", json)
	f(404, "PATCH", "/keys/two", `{"enabled":false}`, "Content-Type", json)
	f(405, "PUT", "/keys", good, "Content-Type", json)
	f(400, "GET", "/keys?limit=0", "")
	f(400, "GET", "/usage", "")
	f(400, "GET", "/usage?plan=gold&key=one", "")
	f(200, "GET", "/usage?plan=gold", "")
	f(404, "GET", "/usage?plan=silver", "")
}

// An upgrade hands the state over: made keys are good all the time, and every request
// is counted once, whichever process took it.
func TestUpgradeHandsStateOver(t *testing.T) {
	file := write(t, metered)
	var made usage.Key
	must(t, file, &made, "key", "create", "made", "--plan", "gold")
	r := launch(t, file, nil)
	r.listening()
	r.await("the PID file", func() bool { return r.pid() == r.child.Pid })
	var passed, wrong atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				status, err := ask(r.addr, made.Value)
				if err != nil || status != 200 {
					wrong.Add(1)
					t.Errorf("%d, %v", status, err)
					return
				}
				passed.Add(1)
			}
		})
	}
	pause()
	first := r.pid()
	second := r.upgrade()
	pause()
	var during usage.Key
	must(t, file, &during, "key", "create", "during", "--plan", "gold")
	if got := r.with(during.Value); got != 200 {
		t.Errorf("a key that was made after the upgrade: %d", got)
	}
	close(stop)
	load.Wait()
	r.gone(first)
	var reports []usage.Report
	must(t, file, &reports, "usage", "made")
	days := reports[0].Items[made.ID]
	used := int64(0)
	for _, day := range days {
		used += day[0]
	}
	if used != passed.Load() || wrong.Load() > 0 || used < 20 {
		t.Errorf("%d requests passed, %d are counted\n%s", passed.Load(), used, r.stderr.String())
	}
	if err := syscall.Kill(second, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.gone(second)
	must(t, file, &reports, "usage", "made")
}

// An upgrade that fails gives the state back.
func TestUpgradeGivesStateBack(t *testing.T) {
	file := write(t, metered)
	r := launch(t, file, nil)
	r.listening()
	r.await("the PID file", func() bool { return r.pid() == r.child.Pid })
	if got := r.with("TheDeclaredKeyOfThisFile"); got != 200 {
		t.Fatal(got)
	}
	// The new process gets as far as the state, and no further.
	rewrite(t, file, strings.Replace(metered, `{ type = "mock" }`, `{ type = "http_proxy", url = "http://127.0.0.1:1/{nobody}" }`, 1)+"[domain.\"x.example\".map]\n\"/\" = \"hello:prod\"\n[listen.second]\naddress = \""+r.addr+"\"\n")
	r.signal(syscall.SIGUSR2)
	r.await("the refusal", func() bool { return strings.Contains(r.stderr.String(), "upgrade refused") })
	rewrite(t, file, metered)
	if got := r.with("TheDeclaredKeyOfThisFile"); got != 200 {
		t.Fatal(got)
	}
	var made usage.Key
	must(t, file, &made, "key", "create", "after", "--plan", "gold")
	if got := r.with(made.Value); got != 200 {
		t.Errorf("%d", got)
	}
	var reports []usage.Report
	must(t, file, &reports, "usage", "declared")
	days := reports[0].Items["declared"]
	if got := days[len(days)-1][0]; got != 2 {
		t.Errorf("%d are counted, want 2", got)
	}
}

// A reload with a state elsewhere is refused; what serves, serves on.
func TestStateStays(t *testing.T) {
	file := write(t, metered)
	r := start(t, file, "--no-watch")
	rewrite(t, file, metered+"[state]\npath = \"elsewhere.db\"\n")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.await("the refusal", func() bool { return strings.Contains(r.stderr.String(), "state.path can't be changed") })
	if got := r.with("TheDeclaredKeyOfThisFile"); got != 200 {
		t.Errorf("%d", got)
	}
}

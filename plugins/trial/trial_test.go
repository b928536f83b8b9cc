package trial_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/plugins/trial"
)

// errGuests is why the guests can't be built. They are in $TRIAL_GUESTS.
var errGuests error

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "trial")
	if err != nil {
		panic(err)
	}
	os.Setenv("TRIAL_GUESTS", dir)
	for name, source := range map[string]string{"guard": "../../examples/quickstart/guard", "greeter": "../../examples/quickstart/greeter"} {
		build := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-o", filepath.Join(dir, name+".wasm"), source)
		build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		if out, err := build.CombinedOutput(); err != nil {
			errGuests = errors.Join(errGuests, errors.New(string(out)))
		}
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// open loads a guest of the quickstart.
func open(t *testing.T, name string, o trial.Options, settings ...string) *trial.Bench {
	t.Helper()
	if errGuests != nil {
		t.Fatal(errGuests)
	}
	dir := os.Getenv("TRIAL_GUESTS")
	cfg, findings := trial.File(name, filepath.Join(dir, name+".wasm"), append(settings, "timeout=1m")...)
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	o.CacheDir = filepath.Join(dir, "cache")
	b, findings, err := trial.Open(t.Context(), cfg, name, o)
	if err != nil || findings.Failed() {
		t.Fatal(findings.Text(), err)
	}
	t.Cleanup(b.Close)
	return b
}

func parse(t *testing.T, text string) *trial.Case {
	t.Helper()
	c, err := trial.ParseCase("x.txtar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAuthorizer(t *testing.T) {
	b := open(t, "guard", trial.Options{Calls: true}, "config.token=sesame")
	if fmt.Sprint(b.Roles) != "[authorize]" {
		t.Fatalf("roles %v", b.Roles)
	}
	decides := func(request, verdict string, status int, lines ...string) *trial.Outcome {
		t.Helper()
		o, err := b.Run(t.Context(), parse(t, "-- request --\n"+request))
		if err != nil {
			t.Fatal(err)
		}
		if o.Verdict != verdict || o.Reply.Status != status || (o.Sent != nil) != (verdict == "allow") {
			t.Errorf("%s: got %s, %d, sent %v; want %s, %d", request, o.Verdict, o.Reply.Status, o.Sent, verdict, status)
		}
		for _, line := range lines {
			if !slices.Contains(o.Lines(), line) {
				t.Errorf("%s: no line %q in\n%s", request, line, strings.Join(o.Lines(), "\n"))
			}
		}
		return o
	}
	o := decides("GET /x?y=1\nAuthorization: Bearer sesame\n", "allow", 200, "principal: bearer", "sent: GET /x?y=1", "header Content-Type: text/plain")
	if o.Took <= 0 || o.Memory < 1<<20 {
		t.Errorf("it took %v and %d bytes", o.Took, o.Memory)
	}
	calls := ""
	for _, c := range o.Calls {
		calls += c.Phase + " " + c.String() + "\n"
	}
	for _, want := range []string{`authorize postern_v1.map_get(map=headers, name="Authorization", buffer=`, `buffer="Bearer sesame"`, `principal_set(principal="bearer") → 0`} {
		if !strings.Contains(calls, want) {
			t.Errorf("no %q in the calls\n%s", want, calls)
		}
	}
	decides("GET /\nAuthorization: Bearer simsim\n", "deny", 403, "fault: ACCESS_DENIED")
	decides("GET https://api.example.com/x\n", "unauthenticated", 401)
	// What no route takes isn't the plugin's doing.
	if _, err := b.Run(t.Context(), parse(t, "-- request --\nGET /a/../b\n")); err == nil {
		t.Error("a path with dots reached the plugin")
	}
	if _, err := b.Run(t.Context(), parse(t, "role integrate\n-- request --\nGET /\n")); !errors.Is(err, trial.ErrRole) {
		t.Errorf("a role that isn't there: %v", err)
	}
}

func TestFunction(t *testing.T) {
	b := open(t, "greeter", trial.Options{})
	o, err := b.Run(t.Context(), parse(t, "resource /hello/{name}\nvariable greeting=Moin\n-- request --\nGET /hello/Ada\n"))
	if err != nil {
		t.Fatal(err)
	}
	if o.Verdict != "done" || o.Reply.Status != 200 || !strings.Contains(o.Reply.Body, "Moin, Ada") || len(o.Calls) != 0 {
		t.Errorf("got %+v", o)
	}
}

func TestCase(t *testing.T) {
	text := "# Who is known gets in.\nplugin guard\nrole authorize\nclient 198.51.100.7\nvariable a=b=c\n-- request --\nPOST /x HTTP/1.1\nA: 1\nB:  two \n\nline one\n\nline two\n-- backend --\nHTTP/1.1 404 Not Found\nX: y\n-- want --\nverdict: allow\nnot header X-B\n-- want.body --\nbody\n"
	c := parse(t, text)
	got := fmt.Sprintf("%s %s %s %v %q %+v %q %q", c.Plugin, c.Role, c.Request.Client, c.Variables, c.Request, *c.Backend, c.Want, *c.WantBody)
	want := `guard authorize 198.51.100.7 map[a:b=c] {"POST" "/x" [{"A" "1"} {"B" "two"}] "line one\n\nline two\n" "198.51.100.7"} {Status:404 Headers:[{Name:X Value:y}] Body:} ["verdict: allow" "not header X-B"] "body\n"`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	bad := func(text, want string) {
		t.Helper()
		if _, err := trial.ParseCase("x.txtar", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
	bad("", "there is no request")
	bad("roll authorize\n-- request --\nGET /\n", "x.txtar:1: \"roll authorize\": a case's lines are")
	bad("-- request --\nGET\n", "request: line 1")
	bad("-- request --\nGET /\nno header\n", "request: line 2: \"no header\" isn't a header")
	bad("-- request --\nGET /\n-- backend --\nOK\n", "backend: line 1")
	bad("-- request --\nGET /\n-- wants --\n", "a case has the files")
	bad("skip\n-- request --\nGET /\n", "say why")
	bad("variable x\n-- request --\nGET /\n", "NAME=VALUE")
}

func TestCheckAndUpdate(t *testing.T) {
	o := &trial.Outcome{Verdict: "deny", Fault: "ACCESS_DENIED", Reply: trial.Response{Status: 403, Headers: []trial.Header{{"X-A", "1"}, {"Date", "now"}}, Body: "no\n"}}
	c := parse(t, "# kept\n-- request --\nGET /\n-- want --\nverdict: allow\nstatus: 403\nheader X-B: 2\nnot header x-a\n-- want.body --\nyes\n")
	want := []string{"want verdict: allow, got verdict: deny", "want header X-B: 2, got nothing of the kind", `there is, against "not header x-a": header X-A: 1`, `want the body "yes\n", got "no\n"`}
	if got := c.Check(o); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	updated := string(c.Update(o))
	if wantText := "# kept\n-- request --\nGET /\n-- want --\nverdict: deny\nfault: ACCESS_DENIED\nstatus: 403\nheader X-A: 1\n-- want.body --\nno\n"; updated != wantText {
		t.Errorf("got\n%s\nwant\n%s", updated, wantText)
	}
	if wrong := parse(t, updated).Check(o); len(wrong) != 0 {
		t.Errorf("the updated case fails: %q", wrong)
	}
}

func TestCheck(t *testing.T) {
	check := func(name, request string, settings ...string) *trial.Report {
		t.Helper()
		if errGuests != nil {
			t.Fatal(errGuests)
		}
		dir := os.Getenv("TRIAL_GUESTS")
		cfg, findings := trial.File(name, filepath.Join(dir, name+".wasm"), append(settings, "timeout=1m")...)
		if findings.Failed() {
			t.Fatal(findings.Text())
		}
		var c *trial.Case
		if request != "" {
			c = parse(t, "-- request --\n"+request)
		}
		r, findings, err := trial.Check(t.Context(), cfg, name, c, trial.Options{CacheDir: filepath.Join(dir, "cache")})
		if err != nil || findings.Failed() {
			t.Fatal(findings.Text(), err)
		}
		return r
	}
	grades := func(r *trial.Report, want ...string) {
		t.Helper()
		var got []string
		for _, c := range r.Results {
			got = append(got, c.Check+" "+c.Grade)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("\n got %q\nwant %q\n%+v", got, want, r.Results)
		}
	}
	r := check("guard", "GET /\nAuthorization: Bearer sesame\n", "config.token=sesame")
	grades(r, "load ok", "ordinary request ok", "same request again ok", "trap ok", "odd requests ok", "many at once ok", "memory note", "deadline ok")
	if r.Failed() || r.Results[3].Text[:7] != "2 tried" {
		t.Errorf("%+v", r.Results)
	}
}

// A plugin that says itself that it can't take a request isn't a bad one.
func TestCheckGrades(t *testing.T) {
	bad, err := os.ReadFile(filepath.Join(os.Getenv("TRIAL_GUESTS"), "greeter.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, grade string
		wasm        []byte
	}{
		{"done", trial.Good, bad},
		{"trap", trial.Bad, authorizerModule(0x00, 0x0b)},                                               // unreachable
		{"zero", trial.Bad, authorizerModule(0x41, 0, 0x0b)},                                            // no decision
		{"loop", trial.Bad, authorizerModule(0x03, 0x40, 0x0c, 0, 0x0b, 0x00, 0x0b)},                    // loop br 0
		{"fail", trial.Weak, authorizerModule(0x41, 1, 0x41, 0, 0x41, 0, 0x10, 0, 0x1a, 0x41, 0, 0x0b)}, // fail(1, "")
	} {
		file := filepath.Join(t.TempDir(), c.name+".wasm")
		if err := os.WriteFile(file, c.wasm, 0o600); err != nil {
			t.Fatal(err)
		}
		timeout := "timeout=1m"
		if c.name == "loop" {
			timeout = "timeout=50ms"
		}
		cfg, findings := trial.File(c.name, file, timeout)
		if findings.Failed() {
			t.Fatal(findings.Text())
		}
		r, findings, err := trial.Check(t.Context(), cfg, c.name, nil, trial.Options{CacheDir: filepath.Join(os.Getenv("TRIAL_GUESTS"), "cache")})
		if err != nil || findings.Failed() {
			t.Fatal(findings.Text(), err)
		}
		if got := r.Results[1]; got.Check != "ordinary request" || got.Grade != c.grade || r.Failed() != (c.grade == trial.Bad) {
			t.Errorf("%s: got %+v, want %s", c.name, got, c.grade)
		}
	}
}

// What a guest does when the reply stands can't fail a request any more.
func TestCheckAfterReply(t *testing.T) {
	file := filepath.Join(t.TempDir(), "logs.wasm")
	if err := os.WriteFile(file, logsModule(), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, findings := trial.File("logs", file, "timeout=1m")
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	r, findings, err := trial.Check(t.Context(), cfg, "logs", nil, trial.Options{CacheDir: filepath.Join(os.Getenv("TRIAL_GUESTS"), "cache")})
	if err != nil || findings.Failed() {
		t.Fatal(findings.Text(), err)
	}
	const want = "1 tried: each costs its request only, which fails; the next one is served; 1 when the reply stood: they change nothing"
	at := slices.IndexFunc(r.Results, func(c trial.Result) bool { return c.Role == "request" && c.Check == "trap" })
	if at < 0 || r.Results[at].Grade != trial.Good || r.Results[at].Text != want {
		t.Errorf("got %+v, want in the role request %q", r.Results, want)
	}
}

// logsModule is a plugin of proxy-wasm that logs a line in proxy_on_request_headers
// and one in proxy_on_log.
func logsModule() []byte {
	section := func(id byte, content string) string { return string([]byte{id, byte(len(content))}) + content }
	body := func(code string) string { return string([]byte{byte(len(code) + 2), 0}) + code + "\x0b" }
	export := func(name string, kind, index byte) string {
		return string([]byte{byte(len(name))}) + name + string([]byte{kind, index})
	}
	const log = "\x41\x02\x41\x00\x41\x00\x10\x00\x1a" // proxy_log(info, "")
	return []byte("\x00asm\x01\x00\x00\x00" +
		section(1, "\x04\x60\x03\x7f\x7f\x7f\x01\x7f\x60\x00\x00\x60\x01\x7f\x00\x60\x01\x7f\x01\x7f") +
		section(2, "\x01\x03env\x09proxy_log\x00\x00") +
		section(3, "\x04\x01\x00\x02\x03") +
		section(5, "\x01\x00\x01") +
		section(7, "\x05"+export("memory", 2, 0)+export("proxy_abi_version_0_2_1", 0, 1)+export("proxy_on_request_headers", 0, 2)+
			export("proxy_on_log", 0, 3)+export("proxy_on_memory_allocate", 0, 4)) +
		section(10, "\x04"+body("")+body(log+"\x41\x00")+body(log)+body("\x41\x00")))
}

// authorizerModule is a native authorizer with this code, which may call fail as
// function 0.
func authorizerModule(code ...byte) []byte {
	section := func(id byte, content string) string { return string([]byte{id, byte(len(content))}) + content }
	body := func(code string) string { return string([]byte{byte(len(code) + 1), 0}) + code }
	return []byte("\x00asm\x01\x00\x00\x00" +
		section(1, "\x02\x60\x03\x7f\x7f\x7f\x01\x7f\x60\x00\x01\x7f") +
		section(2, "\x01\x0apostern_v1\x04fail\x00\x00") +
		section(3, "\x02\x01\x01") +
		section(5, "\x01\x00\x01") +
		section(7, "\x03\x06memory\x02\x00\x0bpostern_abi\x00\x01\x11postern_authorize\x00\x02") +
		section(10, "\x02"+body("\x41\x80\x80\x04\x0b")+body(string(code))))
}

func FuzzParseCase(f *testing.F) {
	f.Add("role authorize\n-- request --\nGET /\nA: b\n\nbody\n-- backend --\n200\n-- want --\nverdict: allow\n")
	f.Add("variable a=b\n-- request --\nGET https://h/p?q HTTP/1.1\n-- want.body --\nx\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := trial.ParseCase("x", []byte(text))
		if err != nil {
			return
		}
		// What an outcome makes of a case can be read again, and wants what came out.
		o := &trial.Outcome{Verdict: "done", Reply: trial.Response{Status: 200, Body: "body\n"}}
		again, err := trial.ParseCase("x", c.Update(o))
		if err != nil {
			t.Fatalf("the updated case can't be read: %v\n%s", err, c.Update(o))
		}
		if wrong := again.Check(o); len(wrong) > 0 {
			t.Fatalf("the updated case fails: %q\n%s", wrong, c.Update(o))
		}
	})
}

package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// canaried is manual's API with a canary that gets that share of the requests.
func canaried(version, percent string) string {
	return manual(version) + "tags.team = \"pets\"\ncanary = { percent = " + percent + " }\n"
}

// The share of a canary is moved, promoted, rolled back and taken away by command, and
// the two count by themselves.
func TestCanaryCommands(t *testing.T) {
	r := startChild(t, write(t, canaried("1", "10")), nil, "--no-watch")
	r.serves("1") // both sides run it
	says := func(want string, args ...string) {
		t.Helper()
		if got := r.command(0, append(args, "hello", "--stage", "prod")...); !strings.Contains(got, want) {
			t.Fatalf("postern %v: %q, want %q", args, got, want)
		}
	}
	rewrite(t, r.file, canaried("2", "10"))
	says("the canary of hello:prod: serves deployment 2", "deploy")
	says("gets 100 %", "canary", "share", "--percent", "100")
	r.serves("2")
	says("gets 0 %", "canary", "share", "--percent", "0")
	r.serves("1")
	says("hello:prod: serves deployment 2", "promote")
	r.serves("2")
	says("serves deployment 1", "rollback")
	r.serves("1")
	rewrite(t, r.file, canaried("3", "100"))
	says("the canary of hello:prod: serves deployment 3", "deploy")
	r.serves("3")
	says("gets 0 %", "canary", "disable")
	r.serves("1")
	if got := r.command(1, "promote", "hello", "--stage", "prod"); !strings.Contains(got, "deploy to it first") {
		t.Errorf("promoting nothing: %q", got)
	}
	if got := r.command(1, "canary", "share", "hello", "--stage", "prod", "--percent", "101"); !strings.Contains(got, "want 0 to 100") {
		t.Errorf("a share of 101 %%: %q", got)
	}
	audit, err := os.ReadFile(filepath.Join(filepath.Dir(r.file), "state", "audit.log"))
	if err != nil || !strings.Contains(string(audit), `"what":"canary share","object":"hello:prod","before":"100 %","after":"0 %"`) {
		t.Errorf("the audit log has no change of the share: %v, %s", err, audit)
	}
	_, metrics := r.admin("/metrics")
	for _, want := range []string{`postern_stage_tag{api="hello",stage="prod",tag="team",value="pets"} 1`, `api="hello",stage="prod"`, `api="hello",stage="prod/Canary"`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no metrics of %s", want)
		}
	}
}

// A hundred deployments to a canary, promotions and rollbacks under load: no request fails, and
// the canary gets its share.
func TestCanaryUnderLoad(t *testing.T) {
	backend := echo(t)
	text := func(version string) string {
		return strings.Replace(echoed(backend, version), "[api.hello.stage.prod]", "[api.hello.stage.prod]\ndeploy = \"manual\"\ncanary.percent = 10", 1)
	}
	r := launch(t, write(t, text("0")), nil)
	r.listening()
	r.await("the PID file", func() bool { return r.pid() > 0 })
	stop := r.load(10)
	for i := range 25 {
		rewrite(t, r.file, text(fmt.Sprint(i+1)))
		r.command(0, "deploy", "hello", "--stage", "prod")
		r.command(0, "canary", "share", "hello", "--stage", "prod", "--percent", "50")
		r.command(0, "promote", "hello", "--stage", "prod")
		r.command(0, "rollback", "hello", "--stage", "prod")
	}
	if n := stop(); n < 100 {
		t.Errorf("only %d requests", n)
	}
	r.signal(syscall.SIGTERM)
	if code := r.ended(); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.stderr.String())
	}
}

// A tenth of the requests of a client goes to a canary of 10 %. The bound is 4.5
// standard deviations, once in 150,000 runs.
func TestCanaryShareOfRequests(t *testing.T) {
	r := startChild(t, write(t, canaried("1", "10")), nil, "--no-watch")
	rewrite(t, r.file, canaried("2", "10"))
	r.command(0, "deploy", "hello", "--stage", "prod")
	const n, p = 2000, 0.1
	drawn := 0.0
	for range n {
		switch _, text := r.get("/v"); text {
		case "2":
			drawn++
		case "1":
		default:
			t.Fatalf("answered %q", text)
		}
	}
	if off := math.Abs(drawn - n*p); off > 4.5*math.Sqrt(n*p*(1-p)) {
		t.Errorf("%v of %d requests", drawn, n)
	}
}

// What README shows of canaries works as it stands there.
func TestCanaryReadme(t *testing.T) {
	if ran := commandsOf(t, "Try what is new on a few", "/v1/", "/v2/"); ran != 8 {
		t.Errorf("%d commands", ran)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/deployment"
)

// manual is mock's API with a stage that changes by command only.
func manual(version string) string { return mock(version) + "deploy = \"manual\"\n" }

// command runs a command about r's configuration and returns what it says.
func (r *running) command(want int, args ...string) string {
	r.t.Helper()
	var out bytes.Buffer
	if code := run(context.Background(), append(args, "-c", r.file), &out, &out); code != want {
		r.t.Fatalf("postern %s: exit code %d, want %d: %s", strings.Join(args, " "), code, want, out.String())
	}
	return out.String()
}

// serves fails unless the gateway answers with that version.
func (r *running) serves(version string) {
	r.t.Helper()
	if _, got := r.get("/v"); got != version {
		r.t.Fatalf("answers %q, want %q", got, version)
	}
}

// reload makes text the configuration and waits until it is accepted.
func (r *running) reload(text string) {
	r.t.Helper()
	rewrite(r.t, r.file, text)
	count := func() (n int) {
		for _, line := range r.log() {
			if line["message"] == "configuration reloaded" {
				n++
			}
		}
		return n
	}
	before := count()
	if err := syscall.Kill(r.child.Pid, syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	r.await("the reload", func() bool { return count() > before })
}

// What isn't deployed reaches nobody; what is can be rolled back, compared and told.
func TestDeploy(t *testing.T) {
	r := startChild(t, write(t, manual("1")), nil, "--no-watch")
	r.serves("1")
	r.reload(manual("2"))
	r.serves("1")
	if got := r.command(4, "diff", "hello", "prod"); got != "~ api.hello.route.\"GET /v\".response.default.template.\"text/plain\".text = \"1\" → \"2\"\n" {
		t.Errorf("diff: %s", got)
	}
	r.command(0, "diff", "hello", "prod", "1")
	if got := r.command(0, "deploy", "hello", "--stage", "prod", "-m", "second"); !strings.HasPrefix(got, "hello:prod: serves deployment 2 (") || !strings.HasSuffix(got, ", was 1\n") {
		t.Errorf("deploy: %q", got)
	}
	r.serves("2")
	rewrite(t, r.file, manual("3")) // deploy reads the file itself
	r.command(0, "deploy", "hello", "--stage", "prod")
	r.serves("3")
	if got := r.command(0, "rollback", "hello", "--stage", "prod"); !strings.Contains(got, "serves deployment 2 (") {
		t.Errorf("rollback: %q", got)
	}
	r.serves("2")
	r.command(0, "rollback", "hello", "--stage", "prod")
	r.serves("1")
	r.command(0, "rollback", "hello", "--stage", "prod", "--to", "3")
	r.serves("3")
	var h deployment.History
	if err := json.Unmarshal([]byte(r.command(0, "deployments", "hello", "--format", "json")), &h); err != nil {
		t.Fatal(err)
	}
	if len(h.Deployments) != 3 || h.Deployments[1].Message != "second" || h.Stages["prod"].Deployment != 3 || !strings.HasPrefix(h.Deployments[1].By, "user ") {
		t.Errorf("%+v", h)
	}
	if got := r.command(0, "deployments", "hello"); !strings.Contains(got, "second") {
		t.Errorf("%s", got)
	}
	if got := r.command(0, "deployments", "show", "hello", "2"); !strings.Contains(got, `"text": "2"`) {
		t.Errorf("%s", got)
	}

	f := func(code int, want string, args ...string) {
		t.Helper()
		if got := r.command(code, args...); !strings.Contains(got, want) {
			t.Errorf("postern %v: got %q, want %q", args, got, want)
		}
		r.serves("3")
	}
	f(1, `no stage "nope"; it has: prod`, "deploy", "hello", "--stage", "nope")
	f(1, `no API "nope"; there are: [hello]`, "deploy", "nope", "--stage", "prod")
	f(2, `"stage" not set`, "deploy", "hello")
	f(1, "has no deployment 9", "rollback", "hello", "--stage", "prod", "--to", "9")
	f(1, "has no canary", "promote", "hello", "--stage", "prod")
	f(1, "in use: stage prod", "deployments", "delete", "hello", "3")
	f(0, "deployment 2 of hello is deleted", "deployments", "delete", "hello", "2")
	f(1, "has no deployment 2", "diff", "hello", "2", "3")
	rewrite(t, r.file, strings.Replace(manual("4"), `type = "mock"`, `type = "mok"`, 1))
	f(3, `did you mean "mock"`, "deploy", "hello", "--stage", "prod")
	rewrite(t, r.file, strings.Replace(manual("4"), `"4"`, `"#if("`, 1))
	f(3, "template", "deploy", "hello", "--stage", "prod")

	// It is noted who did what.
	text, err := os.ReadFile(filepath.Join(filepath.Dir(r.file), "state", auditFile))
	if err != nil {
		t.Fatal(err)
	}
	var stages, failures int
	for line := range strings.Lines(string(text)) {
		var c map[string]any
		if err := json.Unmarshal([]byte(line), &c); err != nil || c["by"] == "" || c["time"] == nil {
			t.Fatalf("%s: %v", line, err)
		}
		if c["what"] == "stage" {
			stages++
		}
		if c["failure"] != nil {
			failures++
		}
	}
	if stages != 6 || failures < 5 {
		t.Errorf("%d changes of stages and %d failures are noted:\n%s", stages, failures, text)
	}
}

// A stage that follows the file does so until a rollback, and again when the file says
// something else.
func TestDeployAuto(t *testing.T) {
	r := startChild(t, write(t, mock("1")), nil, "--no-watch")
	r.reload(mock("2"))
	r.serves("2")
	r.command(0, "rollback", "hello", "--stage", "prod")
	r.serves("1")
	r.reload(mock("2") + "variables = { a = \"b\" }\n") // not of the API's definition
	r.serves("1")
	r.reload(mock("3"))
	r.serves("3")
	r.reload(manual("4"))
	r.serves("3")
	if got := r.command(0, "deployments", "hello"); strings.Count(got, "reload") != 3 {
		t.Errorf("%s", got)
	}
}

// --dev has stages follow the file that don't.
func TestDevelopment(t *testing.T) {
	r := startChild(t, write(t, manual("1")), nil, "--no-watch", "--dev")
	r.reload(manual("2"))
	r.serves("2")
}

// Without a gateway the commands change what the next one serves. It serves what was
// deployed, whatever the file says.
func TestDeployOffline(t *testing.T) {
	r := &running{t: t, file: write(t, manual("1"))}
	r.command(0, "deploy", "hello", "--stage", "prod")
	rewrite(t, r.file, manual("2"))
	started := startChild(t, r.file, nil, "--no-watch")
	started.serves("1")
	if err := started.child.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	started.ended()
	r.command(0, "deploy", "hello", "--stage", "prod")
	rewrite(t, r.file, manual("3"))
	r.command(4, "diff", "hello", "prod", "file", "--format", "json")
	startChild(t, r.file, nil, "--no-watch").serves("2")
}

// A plugin stays what it was deployed as: its module is kept.
func TestDeployPlugin(t *testing.T) {
	text := func(version string) string {
		return strings.Replace(manual(version), "[api.hello.route.\"GET /v\"]", "[api.hello.route.\"GET /v\"]\nauthorizer = \"gate\"", 1) +
			"[plugin.gate]\nmodule = \"gate.wasm\"\ntimeout = \"1m\"\n[authorizer.gate]\ntype = \"wasm\"\nplugin = \"gate\"\n"
	}
	file := write(t, text("1"))
	module := filepath.Join(filepath.Dir(file), "gate.wasm")
	replace(t, module, decides(1))
	r := startChild(t, file, nil, "--no-watch")
	r.serves("1")
	replace(t, module, decides(0))
	r.reload(text("1"))
	r.serves("1")
	r.command(4, "diff", "hello", "prod")
	r.command(0, "deploy", "hello", "--stage", "prod")
	if status, _ := r.get("/v"); status < 400 {
		t.Fatalf("the new module isn't asked: status %d", status)
	}
	r.command(0, "rollback", "hello", "--stage", "prod")
	r.serves("1")
	if err := r.child.Kill(); err != nil {
		t.Fatal(err)
	}
	r.ended()
	startChild(t, file, nil, "--no-watch").serves("1")
}

// Two can't deploy at the same time, and whoever is second hears it.
func TestDeployBusy(t *testing.T) {
	r := startChild(t, write(t, manual("1")), nil, "--no-watch")
	unlock, err := deployment.NewArchive(deploymentsDir(filepath.Join(filepath.Dir(r.file), "state"))).Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if got := r.command(1, "deploy", "hello", "--stage", "prod"); !strings.Contains(got, "another deployment is under way") {
		t.Errorf("%q", got)
	}
	r.serves("1")
}

// A history that is damaged is told by its name: what it was before serves, or nothing.
func TestDamagedHistory(t *testing.T) {
	r := startChild(t, write(t, manual("1")), nil, "--no-watch")
	for _, version := range []string{"2", "3"} {
		rewrite(t, r.file, manual(version))
		r.command(0, "deploy", "hello", "--stage", "prod")
	}
	dir := filepath.Join(deploymentsDir(filepath.Join(filepath.Dir(r.file), "state")), "hello")
	history := filepath.Join(dir, "history.json")
	if err := os.Truncate(history, 40); err != nil {
		t.Fatal(err)
	}
	rewrite(t, r.file, manual("4"))
	if err := syscall.Kill(r.child.Pid, syscall.SIGHUP); err != nil { // what serves counts, and is written anew
		t.Fatal(err)
	}
	r.await("a history that is whole", func() bool {
		st, err := os.Stat(history)
		return err == nil && st.Size() > 40
	})
	r.serves("3")
	if !strings.Contains(r.stderr.String(), history+" is damaged") {
		t.Errorf("the file isn't named: %s", r.stderr.String())
	}
	if err := r.child.Kill(); err != nil {
		t.Fatal(err)
	}
	r.ended()

	if err := os.Truncate(history, 40); err != nil {
		t.Fatal(err)
	}
	again := startChild(t, r.file, nil, "--no-watch")
	again.serves("3")
	if !strings.Contains(again.stderr.String(), history+" is damaged") {
		t.Errorf("the file isn't named: %s", again.stderr.String())
	}
	if err := again.child.Kill(); err != nil {
		t.Fatal(err)
	}
	again.ended()

	for _, name := range []string{history, history + ".copy"} {
		if err := os.WriteFile(name, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out output
	if code := run(context.Background(), []string{"run", "-c", r.file}, &out, &out); code != exitFailed || !strings.Contains(out.String(), history+" is damaged") || !strings.Contains(out.String(), "backup") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}

// A gateway that is killed while it deploys serves the old deployment or the new one at
// its next start, which takes less than 2 s. POSTERN_KILLS is how often.
func TestDeployKilled(t *testing.T) {
	kills := 25
	if s := os.Getenv("POSTERN_KILLS"); s != "" {
		kills, _ = strconv.Atoi(s)
	}
	file := write(t, manual("0"))
	served := 0
	var mixed, lost, newer int
	var slowest time.Duration
	for i := range kills {
		began := time.Now()
		r := startChild(t, file, nil, "--no-watch")
		slowest = max(slowest, time.Since(began))
		_, text := r.get("/v")
		got, err := strconv.Atoi(text)
		switch {
		case err != nil:
			mixed++
		case got < served:
			lost++
			t.Errorf("start %d serves %d after %d was deployed", i, got, served)
		case got > served:
			newer++
		}
		served = got
		// Deployments one after another, and the end in the middle of them. The last one
		// may find nobody, and is then made without a gateway.
		var killed atomic.Bool
		done := make(chan int, 1)
		go func() {
			last := served
			for n := served + 1; !killed.Load(); n++ {
				var out bytes.Buffer
				if writeConfig(file, manual(strconv.Itoa(n))) == nil &&
					run(context.Background(), []string{"deploy", "hello", "--stage", "prod", "-c", file}, &out, &out) == exitOK {
					last = n
				}
			}
			done <- last
		}()
		time.Sleep(time.Duration(rand.Int64N(int64(60 * time.Millisecond))))
		if err := r.child.Kill(); err != nil {
			t.Fatal(err)
		}
		killed.Store(true)
		r.ended()
		served = <-done // what somebody was told must not be lost
	}
	t.Logf("%d kills: %d left a deployment that nobody had been told of yet; the slowest start took %v", kills, newer, slowest)
	if slowest > patience/2 { // other tests have the machine, too
		t.Errorf("a start took %v", slowest)
	}
	if mixed > 0 || lost > 0 {
		t.Errorf("%d mixed, %d lost", mixed, lost)
	}
}

// A hundred changes of what a stage serves, under load: no request fails.
func TestFlipsUnderLoad(t *testing.T) {
	backend := echo(t)
	text := func(version string) string {
		return strings.Replace(echoed(backend, version), "[api.hello.stage.prod]", "[api.hello.stage.prod]\ndeploy = \"manual\"", 1)
	}
	r := launch(t, write(t, text("0")), nil)
	r.listening()
	r.await("the PID file", func() bool { return r.pid() > 0 })
	stop := r.load(10)
	for i := range 50 {
		rewrite(t, r.file, text(fmt.Sprint(i)))
		r.command(0, "deploy", "hello", "--stage", "prod")
		r.command(0, "rollback", "hello", "--stage", "prod")
	}
	r.endLoad(stop)
}

// endLoad ends load, which stop does, and the gateway; both have to have gone well.
func (r *running) endLoad(stop func() int64) {
	r.t.Helper()
	if n := stop(); n < 100 {
		r.t.Errorf("only %d requests", n)
	}
	r.signal(syscall.SIGTERM)
	if code := r.ended(); code != exitOK {
		r.t.Errorf("exit code %d: %s", code, r.stderr.String())
	}
}

// What README shows of deployments works as it stands there.
func TestDeployReadme(t *testing.T) {
	if ran := commandsOf(t, "Deploy, and go back", "9000/pets", "9000/animals"); ran < 4 {
		t.Errorf("only %d commands", ran)
	}
}

// commandsOf runs the commands of a section of README with its configuration, in which
// before has become after, and returns how many there are.
func commandsOf(t *testing.T, heading, before, after string) (ran int) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n### "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n### ")
	_, config, there := strings.Cut(section, "```toml\n")
	config, _, _ = strings.Cut(config, "```")
	if !found || !there {
		t.Fatal("the section isn't there")
	}
	config = strings.Replace(config, ":8080", "127.0.0.1:0", 1)
	r := startChild(t, write(t, config), nil, "--no-watch")
	rewrite(t, r.file, strings.Replace(config, before, after, 1))
	for line := range strings.Lines(section) {
		line, is := strings.CutPrefix(line, "$ postern ")
		if !is {
			continue
		}
		line, _, _ = strings.Cut(line, "#")
		want := exitOK
		if strings.HasPrefix(line, "diff ") {
			want = exitDifferent
		}
		r.command(want, strings.Fields(strings.ReplaceAll(line, `"`, ""))...)
		ran++
	}
	return ran
}

package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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
	r.endLoad(stop)
}

// A tenth of 100,000 requests goes to a canary of 10 %, and the metrics of the two say the
// same as those who were answered. A fair draw is further than three standard deviations
// off once in 370 times, so that three times in a row is no chance.
func TestCanaryShareOfRequests(t *testing.T) {
	quiet := func(version string) string { return "log.access = \"off\"\n" + canaried(version, "10") }
	r := startChild(t, write(t, quiet("1")), nil, "--no-watch")
	rewrite(t, r.file, quiet("2"))
	r.command(0, "deploy", "hello", "--stage", "prod")
	const conns, each, p = 4, 25_000, 0.1
	const n = conns * each
	total, drawn := 0.0, 0.0
	for range 3 {
		counts := make([]map[string]int, conns)
		var clients sync.WaitGroup
		for i := range conns {
			clients.Go(func() { counts[i] = r.volley(each) })
		}
		clients.Wait()
		base, canary := 0, 0
		for _, c := range counts {
			base, canary = base+c["1"], canary+c["2"]
		}
		if base+canary != n {
			t.Fatalf("%d and %d of %d requests were answered", base, canary, n)
		}
		total, drawn = total+n, drawn+float64(canary)
		r.await(fmt.Sprintf("metrics of %v requests to the canary and %v to the base", drawn, total-drawn), func() bool {
			_, metrics := r.admin("/metrics") // a request counts when its answer has left
			return stageRequests(metrics, "prod/Canary") == drawn && stageRequests(metrics, "prod") == total-drawn
		})
		if math.Abs(float64(canary)-n*p) <= 3*math.Sqrt(n*p*(1-p)) {
			return
		}
	}
	t.Errorf("%v of %v requests went to a canary of 10 %%", drawn, total)
}

// volley sends n requests on one connection, many at once, and returns how often each
// answer came.
func (r *running) volley(n int) map[string]int {
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Error(err)
		return nil
	}
	defer conn.Close()
	const atOnce = 50
	batch := []byte(strings.Repeat("GET /prod/v HTTP/1.1\r\nHost: hello.localhost\r\n\r\n", atOnce))
	counts, from := map[string]int{}, bufio.NewReader(conn)
	for sent := 0; sent < n; sent += atOnce {
		if _, err := conn.Write(batch); err != nil {
			r.t.Error(err)
			return nil
		}
		for range atOnce {
			answer, err := http.ReadResponse(from, nil)
			if err != nil {
				r.t.Error(err)
				return nil
			}
			text, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != http.StatusOK {
				r.t.Errorf("%s, %v", answer.Status, err)
				return nil
			}
			counts[string(text)]++
		}
	}
	return counts
}

// stageRequests returns how many requests to a stage of the API hello the metrics count.
func stageRequests(metrics, stage string) (n float64) {
	for line := range strings.Lines(metrics) {
		labels, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if strings.HasPrefix(labels, "postern_requests_total{") && strings.Contains(labels, `api="hello"`) && strings.Contains(labels, `stage="`+stage+`"`) {
			one, _ := strconv.ParseFloat(value, 64) // what isn't a number is missed
			n += one
		}
	}
	return n
}

// What README shows of canaries works as it stands there.
func TestCanaryReadme(t *testing.T) {
	if ran := commandsOf(t, "Try what is new on a few", "/v1/", "/v2/"); ran != 8 {
		t.Errorf("%d commands", ran)
	}
}

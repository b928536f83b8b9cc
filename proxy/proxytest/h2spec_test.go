package proxytest

import (
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What h2spec misses in the clear, where both protocols are spoken: what isn't
// HTTP/2's preface is taken for HTTP/1.1 and gets its 400 before the connection is
// closed. Over TLS it misses nothing.
const missingClear = "http2/3.5: Sends invalid connection preface"

// The server side of HTTP/2 is put to the test of h2spec's 145 cases, over TLS
// and in the clear; `make h2spec` runs it. The backend reads a request to its end,
// as some cases need a stream that stays open.
func TestH2Spec(t *testing.T) {
	program := os.Getenv("H2SPEC")
	if program == "" {
		t.Skip("H2SPEC doesn't name the program: make h2spec")
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "hello")
	}))
	defer backend.Close()
	folder := t.TempDir()
	if err := WriteCertificate(folder, "site", []string{"127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "postern.toml")
	text := fmt.Sprintf(`
[listen.tls]
address = "127.0.0.1:0"
tls = { certificates = [{ cert = %q, key = %q }] }
[listen.clear]
address = "127.0.0.1:0"
h2c = true
[api.hello]
type = "rest"
[api.hello.route."ANY /"]
integration = { type = "http_proxy", url = %q }
[api.hello.stage.prod]
[domain."127.0.0.1".map]
"/" = "hello:prod"
`, filepath.Join(folder, "site.crt"), filepath.Join(folder, "site.key"), backend.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := Start(t)
	defer g.Close()
	if complaint := g.Apply(file); complaint != "" {
		t.Fatal(complaint)
	}
	for _, c := range []struct{ listener, want string }{{"tls", ""}, {"clear", missingClear}} {
		total, failed := h2spec(t, program, g.Addr(c.listener), c.listener == "tls")
		t.Logf("%s: %d of %d passed", c.listener, total-len(failed), total)
		if got := strings.Join(failed, "\n"); got != c.want || total != 145 {
			t.Errorf("%s: of %d cases these failed:\n%s\nwant these:\n%s", c.listener, total, got, c.want)
		}
	}
}

// h2spec runs program against address and returns how many cases there were and
// which failed.
func h2spec(t *testing.T, program, address string, secure bool) (total int, failed []string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report.xml")
	args := []string{"-h", host, "-p", port, "-j", report, "-o", "2"}
	if secure {
		args = append(args, "-t", "-k")
	}
	output, err := exec.Command(program, args...).CombinedOutput()
	text, readErr := os.ReadFile(report)
	if readErr != nil {
		t.Fatalf("%v, %v\n%s", readErr, err, output)
	}
	var all struct {
		Suites []struct {
			Cases []struct {
				Package string  `xml:"package,attr"`
				Class   string  `xml:"classname,attr"`
				Failure *string `xml:"failure"`
				Error   *string `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, suite := range all.Suites {
		for _, c := range suite.Cases {
			total++
			if c.Failure != nil || c.Error != nil {
				failed = append(failed, c.Package+": "+c.Class)
			}
		}
	}
	slices.Sort(failed)
	return total, failed
}

package domains_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
)

// patience is how long the commands of one part may take.
const patience = 2 * time.Minute

// bin is the folder with the gateway.
var bin string

func TestMain(m *testing.M) { os.Exit(withGateway(m)) }

// withGateway builds the gateway that all tests run.
func withGateway(m *testing.M) int {
	dir, err := os.MkdirTemp("", "postern-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if text, err := exec.Command("go", "build", "-o", filepath.Join(dir, "postern"), "../../cmd/postern").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, text)
		return 1
	}
	bin = dir
	return m.Run()
}

// What README.md here has people type does what it says there, for a new user of a
// machine with nothing but the tools.
func TestReadme(t *testing.T) {
	t.Parallel()
	text := read(t, "README.md")
	ports := strings.NewReplacer(replacements(t, "14000", "15000", "5001", "5002", "8053", "8055", "8443")...)
	parts := strings.Split(text, "\n## ")
	if len(parts) != 3 {
		t.Fatalf("%d parts, want two", len(parts)-1)
	}
	t.Run("acme", func(t *testing.T) { t.Parallel(); follow(t, parts[1], ports, true) })
	t.Run("internal", func(t *testing.T) { t.Parallel(); follow(t, parts[2], ports, false) })
}

// The example of the project's README gives a domain a certificate, with Pebble as
// the authority and ports that anybody may open: nothing else is changed.
func TestProjectReadme(t *testing.T) {
	t.Parallel()
	_, section, found := strings.Cut(read(t, "../../README.md"), "\n### Custom domains\n")
	if !found {
		t.Fatal("README has no section on custom domains")
	}
	config := blocks(section, "toml")[0]
	if lines := strings.Count(strings.TrimSpace(config), "\n") + 1; lines > 10 {
		t.Errorf("%d lines, want at most ten", lines)
	}
	domain := regexp.MustCompile(`\[domain\."([^"]+)"\]`).FindStringSubmatch(config)
	if domain == nil {
		t.Fatalf("no domain in\n%s", config)
	}
	clear, public := pebbletest.FreePort(t), pebbletest.FreePort(t)
	ca := pebbletest.Start(t, pebbletest.Options{HTTPPort: clear, TLSPort: public})
	here := strings.NewReplacer(`":80"`, fmt.Sprintf(`"127.0.0.1:%d"`, clear), `":443"`, fmt.Sprintf(`"127.0.0.1:%d"`, public)).Replace(config)
	if here == config {
		t.Fatalf("no ports in\n%s", config)
	}
	dir := folder(t, map[string]string{"postern.toml": fmt.Sprintf("data_dir = \"data\"\n%s\n[acme.issuer.pebble]\ndirectory = %q\nroots = %q\n", here, ca.Directory, ca.Roots)})
	if err := os.WriteFile(filepath.Join(dir, "root.pem"), []byte(ca.Get("/roots/0")), 0o600); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`postern run &
until postern cert list | grep '%[1]s  *good'; do sleep 0.2; done
curl -sS -o /dev/null -w '%%{http_code} %%{redirect_url}\n' --resolve %[1]s:%[2]d:127.0.0.1 http://%[1]s:%[2]d/
curl -sS -o /dev/null -w 'verified %%{ssl_verify_result}\n' --cacert root.pem --resolve %[1]s:%[3]d:127.0.0.1 https://%[1]s:%[3]d/
`, domain[1], clear, public)
	out := shell(t, dir, script)
	for _, want := range []string{"308 https://" + domain[1] + "/\n", "verified 0\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("got\n%s\nwithout %q", out, want)
		}
	}
}

// follow types the commands of a part of README.md, but for those that install
// something, and wants the answers that stand there.
func follow(t *testing.T, part string, ports *strings.Replacer, needsPebble bool) {
	files := map[string]string{}
	for _, name := range []string{"postern.toml", "internal.toml", "pebble.json"} {
		files[name] = ports.Replace(read(t, name))
	}
	var script []string
	for _, block := range blocks(part, "sh") {
		if !strings.HasPrefix(block, "go install ") {
			script = append(script, block)
		}
	}
	if needsPebble {
		pebbletest.Binary(t, "pebble") // or the test is skipped
		if _, err := exec.LookPath("openssl"); err != nil {
			t.Skip("no openssl")
		}
	}
	out := shell(t, folder(t, files), ports.Replace(strings.Join(script, "\n")))
	answers := blocks(part, "json")
	if len(answers) != 1 || !strings.Contains(out, strings.TrimSpace(answers[0])) {
		t.Errorf("got\n%s\nwant %q in it", out, answers)
	}
}

// shell runs a script with postern and Pebble in its PATH, and returns what it wrote.
// What it started ends with it.
func shell(t *testing.T, dir, script string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl")
	}
	path := bin
	for _, name := range []string{"pebble", "pebble-challtestsrv"} {
		if strings.Contains(script, name) {
			path += ":" + filepath.Dir(pebbletest.Binary(t, name))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	c := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", script)
	c.Dir, c.Stdout, c.Stderr = dir, said, said
	c.Env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"), "PEBBLE_VA_NOSLEEP=1", "HOME="+dir)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) } // with what it started
	c.Cancel = end
	err = c.Run()
	_ = end() // whoever is left
	text := read(t, said.Name())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return text
}

// blocks returns what stands in text's code blocks in a language.
func blocks(text, language string) []string {
	var all []string
	for _, found := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		all = append(all, found[1])
	}
	return all
}

// replacements returns ports and free ones in their place.
func replacements(t *testing.T, ports ...string) []string {
	var all []string
	for _, port := range ports {
		all = append(all, port, fmt.Sprint(pebbletest.FreePort(t)))
	}
	return all
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

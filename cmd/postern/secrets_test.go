package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/proxytest"
)

// canaries are secrets that nothing may repeat. Each says where it was put.
type canaries struct {
	t   *testing.T
	all []string
}

func (c *canaries) put(where string) string {
	secret := fmt.Sprintf("canary-%s-%012d", where, len(c.all))
	c.all = append(c.all, secret)
	return secret
}

// absent fails if text, which came from what, repeats a secret.
func (c *canaries) absent(what, text string) {
	c.t.Helper()
	for _, secret := range c.all {
		if i := strings.Index(text, secret); i >= 0 {
			c.t.Errorf("%s repeats %s: …%s…", what, secret, text[max(0, i-200):min(len(text), i+100)])
		}
	}
}

// Secrets of a configuration and of callers stand in nothing that the gateway writes:
// logs, the access log, what the admin socket shows, findings, files that it keeps.
func TestSecretsStaySecret(t *testing.T) {
	c := &canaries{t: t}
	t.Setenv("SECRET_PLUGIN", c.put("env"))
	t.Setenv("SECRET_SHORT", c.put("short")[:9])
	dir := t.TempDir()
	lay := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	apiKey, signing, session := c.put("apikey"), c.put("signing"), c.put("session")
	literal, listed := c.put("config"), c.put("list")
	lay("partner.key", apiKey+"\n")
	lay("broken.wasm", "\x00asm but no more")
	if err := os.WriteFile(filepath.Join(dir, "gate.wasm"), decides(0), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{proxytest.WriteClient(dir, "mine", "", 0, false), proxytest.WriteClient(dir, "other", "", 0, false)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	good := fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"
[log]
level = "debug"
access = "access.log"
[plugin.gate]
module = "gate.wasm"
timeout = "1m"
config = { token = %q, more = [%q], env = "${env:SECRET_PLUGIN}" }
[registry."127.0.0.1:1"]
username = "me"
password = %q
[principal.alice]
access_keys = [{ id = "AKIDALICE", secret = %q, session_token = %q }]
[client_certificate.mine]
cert = "mine.crt"
key = "mine.key"
[key.partner]
value = "${file:partner.key}"
plans = ["gold"]
[plan.gold]
stages = ["hello:prod"]
[authorizer.signed]
type = "iam"
[authorizer.gate]
type = "wasm"
plugin = "gate"
[api.hello]
type = "rest"
[api.hello.stage.prod]
client_certificate = "mine"
[api.hello.route]
"ANY /key" = { api_key_required = true, integration.type = "mock", response.default.status = 200 }
"ANY /signed" = { authorizer = "signed", integration.type = "mock", response.default.status = 200 }
"ANY /gate" = { authorizer = "gate", integration.type = "mock", response.default.status = 200 }
"ANY /down" = { integration = { type = "http_proxy", url = "https://127.0.0.1:1/" } }
`, literal, listed, c.put("registry"), signing, session)
	file := filepath.Join(dir, "postern.toml")
	rewrite(t, file, good)
	r := start(t, file, "--no-watch")

	// What callers send, right and wrong.
	r.tell("GET /prod/key", "x-api-key: "+apiKey)
	r.tell("GET /prod/key", "x-api-key: "+c.put("wrongkey"))
	r.tell("GET /prod/gate?token="+c.put("query"), "Authorization: Bearer "+c.put("bearer"), "Cookie: s="+c.put("cookie"))
	r.tell("GET /prod/signed", "Authorization: AWS4-HMAC-SHA256 Credential=AKIDALICE/20260101/local/execute-api/aws4_request, SignedHeaders=host, Signature="+c.put("signature"), "X-Amz-Security-Token: "+session)
	r.tell("GET /prod/signed", "Authorization: "+c.put("garbage"))
	r.tell("GET /prod/signed?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature="+c.put("presigned")+"&X-Amz-Security-Token="+c.put("presignedtoken"), "A: b")
	r.tell("GET /prod/down?password="+c.put("downquery"), "Authorization: Basic "+c.put("basic"), "Proxy-Authorization: Basic "+c.put("proxyauth"))
	r.tell("GET http://me:"+c.put("userinfo")+"@hello.localhost/prod/key", "A: b")
	r.tell("GET http://elsewhere.example/prod/key?token="+c.put("otherhost"), "A: b")
	r.tell("GET /prod/nowhere?token="+c.put("nowhere"), "A: b")
	r.tell("GET /prod/%zz?token="+c.put("badpath"), "A: b")
	r.tell("GET /prod/key?a|b="+c.put("badquery"), "A: b")
	r.tell("GET /prod/key", "Authorization : "+c.put("badname"))
	r.tell("GET /prod/key", "Authorization: x\x01"+c.put("badvalue"))
	r.tell("GET /prod/key", "Content-Length: "+c.put("badlength"))
	r.tell("GET /prod/key", "Host: "+c.put("badhost")+"@x")

	// Configurations that are refused, at a reload and by validate.
	for name, text := range map[string]string{
		"syntax":       good + "\n[registry.x]\npassword = \"" + c.put("syntax") + "\" oops",
		"unknown key":  good + "\n[registry.x]\npasword = \"" + c.put("slip") + "\"",
		"bad URL":      strings.Replace(good, "https://127.0.0.1:1/", "https://me:"+c.put("urlpassword")+"@127.0.0.1:1/", 1),
		"bad plugin":   strings.Replace(good, "gate.wasm", "broken.wasm", 1),
		"bad digest":   strings.Replace(good, "config = {", "sha256 = \""+strings.Repeat("0", 64)+"\"\nconfig = {", 1),
		"wrong key":    strings.Replace(good, `key = "mine.key"`, `key = "other.key"`, 1),
		"bad secret":   strings.Replace(good, signing, "${env:SECRET_SHORT}", 1),
		"bad API key":  strings.Replace(good, `"${file:partner.key}"`, `"`+c.put("spaced")+` x"`, 1),
		"missing file": strings.Replace(good, "partner.key", "missing.key", 1),
		"bad env":      strings.Replace(good, "level = \"debug\"", "level = \"${env:SECRET_PLUGIN}\"", 1),
		"bad pattern":  strings.Replace(good, "plugin = \"gate\"\n[api", "plugin = \"gate\"\nevent = \"token\"\nidentity_validation_expression = \"${env:SECRET_PLUGIN}(\"\n[api", 1),
	} {
		rewrite(t, file, text)
		var out, errs bytes.Buffer
		if code := run(t.Context(), []string{"validate", "-c", file}, &out, &errs); code == exitOK {
			t.Errorf("%s: valid, so that it proves nothing", name)
		}
		c.absent("validate of "+name, out.String()+errs.String())
		out.Reset()
		run(t.Context(), []string{"validate", "--format", "json", "-c", file}, &out, &errs)
		c.absent("validate of "+name+" as JSON", out.String()+errs.String())
		out.Reset()
		errs.Reset()
		run(t.Context(), []string{"run", "--no-watch", "-c", file}, &out, &errs)
		c.absent("run of "+name, out.String()+errs.String())
	}
	for _, path := range []string{"/config", "/metrics", "/health/ready", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2"} {
		status, text := r.admin(path)
		if status != 200 && path != "/health/ready" {
			t.Errorf("%s: %d", path, status)
		}
		c.absent(path, text)
	}
	r.stop()
	r.ended()
	c.absent("the operator log", r.stderr.String())
	c.absent("standard output", r.stdout.String())
	seen := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || path == file || filepath.Base(path) == "partner.key" {
			return err
		}
		text, err := os.ReadFile(path)
		seen = seen || filepath.Base(path) == "access.log" && strings.Contains(string(text), `"route":"ANY /gate"`)
		shown := string(text)
		if strings.Contains(path, "/deployments/") {
			// A deployment has a plugin's configuration as the file has it: what stands there
			// as it is stands here, too, for nobody else to read.
			if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
			}
			shown = strings.NewReplacer(literal, "", listed, "").Replace(shown)
		}
		c.absent(path, shown)
		return err
	})
	if err != nil || !seen {
		t.Errorf("files: %v, access log seen: %v", err, seen)
	}
}

// tell sends a request as it stands and reads the answer, which may be any.
func (r *running) tell(request string, fields ...string) {
	r.t.Helper()
	conn, err := net.DialTimeout("tcp", r.addr, patience)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	host := "Host: hello.localhost\r\n"
	if strings.HasPrefix(fields[0], "Host:") {
		host = ""
	}
	text := request + " HTTP/1.1\r\n" + host + "Connection: close\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		r.t.Fatal(err)
	}
	if answer, _ := io.ReadAll(conn); len(answer) == 0 { // it may end as a reset
		r.t.Errorf("%s: no answer", request)
	}
}

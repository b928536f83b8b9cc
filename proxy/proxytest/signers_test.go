package proxytest

import (
	"bytes"
	"compress/gzip"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// signers is a gateway whose callers sign as those of AWS do.
const signers = `
[listen.public]
address = "127.0.0.1:0"
h2c = true

[gateway]
region = "eu-west-1"

[principal.alice]
access_keys = [{ id = "AKIDALICE", secret = "alice-secret-0123456789" }]
policies = ['{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"execute-api:*","Resource":"*"}}']

[authorizer.signed]
type = "iam"

[api.pets]
type = "rest"
[api.pets.stage.prod]
[api.pets.route."ANY /{proxy+}"]
authorizer = "signed"
integration = { type = "mock" }
response.default = { status = 200, headers = { X-Seen = "yes" } }

[api.checked]
type = "rest"
[api.checked.stage.prod]
[api.checked.model.Pet]
schema = '{"type":"object","required":["name"]}'
[api.checked.route."POST /"]
authorizer = "signed"
validator = { body = true }
request_models = { "application/json" = "Pet" }
integration = { type = "mock" }
response.default = { status = 200 }

[domain.localhost.map]
"/" = "pets:prod"
"/checked" = "checked:prod"
`

// startSigners serves signers and returns its port.
func startSigners(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "postern.toml")
	if err := os.WriteFile(file, []byte(signers), 0o600); err != nil {
		t.Fatal(err)
	}
	g := Start(t)
	t.Cleanup(g.Close)
	if findings := g.Apply(file); findings != "" {
		t.Fatal(findings)
	}
	_, port, err := net.SplitHostPort(g.Addr("public"))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// curl signs, since 7.75. It neither sorts queries nor encodes paths twice, so that
// AWS refuses what needs that, too.
func TestCurlSigns(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "curl", "--help", "all").Output(); err != nil || !bytes.Contains(out, []byte("--aws-sigv4")) {
		t.Skip("there is no curl that has --aws-sigv4")
	}
	port := startSigners(t)
	f := func(want, secret, target string, more ...string) {
		t.Helper()
		args := append([]string{"-q", "-s", "-m", "10", "-o", os.DevNull, "-w", "%{http_code}", "--noproxy", "*",
			"--resolve", "localhost:" + port + ":127.0.0.1", "--aws-sigv4", "aws:amz:eu-west-1:execute-api", "--user", "AKIDALICE:" + secret}, more...)
		out, err := exec.CommandContext(t.Context(), "curl", append(args, "http://localhost:"+port+target)...).CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%s %v: %s, %v; want %s", target, more, out, err, want)
		}
	}
	f("200", "alice-secret-0123456789", "/pets")
	f("200", "alice-secret-0123456789", "/pets?a=1&b=%C3%A9")
	f("200", "alice-secret-0123456789", "/pets", "-H", "Content-Type: application/json", "-d", `{"name":"rex"}`)
	f("200", "alice-secret-0123456789", "/pets", "-X", "DELETE")
	f("200", "alice-secret-0123456789", "/pets?a=1", "--http2-prior-knowledge", "-d", "content")
	f("403", "another-secret-0123456789", "/pets")
}

// The commands of AWS's client for @connections are those that it signs for
// execute-api.
func TestAWSClientSigns(t *testing.T) {
	aws, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("there is no aws: install awscli")
	}
	port := startSigners(t)
	data := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(data, []byte("h\u00e9llo\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(secret, token string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, aws, append(append([]string{"apigatewaymanagementapi"}, args...), "--endpoint-url", "http://localhost:"+port, "--region", "eu-west-1")...)
		for _, name := range []string{"PATH", "HOME", "LANG"} {
			cmd.Env = append(cmd.Env, name+"="+os.Getenv(name))
		}
		cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID=AKIDALICE", "AWS_SECRET_ACCESS_KEY="+secret, "AWS_CONFIG_FILE=/dev/null",
			"AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "NO_PROXY=*")
		if token != "" {
			cmd.Env = append(cmd.Env, "AWS_SESSION_TOKEN="+token)
		}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	const secret = "alice-secret-0123456789"
	for _, args := range [][]string{
		{"get-connection", "--connection-id", "L0SM9cOFvHcCIhw="},
		{"get-connection", "--connection-id", "a b+c~\u00e9"},
		{"delete-connection", "--connection-id", "x"},
		{"post-to-connection", "--connection-id", "x", "--data", "fileb://" + data},
	} {
		if out, err := run(secret, "", args...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	f := func(secret, token, want string) {
		t.Helper()
		out, err := run(secret, token, "get-connection", "--connection-id", "x")
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%v\n%s\nwant %s", err, out, want)
		}
	}
	f("another-secret-0123456789", "", "InvalidSignatureException")
	f(secret, "token", "UnrecognizedClientException")
}

// What is signed of content with a coding is what was sent; what is checked of it is
// what is in it.
func TestSignedCoding(t *testing.T) {
	port := startSigners(t)
	f := func(content string, damage bool, want int) {
		t.Helper()
		var b strings.Builder
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, chunk := range []int{0, 7} {
			r := &request{verb: "POST", target: "/checked/", content: b.String(), fields: []field{{name: "Content-Type", value: "application/json"}}}
			coding := "gzip"
			if chunk > 0 {
				coding = "gzip, aws-chunked"
			}
			r.fields = append(r.fields, field{name: "Content-Encoding", value: coding})
			s := signing{id: "AKIDALICE", secret: "alice-secret-0123456789", region: "eu-west-1", service: "execute-api", at: time.Now().UTC(), chunk: chunk}
			s.apply(r, "localhost:"+port)
			if damage { // in the middle: the end belongs to no chunk's content
				i := len(r.content) / 2
				r.content = r.content[:i] + string(r.content[i]^1) + r.content[i+1:]
			}
			c, err := dial("127.0.0.1:"+port, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.send(r.bytes("localhost:" + port)); err != nil {
				t.Fatal(err)
			}
			m, _, err := c.receive("POST")
			c.close()
			if err != nil || m.status() != want {
				t.Errorf("%s in chunks of %d, damaged %v: %v, %v; want %d", content, chunk, damage, m, err, want)
			}
		}
	}
	f(`{"name":"rex"}`, false, 200)
	f(`{"nme":"rex"}`, false, 400)
	f(`{"name":"rex"}`, true, 403)
}

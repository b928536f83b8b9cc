package plugins_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/proxytest"
)

// serve starts a gateway with a configuration and returns its address.
func serve(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "postern.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := proxytest.Start(t)
	t.Cleanup(g.Close)
	if findings := g.Apply(file); findings != "" {
		t.Fatal(findings)
	}
	return g.Addr("public")
}

func mac(secret, text string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Signatures that bear a time are good as long as it is near.
func TestWebhookTimes(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	defer backend.Close()
	module := readyModule(t, "ready/webhook")
	config := "[listen.public]\naddress = \"127.0.0.1:0\"\n[api.hooks]\ntype = \"rest\"\n[api.hooks.stage.prod]\n[domain.\"127.0.0.1\".map]\n\"/\" = \"hooks:prod\"\n"
	for _, style := range []string{"stripe", "slack", "standard"} {
		config += fmt.Sprintf("[plugin.%[1]s]\nmodule = %[2]q\ntimeout = \"2s\"\nconfig = { style = %[1]q, tolerance = 60, secrets = [%[3]q, %[4]q] }\n"+
			"[authorizer.%[1]s]\ntype = \"wasm\"\nplugin = %[1]q\n"+
			"[api.hooks.route.\"POST /%[1]s\"]\nauthorizer = %[1]q\nintegration = { type = \"http_proxy\", url = %[5]q }\n",
			style, module, base64.StdEncoding.EncodeToString([]byte("the old secret")), "whsec_"+base64.StdEncoding.EncodeToString([]byte("the new secret")), backend.URL)
	}
	// Only Standard Webhooks decodes secrets.
	config = strings.ReplaceAll(config, "style = \"stripe\", tolerance = 60, secrets = [", "style = \"stripe\", tolerance = 60, secrets = [\"the new secret\", ")
	config = strings.ReplaceAll(config, "style = \"slack\", tolerance = 60, secrets = [", "style = \"slack\", tolerance = 60, secrets = [\"the new secret\", ")
	address := serve(t, config)

	const content = `{"id":"evt_1"}`
	post := func(style string, header http.Header, want int) {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, "http://"+address+"/"+style, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if said, _ := io.ReadAll(response.Body); response.StatusCode != want {
			t.Errorf("%s %v: got %d %s, want %d", style, header, response.StatusCode, said, want)
		}
	}
	for _, c := range []struct {
		off  time.Duration
		want int
	}{{0, 202}, {-50 * time.Second, 202}, {50 * time.Second, 202}, {-70 * time.Second, 403}, {70 * time.Second, 403}} {
		at := strconv.FormatInt(time.Now().Add(c.off).Unix(), 10)
		stripe := hex.EncodeToString(mac("the new secret", at+"."+content))
		post("stripe", http.Header{"Stripe-Signature": {"t=" + at + ",v1=" + strings.Repeat("00", 32) + ",v1=" + stripe + ",v0=00"}}, c.want)
		post("slack", http.Header{"X-Slack-Request-Timestamp": {at}, "X-Slack-Signature": {"v0=" + hex.EncodeToString(mac("the new secret", "v0:"+at+":"+content))}}, c.want)
		for _, secret := range []string{"the old secret", "the new secret"} {
			mark := base64.StdEncoding.EncodeToString(mac(secret, "msg_1."+at+"."+content))
			post("standard", http.Header{"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {at}, "Webhook-Signature": {"v1,AAAA v1a,BBBB v1," + mark}}, c.want)
		}
	}

	// A time that isn't the signed one, another id, another scheme.
	at := strconv.FormatInt(time.Now().Unix(), 10)
	before := strconv.FormatInt(time.Now().Unix()-1, 10)
	stripe := hex.EncodeToString(mac("the new secret", before+"."+content))
	post("stripe", http.Header{"Stripe-Signature": {"t=" + at + ",v1=" + stripe}}, 403)
	post("stripe", http.Header{"Stripe-Signature": {"t=" + before + ",v0=" + stripe}}, 401)
	mark := base64.StdEncoding.EncodeToString(mac("the new secret", "msg_1."+at+"."+content))
	post("standard", http.Header{"Webhook-Id": {"msg_2"}, "Webhook-Timestamp": {at}, "Webhook-Signature": {"v1," + mark}}, 403)
	post("standard", http.Header{"Webhook-Timestamp": {at}, "Webhook-Signature": {"v1," + mark}}, 401)
}

// What sign says is what RFC 9421 has a backend compute, here by other code.
func TestSignature(t *testing.T) {
	const secret = "0123456789abcdef"
	var got *http.Request
	var content []byte
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		content, _ = io.ReadAll(r.Body)
	}))
	defer backend.Close()
	address := serve(t, fmt.Sprintf("[listen.public]\naddress = \"127.0.0.1:0\"\n[plugin.sign]\nmodule = %q\ntimeout = \"2s\"\n"+
		"config = { key_id = \"k\", secret = %q, headers = [\"X-Tenant\", \"x-none\"], expires = 60 }\n"+
		"[api.a]\ntype = \"rest\"\n[api.a.stage.prod]\n[api.a.route.\"ANY /{proxy+}\"]\nintegration = { type = \"http_proxy\", url = \"%s/base/{proxy}\", map_request = \"sign\" }\n"+
		"[domain.\"127.0.0.1\".map]\n\"/\" = \"a:prod\"\n", readyModule(t, "ready/sign"), secret, backend.URL))

	inputs := regexp.MustCompile(`^postern=(\(([^)]*)\);created=(\d+);expires=(\d+);nonce="([^"]+)";alg="hmac-sha256";keyid="k")$`)
	nonces := map[string]bool{}
	for _, c := range []struct{ method, target, content string }{
		{"GET", "/pets", ""}, {"GET", "/pets?", ""}, {"PUT", "/pets/a%20b?x=%2F&x=1", strings.Repeat("content", 10_000)}, {"DELETE", "/pets/1?q=a?b", ""},
	} {
		r, err := http.NewRequest(c.method, "http://"+address+c.target, strings.NewReader(c.content))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"X-Tenant": {"a", " b"}}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 200 || got == nil {
			t.Fatalf("%s %s: %s", c.method, c.target, response.Status)
		}
		input := inputs.FindStringSubmatch(got.Header.Get("Signature-Input"))
		if input == nil {
			t.Fatalf("Signature-Input is %q", got.Header.Get("Signature-Input"))
		}
		sum := sha256.Sum256(content)
		digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
		if string(content) != c.content || got.Header.Get("Content-Digest") != digest {
			t.Errorf("%s %s: the digest of %d bytes is %s, want %s", c.method, c.target, len(content), got.Header.Get("Content-Digest"), digest)
		}
		sent, err := url.ParseRequestURI(got.RequestURI)
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]string{"@method": got.Method, "@authority": got.Host, "@path": sent.EscapedPath(), "@query": "?" + sent.RawQuery, "content-digest": digest, "x-tenant": "a, b"}
		var signed strings.Builder
		for _, name := range strings.Fields(input[2]) {
			value, known := values[strings.Trim(name, `"`)]
			if !known {
				t.Errorf("%s is signed", name)
			}
			delete(values, strings.Trim(name, `"`))
			fmt.Fprintf(&signed, "%s: %s\n", name, value)
		}
		if len(values) > 0 {
			t.Errorf("not signed: %v", values)
		}
		want := "postern=:" + base64.StdEncoding.EncodeToString(mac(secret, signed.String()+`"@signature-params": `+input[1])) + ":"
		if mark := got.Header.Get("Signature"); mark != want {
			t.Errorf("%s %s: Signature is %s, want %s of\n%s", c.method, c.target, mark, want, signed.String())
		}
		created, _ := strconv.ParseInt(input[3], 10, 64)
		expires, _ := strconv.ParseInt(input[4], 10, 64)
		if off := time.Now().Unix() - created; off < -1 || off > 60 || expires != created+60 || nonces[input[5]] {
			t.Errorf("created %d s ago, expires after %d, nonce %s", off, expires-created, input[5])
		}
		nonces[input[5]] = true
	}
}

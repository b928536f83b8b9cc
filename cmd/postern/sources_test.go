package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// decides returns the module of a native authorizer that always decides the
// same: 1 lets everybody in, 2 nobody. By hand, so that no compiler is needed.
func decides(decision byte) []byte {
	return []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x05\x01\x60\x00\x01\x7f" + // a type: () -> i32
		"\x03\x03\x02\x00\x00" + // two functions of it
		"\x05\x04\x01\x01\x01\x01" + // a memory of one page
		"\x07\x2c\x03" + // three exports
		"\x06memory\x02\x00" +
		"\x0bpostern_abi\x00\x00" +
		"\x11postern_authorize\x00\x01" +
		"\x0a\x0d\x02" +
		"\x06\x00\x41\x80\x80\x04\x0b" + // i32.const 1<<16
		"\x04\x00\x41" + string(decision) + "\x0b")
}

// replace puts content into place as a compiler or an editor does: aside first.
func replace(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// A plugin's module that changes is taken over; a broken one leaves the old one
// deciding.
func TestModuleChanges(t *testing.T) {
	file := write(t, strings.Replace(mock("one"), `integration = { type = "mock" }`,
		"authorizer = \"gate\"\nintegration = { type = \"mock\" }", 1)+`
[plugin.gate]
module = "gate.wasm"
timeout = "1m"
[authorizer.gate]
type = "wasm"
plugin = "gate"
`)
	module := filepath.Join(filepath.Dir(file), "gate.wasm")
	replace(t, module, decides(1))
	r := startChild(t, file, nil)
	status := func(want int) func() bool {
		return func() bool { got, _ := r.get("/v"); return got == want }
	}
	if !status(200)() {
		t.Fatal("the first module lets nobody in")
	}
	replace(t, module, decides(2))
	r.await("the module that lets nobody in", status(403))

	replace(t, module, decides(1)[:40])
	r.await("the failure", func() bool { ok, _ := r.ready(); return !ok })
	if _, reasons := r.ready(); !strings.Contains(strings.Join(reasons, " "), "plugin.gate.module") {
		t.Errorf("reasons: %q", reasons)
	}
	if !status(403)() {
		t.Error("the last good module doesn't decide")
	}

	if err := os.Remove(module); err != nil {
		t.Fatal(err)
	}
	r.await("the next failure", func() bool {
		_, reasons := r.ready()
		return strings.Contains(strings.Join(reasons, " "), "no such file")
	})
	replace(t, module, decides(1))
	r.await("the module that lets everybody in", status(200))

	_, text := r.admin("/metrics")
	for _, part := range []string{`postern_plugin_calls_total{plugin="gate"} `, `postern_plugin_instances{plugin="gate"} `} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in the metrics", part)
		}
	}
}

// A file that newly fits an include pattern is a change.
func TestIncludedFileCame(t *testing.T) {
	file := write(t, "include = [\"conf.d/*.toml\"]\n"+mock("one"))
	folder := filepath.Join(filepath.Dir(file), "conf.d")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(folder, "other.toml"), "[domain.\"other.example\".map]\n\"/\" = \"hello:prod\"\n")
	r := startChild(t, file, nil)
	put(t, filepath.Join(folder, "more.toml"), "[domain.\"more.example\".map]\n\"/\" = \"hello:prod\"\n")
	r.await("the new domain", func() bool {
		status, text, err := fetch("tcp", r.addr, "more.example", "/v")
		return err == nil && status == 200 && text == "one"
	})
}

// selfSigned returns a certificate for name and its key, as PEM.
func selfSigned(t *testing.T, serial int64, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// A renewed certificate is served without a restart; while its key isn't there
// yet the old pair is.
func TestCertificateChanges(t *testing.T) {
	file := write(t, strings.Replace(mock("one"), "[api.hello]", "tls.certificates = [{ cert = \"c.pem\", key = \"k.pem\" }]\n[api.hello]", 1))
	dir := filepath.Dir(file)
	cert, key := selfSigned(t, 1, "hello.localhost")
	put(t, filepath.Join(dir, "c.pem"), string(cert))
	put(t, filepath.Join(dir, "k.pem"), string(key))
	r := startChild(t, file, nil)
	serial := func() int64 {
		conn, err := tls.Dial("tcp", r.addr, &tls.Config{InsecureSkipVerify: true, ServerName: "hello.localhost"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("serial %d", got)
	}
	cert, key = selfSigned(t, 2, "hello.localhost")
	replace(t, filepath.Join(dir, "c.pem"), cert)
	r.await("the failure", func() bool { ok, _ := r.ready(); return !ok })
	if got := serial(); got != 1 {
		t.Errorf("serial %d while the pair doesn't match", got)
	}
	replace(t, filepath.Join(dir, "k.pem"), key)
	r.await("the new certificate", func() bool { return serial() == 2 })
}

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// In an upgrade a request by HTTP/3 is answered by the process that it came to, TCP is
// served all the time, and the new process has the UDP port when the old one has ended.
func TestUpgradeHTTP3(t *testing.T) {
	asked, release := make(chan bool, 1), make(chan bool)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- true
		<-release
		_, _ = io.WriteString(w, "held") // the test sees whether it arrives
	}))
	t.Cleanup(backend.Close)
	file := write(t, strings.Replace(echoed(backend.URL, "0"), "[drain]", `tls = { certificates = [{ cert = "site.pem", key = "site.pem" }], alpn = ["h3", "h2", "http/1.1"] }
[drain]`, 1))
	writePair(t, filepath.Join(filepath.Dir(file), "site.pem"))
	r := launch(t, file, nil)
	r.listening()
	client := func() *http.Client {
		transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		t.Cleanup(func() { _ = transport.Close() })
		return &http.Client{Transport: transport}
	}
	get := func(c *http.Client, path string) (string, error) {
		request, err := http.NewRequest("GET", "https://"+r.addr+"/prod"+path, nil)
		if err != nil {
			return "", err
		}
		request.Host = "hello.localhost"
		response, err := c.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		return string(content), err
	}
	held := make(chan string)
	go func() {
		content, err := get(client(), "/echo")
		held <- fmt.Sprint(content, err)
	}()
	<-asked
	before := r.pid()
	pid := r.upgrade()
	tcp := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	if got, err := get(&http.Client{Transport: tcp}, "/v"); got != "0" || err != nil {
		t.Errorf("by TCP meanwhile: %q, %v", got, err)
	}
	close(release)
	if got := <-held; got != "held<nil>" {
		t.Errorf("what was under way: %q", got)
	}
	r.gone(before)
	r.await("HTTP/3 in the new process", func() bool {
		c := client()
		c.Timeout = 10 * time.Second
		got, err := get(c, "/v")
		return got == "0" && err == nil
	})
	r.signal(syscall.SIGTERM)
	r.gone(pid)
}

// writePair writes a certificate that signed itself, and its key.
func writePair(t *testing.T, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"hello.localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

package observe

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// issued writes a certificate and its key into files.
func issued(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put := func(file, kind string, b []byte) string {
		file = filepath.Join(dir, file)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return put("cert.pem", "CERTIFICATE", der), put("key.pem", "PRIVATE KEY", pkcs8)
}

// Lines go by TLS to a server that shows the right certificate, and asks for the
// gateway's; to no other one.
func TestSyslogTLS(t *testing.T) {
	cert, key := issued(t, "logs.test")
	own, ownKey := issued(t, "gateway.test")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(text)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			for r := bufio.NewReader(c); ; {
				digits, err := r.ReadString(' ')
				if err != nil {
					break
				}
				n, _ := strconv.Atoi(strings.TrimSpace(digits))
				b := make([]byte, n)
				if _, err := io.ReadFull(r, b); err != nil {
					break
				}
				got <- string(b)
			}
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	address := "syslog+tls://" + l.Addr().String()
	f := func(query string, sent bool) {
		t.Helper()
		s, err := newSyslog(address+query, "x")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if n, err := s.Write([]byte("one\ntwo\n")); (err == nil) != sent || sent && n != 8 {
			t.Errorf("%s: %d, %v", query, n, err)
		}
		if !sent {
			return
		}
		for _, want := range []string{"one", "two"} {
			if line := <-got; !strings.HasPrefix(line, "<134>1 ") || !strings.HasSuffix(line, " - "+want) {
				t.Errorf("got %q", line)
			}
		}
	}
	trust, show := "?ca="+cert+"&name=logs.test", "&cert="+own+"&key="+ownKey
	f(trust+show, true)
	f("?name=logs.test"+show, false) // an authority of nobody's
	f("?ca="+cert+show, false)       // another name
	f("?ca="+own+"&name=logs.test"+show, false)
	for query, want := range map[string]string{
		"?ca=/nowhere": "ca: ", "?ca=" + key: "has no certificate", "?cert=" + own: "cert and key", "?cert=" + own + "&key=" + key: "cert and key", "?tls=1": `no "tls"`,
	} {
		if _, err := parseSyslog(address + query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
	if _, err := parseSyslog("syslog+tcp://h:1?ca=" + cert); err == nil {
		t.Error("certificates without TLS")
	}
	// One that takes connections and says nothing costs its patience, no more.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	address = "syslog+tls://" + silent.Addr().String()
	f(trust, false)
}

package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
	"github.com/postern-gateway/postern/proxy/config"
)

// front is a keeper with the two sockets that authorities ask at.
type front struct {
	*Keeper
	t         *testing.T
	http, tls int
	dir       string
	logger    *zap.Logger
}

// newFront serves the certificates of a keeper until the test ends.
func newFront(t *testing.T, o Options) *front {
	t.Helper()
	f := &front{t: t, dir: t.TempDir(), logger: zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))}
	if o.Store == nil {
		o.Store = NewDirectory(filepath.Join(f.dir, "store"))
	}
	if o.Logger == nil {
		o.Logger = f.logger
	}
	f.Keeper = New(o)
	t.Cleanup(f.Close)
	cleartext, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.http = cleartext.Addr().(*net.TCPAddr).Port
	plain := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		if text, ok := f.Answer(r.Context(), host, r.URL.Path); ok {
			fmt.Fprint(w, text)
			return
		}
		http.NotFound(w, r)
	})}
	go plain.Serve(cleartext)
	t.Cleanup(func() { plain.Close() })
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.tls = socket.Addr().(*net.TCPAddr).Port
	secure := &http.Server{ErrorLog: zap.NewStdLog(zap.NewNop()), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })}
	go secure.Serve(tls.NewListener(socket, &tls.Config{
		GetCertificate:     func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return f.For(h), nil },
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) { return f.Proof(h), nil },
	}))
	t.Cleanup(func() { secure.Close() })
	return f
}

// load reads a configuration with domains and acme, as config.Load does.
func load(t testing.TB, dir, acme string, domains ...string) *config.Config {
	t.Helper()
	text := acme + "\n[listen.clear]\naddress = \"127.0.0.1:0\"\n[listen.tls]\naddress = \"127.0.0.1:0\"\ntls = {}\n[api.a]\ntype = \"rest\"\n[api.a.stage.s]\n[api.a.route.\"GET /\"]\nintegration = { type = \"mock\" }\n"
	for _, d := range domains {
		name, more, _ := strings.Cut(d, " ")
		text += fmt.Sprintf("[domain.%q]\nmap = { \"/\" = \"a:s\" }\n%s\n", name, more)
	}
	file := filepath.Join(dir, "postern.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, findings := config.Load(file)
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	return cfg
}

// apply makes a configuration the keeper's.
func (f *front) apply(acme string, domains ...string) {
	f.t.Helper()
	apply(f.t, f.Keeper, load(f.t, f.dir, acme, domains...))
}

func apply(t testing.TB, k *Keeper, cfg *config.Config) {
	t.Helper()
	g, findings := k.Begin(t.Context(), cfg)
	if g == nil {
		t.Fatal(findings.Text())
	}
	g.Commit()
}

// patience is how long something may take that an authority is needed for.
const patience = 60 * time.Second

// until waits until done is true.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !done() {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// got waits until name has a certificate, and returns it.
func (f *front) got(name string) *x509.Certificate {
	f.t.Helper()
	until(f.t, "a certificate for "+name, func() bool { return f.Find(name) != nil })
	return f.Find(name).Leaf
}

// get asks for name over TLS as a client that trusts roots.
func (f *front) get(name string, roots *x509.CertPool) error {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", f.tls))
		},
		TLSClientConfig: &tls.Config{RootCAs: roots},
	}}
	answer, err := client.Get("https://" + name + "/")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		return errors.New(answer.Status)
	}
	return nil
}

// pebble starts an authority that asks at f.
func (f *front) pebble(o pebbletest.Options) *pebbletest.Pebble {
	f.t.Helper()
	o.HTTPPort, o.TLSPort = f.http, f.tls
	return pebbletest.Start(f.t, o)
}

// status returns what the keeper says of name.
func (f *front) status(name string) Status {
	f.t.Helper()
	for _, s := range f.Figures().Names {
		if s.Name == name {
			return s
		}
	}
	f.t.Fatalf("nothing is known of %s", name)
	return Status{}
}

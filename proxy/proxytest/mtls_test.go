package proxytest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// guarded is a gateway with a domain that requires certificates, one that lets
// clients come without, and one that asks for none.
type guarded struct {
	t       *testing.T
	dir     string
	gateway Gateway
	trusted *x509.CertPool
}

const guardedConfig = `
[listen.public]
address = "127.0.0.1:0"
[listen.public.tls]
certificates = [{ cert = "site.crt", key = "site.key" }]
alpn = ["h3", "h2", "http/1.1"]
[api.pets]
type = "rest"
disable_default_endpoint = true
[api.pets.stage.prod]
[api.pets.route."GET /"]
integration.type = "mock"
[api.pets.route."GET /".response.default.template]
"application/json" = '"$!context.identity.clientCert.subjectDN"'
[domain]
"open.example".map."/" = "pets:prod"
"shut.example" = { map."/" = "pets:prod", mtls = { truststore = "root.crt"%s } }
"other.example" = { map."/" = "pets:prod", mtls = { truststore = "other.crt", mode = "optional" } }
"*.wild.example" = { map."/" = "pets:prod", mtls = { truststore = "root.crt" } }
`

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{t: t, dir: t.TempDir(), trusted: x509.NewCertPool()}
	for _, err := range []error{
		WriteCertificate(g.dir, "site", []string{"open.example", "shut.example", "other.example", "a.wild.example", "b.wild.example"}),
		WriteAuthority(g.dir, "root", ""), WriteAuthority(g.dir, "other", ""),
		WriteClient(g.dir, "ann", "root", 0xa1, false), WriteClient(g.dir, "olaf", "other", 0xb2, false), WriteClient(g.dir, "old", "root", 0xc3, true),
		os.WriteFile(filepath.Join(g.dir, "revoked.txt"), []byte("a1\n"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	pem, err := os.ReadFile(filepath.Join(g.dir, "site.crt"))
	if err != nil {
		t.Fatal(err)
	}
	g.trusted.AppendCertsFromPEM(pem)
	g.gateway = Start(t)
	t.Cleanup(g.gateway.Close)
	g.apply("")
	return g
}

// apply serves the configuration with more in the table of shut.example.
func (g *guarded) apply(more string) {
	g.t.Helper()
	file := filepath.Join(g.dir, "postern.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, guardedConfig, more), 0o600); err != nil {
		g.t.Fatal(err)
	}
	if findings := g.gateway.Apply(file); findings != "" {
		g.t.Fatal(findings)
	}
}

// client returns how a client speaks to serverName, with the certificate own, ""
// for none.
func (g *guarded) client(serverName, own string) *tls.Config {
	g.t.Helper()
	c := &tls.Config{RootCAs: g.trusted, ServerName: serverName, NextProtos: []string{"http/1.1"}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	if own != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(g.dir, own+".crt"), filepath.Join(g.dir, own+".key"))
		if err != nil {
			g.t.Fatal(err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return c
}

// get asks for host on a new connection. answer is empty when none came.
func (g *guarded) get(c *tls.Config, host string) (answer string, resumed bool) {
	g.t.Helper()
	conn, err := tls.Dial("tcp", g.gateway.Addr("public"), c)
	if err != nil {
		return "", false
	}
	defer conn.Close()
	if _, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return "", false
	}
	all, _ := io.ReadAll(conn) // the close may come as a reset
	head, body, _ := strings.Cut(string(all), "\r\n\r\n")
	if head == "" {
		return "", false
	}
	return head[9:12] + " " + body, conn.ConnectionState().DidResume
}

// A session that is resumed is judged like a new one: by the truststore and the
// list of the moment, and for the name that it was begun for alone.
func TestResumedSessions(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			g := newGuarded(t)
			expect := func(c *tls.Config, host, want string, wantResumed bool) {
				t.Helper()
				c.MaxVersion = version
				got, resumed := g.get(c, host)
				if !strings.HasPrefix(got, want) || want == "" && got != "" || resumed != wantResumed {
					t.Errorf("%s for %s: got %q, resumed %v, want %q, resumed %v", c.ServerName, host, got, resumed, want, wantResumed)
				}
			}
			ann := g.client("shut.example", "ann")
			expect(ann, "shut.example", `200 "C=ZZ,O=Clients,CN=ann"`, false)
			expect(ann, "shut.example", `200 "C=ZZ,O=Clients,CN=ann"`, true)

			// Tickets of one name are worth nothing for another one. Names share a cache here,
			// which is what the client's cache key is for.
			mallory := g.client("open.example", "")
			mallory.ClientSessionCache = oneSession{mallory.ClientSessionCache}
			expect(mallory, "open.example", `200 ""`, false)
			expect(mallory, "open.example", `200 ""`, true)
			mallory.ServerName = "shut.example"
			expect(mallory, "shut.example", "", false)
			mallory.ServerName = "other.example"
			expect(mallory, "other.example", `200 ""`, false)
			mallory.ServerName = "shut.example"
			expect(mallory, "shut.example", "", false)

			// Revoked: neither a ticket nor the certificate itself helps.
			g.apply(`, revoked = ["revoked.txt"]`)
			expect(ann, "shut.example", `403 {"message":"Forbidden"}`, false)
			expect(ann, "shut.example", `403 {"message":"Forbidden"}`, true)
			g.apply("")
			expect(ann, "shut.example", "200", false)
		})
	}
}

// oneSession keeps one session for all names, as no honest client does.
type oneSession struct{ tls.ClientSessionCache }

func (o oneSession) Get(string) (*tls.ClientSessionState, bool) {
	return o.ClientSessionCache.Get("any")
}

func (o oneSession) Put(_ string, s *tls.ClientSessionState) { o.ClientSessionCache.Put("any", s) }

// An HTTP/2 connection serves a name that asks for certificates only if it was
// opened for that name, whatever the streams ask for.
func TestCoalescedNames(t *testing.T) {
	g := newGuarded(t)
	over := func(serverName, own string) func(host, want string) {
		c := g.client(serverName, own)
		c.NextProtos = []string{"h2"}
		conn, err := tls.Dial("tcp", g.gateway.Addr("public"), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() }) // the gateway may be first
		client, err := new(http2.Transport).NewClientConn(net.Conn(conn))
		if err != nil {
			t.Fatal(err)
		}
		return func(host, want string) {
			t.Helper()
			request, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+host+"/", nil)
			reply, err := client.RoundTrip(request)
			if err != nil {
				t.Errorf("%s over %s: %v", host, serverName, err)
				return
			}
			defer reply.Body.Close()
			body, err := io.ReadAll(reply.Body)
			if got := fmt.Sprintf("%d %s", reply.StatusCode, body); got != want || err != nil {
				t.Errorf("%s over %s: got %q (%v), want %q", host, serverName, got, err, want)
			}
		}
	}
	const misdirected = `421 {"message":"Misdirected Request"}`
	open := over("open.example", "ann")
	open("open.example", `200 ""`)
	open("shut.example", misdirected)
	open("SHUT.example.:443", misdirected)
	open("other.example", misdirected)
	open("a.wild.example", misdirected)
	open("open.example", `200 ""`)
	shut := over("shut.example", "ann")
	shut("shut.example", `200 "C=ZZ,O=Clients,CN=ann"`)
	shut("SHUT.EXAMPLE.", `200 "C=ZZ,O=Clients,CN=ann"`)
	shut("open.example", `200 ""`)
	shut("a.wild.example", misdirected)
	wild := over("a.wild.example", "ann")
	wild("a.wild.example", `200 "C=ZZ,O=Clients,CN=ann"`)
	wild("b.wild.example", misdirected)
	wild("shut.example", misdirected)
	other := over("other.example", "olaf")
	other("other.example", `200 "C=ZZ,O=Clients,CN=olaf"`)
	other("shut.example", misdirected)
}

// curl, which brings a TLS library of its own, is let in and kept out like others.
func TestCurlWithCertificate(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl isn't here:", err)
	}
	g := newGuarded(t)
	_, port, err := net.SplitHostPort(g.gateway.Addr("public"))
	if err != nil {
		t.Fatal(err)
	}
	f := func(host, want string, options ...string) {
		t.Helper()
		cmd := exec.Command(curl, append([]string{"-sS", "--noproxy", "*", "--cacert", "site.crt", "--connect-to", "::127.0.0.1:" + port,
			"-w", " %{http_code}", "https://" + host + "/"}, options...)...)
		cmd.Dir = g.dir
		out, err := cmd.CombinedOutput()
		if want == "" {
			if err == nil {
				t.Errorf("%s %v: got %s, want no connection", host, options, out)
			}
			return
		}
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s %v: got %s (%v), want %s", host, options, out, err, want)
		}
	}
	ann := []string{"--cert", "ann.crt", "--key", "ann.key"}
	olaf := []string{"--cert", "olaf.crt", "--key", "olaf.key"}
	for _, version := range []string{"1.2", "1.3"} {
		with := func(options []string, more ...string) []string {
			return append(append([]string{"--tlsv" + version, "--tls-max", version}, options...), more...)
		}
		f("shut.example", `"C=ZZ,O=Clients,CN=ann" 200`, with(ann)...)
		f("shut.example", `{"message":"Forbidden"} 403`, with(olaf)...)
		f("shut.example", "", with(nil)...)
		f("other.example", `"" 200`, with(nil)...)
		f("open.example", `421`, with(ann, "-H", "Host: shut.example")...)
	}
}

package server

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

func TestParseNode(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		got, err := parseNode(s)
		if err == nil && got.String() != want || err != nil && want != "" {
			t.Errorf("%q: got %v, %v, want %q", s, got, err, want)
		}
	}
	f("192.0.2.1", "192.0.2.1:0")
	f("192.0.2.1:80", "192.0.2.1:80")
	f("2001:db8::1", "[2001:db8::1]:0")
	f("[2001:db8::1]", "[2001:db8::1]:0")
	f("[2001:db8::1]:80", "[2001:db8::1]:80")
	f("::ffff:192.0.2.1", "192.0.2.1:0")
	for _, bad := range []string{"", "unknown", "_x", "192.0.2.1:", "192.0.2.1:x", "192.0.2.1:99999", "192.0.2.1:+1", "[192.0.2.1]", "[::1", "[::1]80", "[]", "[", "::1%lo",
		"192.0.2", "0.0.0.0", "::", "01.2.3.4", "1.2.3.4.5", " 1.2.3.4", "1.2.3.4 5"} {
		f(bad, "")
	}
}

func TestBelieve(t *testing.T) {
	tr := &trust{proxies: prefixes{netip.MustParsePrefix("10.0.0.0/8")}}
	standard := &trust{proxies: tr.proxies, standard: true, host: true}
	f := func(tr *trust, peer, want string, fields ...string) {
		t.Helper()
		var ex proxy.Exchange
		ex.Begin(time.Now(), nil)
		ex.In.Client, ex.In.Scheme, ex.In.Host = netip.MustParseAddrPort(peer+":1"), "http", "own"
		for i := 0; i < len(fields); i += 2 {
			ex.In.Fields.Add(fields[i], fields[i+1])
		}
		refused, ok := tr.believe(&ex)
		got := fmt.Sprintf("%s %s %s %s", ex.In.Client.Addr(), ex.In.Hops, ex.In.Scheme, ex.In.Host)
		if !ok {
			got = fmt.Sprint(refused.Kind)
		}
		if got != want {
			t.Errorf("%s %q: got %q, want %q", peer, fields, got, want)
		}
	}
	x := "X-Forwarded-For"
	f(tr, "10.0.0.1", "192.0.2.1 10.0.0.1 http own", x, "192.0.2.1")
	f(tr, "192.0.2.9", "192.0.2.9  http own", x, "192.0.2.1", "X-Forwarded-Proto", "https")
	f(tr, "10.0.0.1", "192.0.2.1 10.0.0.2, 10.0.0.1 https own", x, "garbage, 192.0.2.1 ,,\t10.0.0.2", "X-Forwarded-Proto", "http, HTTPS", "X-Forwarded-Host", "x")
	f(tr, "10.0.0.1", "10.0.0.1  http own", x, " , ", "X-Forwarded-Proto", "gopher")
	f(tr, "10.0.0.1", "BAD_REQUEST", x, "192.0.2.1, 10.0.0.2, me")
	f(tr, "10.0.0.1", "BAD_REQUEST", x, strings.Repeat("10.0.0.2,", maxHops+1))
	f(tr, "10.0.0.1", "10.0.0.1  http own", "Forwarded", "for=192.0.2.1")
	fw := "Forwarded"
	f(standard, "10.0.0.1", "192.0.2.1 10.0.0.1 http own", fw, "for=192.0.2.1")
	f(standard, "10.0.0.1", "2001:db8::1 10.0.0.1 https h.test", fw, `For="[2001:db8::1]:9" ; proto=https;host=h.test;by=_x;;ext="a b"`)
	f(standard, "10.0.0.1", "192.0.2.1 10.0.0.2, 10.0.0.1 http own", fw, `for=evil, for=192.0.2.1;proto=http`, fw, " ,for=10.0.0.2;proto=https,")
	f(standard, "10.0.0.1", "10.0.0.1  http own", x, "192.0.2.1")
	for _, bad := range []string{"for", "for=", `for="1.2.3.4`, `for="1.2.3.4"x`, "for=1.2.3.4;for=1.2.3.5", "for=unknown", "proto=https", `for=1.2.3.4;host="a\"b"`,
		"fo r=1.2.3.4", "for=1.2.3.4 x", `for=1.2.3.4;host="a b"`, strings.Repeat("for=10.0.0.3,", maxHops+2)} {
		f(standard, "10.0.0.1", "BAD_REQUEST", fw, bad)
	}
}

func FuzzBelieve(f *testing.F) {
	f.Add("192.0.2.1, 10.0.0.2", `for=192.0.2.1, for="[2001:db8::1]:9";proto=https`)
	proxies := prefixes{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fc00::/7")}
	f.Fuzz(func(t *testing.T, x, standard string) {
		for _, tr := range []*trust{{proxies: proxies}, {proxies: proxies, standard: true, host: true}} {
			// Whatever a client writes first, a proxy that appends the client's address wins.
			for _, spoiled := range []bool{false, true} {
				var ex proxy.Exchange
				ex.Begin(time.Now(), nil)
				ex.In.Client = netip.MustParseAddrPort("10.0.0.1:1")
				if spoiled {
					ex.In.Fields = http1.Fields{http1.NewField("X-Forwarded-For", x), http1.NewField("Forwarded", standard)}
				}
				ex.In.Fields = append(ex.In.Fields, http1.NewField("X-Forwarded-For", "192.0.2.1"), http1.NewField("Forwarded", "for=192.0.2.1"))
				_, ok := tr.believe(&ex)
				if ok && (ex.In.Client.Addr().String() != "192.0.2.1" || ex.In.Hops != "10.0.0.1") {
					t.Fatalf("client %s, hops %s", ex.In.Client, ex.In.Hops)
				}
				if !ok && !spoiled {
					t.Fatal("refused")
				}
			}
		}
	})
}

func preface2(command, family byte, body []byte) []byte {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

func TestPreface(t *testing.T) {
	own := ends{netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:80")}
	f := func(raw, want string) {
		t.Helper()
		r := strings.NewReader(raw + "rest")
		header, err := readPreface(r)
		got := "refused"
		if err == nil {
			var e ends
			if e, err = parsePreface(header, own); err == nil {
				got = e.client.String() + " " + e.local.String()
				if rest, _ := io.ReadAll(r); string(rest) != "rest" {
					t.Errorf("%q: %q is left", raw, rest)
				}
			}
		}
		if got != want {
			t.Errorf("%q: got %s (%v), want %s", raw, got, err, want)
		}
	}
	v4 := []byte{192, 0, 2, 7, 192, 0, 2, 1, 0x13, 0x88, 0x01, 0xbb}
	v6 := append(append(netip.MustParseAddr("2001:db8::7").AsSlice(), netip.MustParseAddr("2001:db8::1").AsSlice()...), 0x13, 0x88, 0x01, 0xbb)
	mine := "10.0.0.1:1 10.0.0.2:80"
	f("PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n", "192.0.2.7:5000 192.0.2.1:443")
	f("PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n", "[2001:db8::7]:5000 [2001:db8::1]:443")
	f("PROXY UNKNOWN\r\n", mine)
	f("PROXY UNKNOWN 1 2 3\r\n", mine)
	f(string(preface2(0x21, 0x11, v4)), "192.0.2.7:5000 192.0.2.1:443")
	f(string(preface2(0x21, 0x11, append(bytes.Clone(v4), 4, 0, 1, 0))), "192.0.2.7:5000 192.0.2.1:443")
	f(string(preface2(0x21, 0x21, v6)), "[2001:db8::7]:5000 [2001:db8::1]:443")
	f(string(preface2(0x20, 0, nil)), mine)
	f(string(preface2(0x20, 0x11, v4)), mine)
	for _, bad := range []string{
		"PROXY TCP4 192.0.2.7 192.0.2.1 5000\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1 5000 443 1\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\n",
		"PROXY TCP4 192.0.2.7 192.0.2.1 5000 65536\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1 05000 443\r\n", "PROXY TCP4 192.0.2.07 192.0.2.1 5000 443\r\n",
		"PROXY TCP4 ::1 ::1 5000 443\r\n", "PROXY UDP4 192.0.2.7 192.0.2.1 5000 443\r\n", "PROXY  TCP4 192.0.2.7 192.0.2.1 5000 443\r\n",
		"PROXYTCP4 192.0.2.7 192.0.2.1 5000 443\r\n", "proxy TCP4 192.0.2.7 192.0.2.1 5000 443\r\n", "PROXY UNKNOWN " + strings.Repeat("x", 100) + "\r\n",
		"PROXY TCP4 0.0.0.0 192.0.2.1 5000 443\r\n",
		"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00",
		string(preface2(0x31, 0x11, v4)), string(preface2(0x22, 0x11, v4)), string(preface2(0x21, 0x11, v4[:11])), string(preface2(0x21, 0x12, v4)),
		string(preface2(0x21, 0x31, make([]byte, 216))), string(preface2(0x21, 0x11, make([]byte, prefaceOptions+1))),
	} {
		f(bad, "refused")
	}
}

// dialAs opens a connection that a load balancer begins for client.
func (g *gateway) dialAs(client string) net.Conn {
	g.t.Helper()
	c := g.dial()
	fmt.Fprintf(c, "PROXY TCP4 %s 192.0.2.1 5000 80\r\n", client)
	return c
}

// alive reports whether c answers.
func alive(c net.Conn) bool {
	io.WriteString(c, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
	var answer []byte
	for b := make([]byte, 1); !bytes.HasSuffix(answer, []byte("\r\n\r\n")); answer = append(answer, b...) {
		if _, err := io.ReadFull(c, b); err != nil {
			return false
		}
	}
	return bytes.HasPrefix(answer, []byte("HTTP/1.1 204 "))
}

func TestClientConnections(t *testing.T) {
	g := start(t, `proxy_protocol = { from = ["127.0.0.1"] }
trusted_proxies = ["192.0.2.99"]
limits.client = { connections = 2 }`)
	first, second := g.dialAs("192.0.2.7"), g.dialAs("192.0.2.7")
	if !alive(first) || !alive(second) {
		t.Fatal("connections within the limit don't work")
	}
	if alive(g.dialAs("192.0.2.7")) {
		t.Error("a third connection works")
	}
	if !alive(g.dialAs("192.0.2.8")) {
		t.Error("another client's doesn't")
	}
	for range 3 { // a proxy speaks for many
		if c := g.dialAs("192.0.2.99"); !alive(c) {
			t.Error("a trusted proxy's doesn't")
		}
	}
	if n := g.Stats().Refused["client_connections"]; n != 1 {
		t.Errorf("%d refusals, want 1", n)
	}
	first.Close()
	for !alive(g.dialAs("192.0.2.7")) { // until its end was noticed
		time.Sleep(time.Millisecond)
	}
}

func TestClientConnectionRate(t *testing.T) {
	g := start(t, `proxy_protocol = { from = ["127.0.0.1"] }
limits.client = { connection_rate = 1, connection_burst = 2 }`)
	if !alive(g.dialAs("192.0.2.7")) || !alive(g.dialAs("192.0.2.7")) {
		t.Fatal("connections within the limit don't work")
	}
	if alive(g.dialAs("192.0.2.7")) {
		t.Error("a third connection at once works")
	}
	if !alive(g.dialAs("192.0.2.8")) {
		t.Error("another client's doesn't")
	}
}

func BenchmarkBelieve(b *testing.B) {
	tr := &trust{proxies: prefixes{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fc00::/7")}}
	var ex proxy.Exchange
	b.ReportAllocs()
	for b.Loop() {
		ex.Begin(time.Time{}, nil)
		ex.In.Client = netip.MustParseAddrPort("10.0.0.1:1")
		ex.In.Fields = append(ex.In.Fields, http1.NewField("X-Forwarded-For", "192.0.2.1, 10.0.0.2"), http1.NewField("X-Forwarded-Proto", "https"))
		tr.believe(&ex)
	}
}

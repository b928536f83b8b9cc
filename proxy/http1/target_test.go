package http1

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	f := func(method, target, want string) {
		t.Helper()
		got, err := ParseTarget(method, target)
		text := fmt.Sprintf("%d %s|%s|%s|%s|%t", got.Form, got.Scheme, got.Authority, got.Path, got.RawQuery, got.HasQuery)
		if err != nil {
			if e := err.(*Error); e.Status != 400 || got != (Target{}) {
				t.Errorf("%s %q: status %d with %+v", method, target, e.Status, got)
			}
			text = "refused"
		}
		if text != want {
			t.Errorf("%s %.100q: got %s, want %s", method, target, text, want)
		}
	}
	f("GET", "/", "0 ||/||false")
	f("GET", "/a/b%2Fc;p?x=1?y&z", "0 ||/a/b%2Fc;p|x=1?y&z|true")
	f("GET", "/?", "0 ||/||true")
	f("GET", "//evil/a", "0 ||//evil/a||false")
	f("GET", "/http://a/", "0 ||/http://a/||false")
	f("GET", "", "refused")
	f("GET", "a", "refused")
	f("GET", "*", "refused")
	f("GET", "**", "refused")
	f("OPTIONS", "*", "3 ||*||false")
	f("OPTIONS", "*?", "refused")
	f("OPTIONS", "/", "0 ||/||false")
	f("GET", "/#", "refused")
	f("GET", "/ ", "refused")
	f("GET", "/\x7f", "refused")
	f("GET", "/ä", "refused")
	f("GET", "http://a", "1 http|a|/||false")
	f("OPTIONS", "http://a", "1 http|a|*||false")
	f("OPTIONS", "http://a?", "1 http|a|/||true")
	f("GET", "hTTps://A.b:81/c?d", "1 https|A.b:81|/c|d|true")
	f("GET", "http://[::1]:80?d", "1 http|[::1]:80|/|d|true")
	f("GET", "http:///a", "refused")
	f("GET", "http://", "refused")
	f("GET", "http:/a", "refused")
	f("GET", "http://a b/", "refused")
	f("GET", "http://u@a/", "refused")
	f("GET", "http://a:/", "refused")
	f("GET", "ws://a/", "refused")
	f("GET", "\\\\a/b", "refused")
	f("CONNECT", "a:443", "2 |a:443|||false")
	f("CONNECT", "[::1]:443", "2 |[::1]:443|||false")
	f("CONNECT", "a", "refused")
	f("CONNECT", "/", "refused")
	f("CONNECT", "*", "refused")
	f("CONNECT", "http://a:1/", "refused")
}

func TestParseHost(t *testing.T) {
	f := func(s, wantHost, wantPort string) {
		t.Helper()
		host, port, err := ParseHost(s)
		if wantHost == "" {
			if err == nil {
				t.Errorf("%.100q: got %q %q, want an error", s, host, port)
			} else if e := err.(*Error); e.Status != 400 {
				t.Errorf("%.100q: status %d, want 400", s, e.Status)
			}
			return
		}
		if err != nil || host != wantHost || port != wantPort {
			t.Errorf("%.100q: got %q %q %v, want %q %q", s, host, port, err, wantHost, wantPort)
		}
	}
	f("a", "a", "")
	f("A.Example.COM:8080", "a.example.com", "8080")
	f("my_service-1.ns", "my_service-1.ns", "")
	f("10.0.0.1:80", "10.0.0.1", "80")
	f("a.:80", "a", "80") // the DNS's root
	f("a:1", "a", "1")
	f("a:65535", "a", "65535")
	f("[2001:DB8::1]:443", "2001:db8::1", "443")
	f("[::]", "::", "")
	f("[::ffff:127.0.0.1]", "::ffff:127.0.0.1", "")
	label := strings.Repeat("a", 63) + "."
	f(strings.Repeat(label, 4)[:253], strings.Repeat(label, 4)[:253], "")
	for _, bad := range []string{"", ":", ":80", ".", "..", ".a", "a..b", "a..", "a:", "a:0", "a:080", "a:65536", "a:999999",
		"a:8 0", "a:+80", "a:80:80", "a:x", "a b", " a", "a\t", "a/b", "a?b", "a#b", "a\\b", "u@a", "a,b", "a;b", "a=b", "a%41", "ä",
		"a\x00", "*.a", "::1", "[::1", "::1]", "[]", "[::1]x", "[::1]:", "[::1]:0", "[127.0.0.1]", "[a]", "[fe80::1%25eth0]",
		"[fe80::1%eth0]", "[v1.a]", "[[::1]]", "[::1]]", strings.Repeat("a", 255), "[" + strings.Repeat("0", 9999) + "]"} {
		f(bad, "", "")
	}
}

func BenchmarkParseTarget(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseTarget("GET", "/pets/42/photos?size=large&page=2"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseHost(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ParseHost("api.example.com:8443"); err != nil {
			b.Fatal(err)
		}
	}
}

// Taking a Host apart that is the same as before, and one that isn't.
func BenchmarkNamed(b *testing.B) {
	for name, hosts := range map[string][2]string{"same": {"api.example.com:8443", "api.example.com:8443"}, "other": {"api.example.com:8443", "web.example.com:8443"}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var n named
			for i := 0; b.Loop(); i++ {
				if _, port, ok := n.take(hosts[i&1]); !ok || port != "8443" {
					b.Fatal(port)
				}
			}
		})
	}
}

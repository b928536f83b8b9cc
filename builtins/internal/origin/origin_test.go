package origin

import (
	"strings"
	"testing"
)

func TestOrigins(t *testing.T) {
	f := func(patterns, origin string, want bool) {
		t.Helper()
		o := New(strings.Fields(patterns))
		if got := o.Allow(origin); got != want {
			t.Errorf("%s allow %q: %v", patterns, origin, got)
		}
	}
	f("https://a.example", "https://a.example", true)
	f("https://a.example", "https://a.example:8443", false)
	f("https://a.example", "https://a.example.evil", false)
	f("https://a.example", "http://a.example", false)
	f("https://a.example", "", false)
	f("https://a.example", "null", false)
	f("null", "null", true)
	f("*", "null", true)
	f("https://*", "https://anything.example:1", true)
	f("https://*", "http://anything.example", false)
	f("https://*", "https://", false)
	// Nothing but an origin is sent back.
	f("https://*", "https://a.example/path", false)
	f("https://*", "https://a.example, https://b", false)
	f("https://*.example.com", "https://a.example.com", true)
	f("https://*.example.com", "https://a.b.example.com", true)
	f("https://*.example.com", "https://example.com", false)
	f("https://*.example.com", "https://.example.com", false)
	f("https://*.example.com", "https://evilexample.com", false)
	f("https://*.example.com", "https://evil.test/.example.com", false)
	f("https://*.example.com", "https://evil.test#.example.com", false)
	f("https://*.example.com", "https://a.example.com:8443", false)
	f("capacitor://localhost", "capacitor://localhost", true)
}

func TestCheck(t *testing.T) {
	f := func(origin string, good bool) {
		t.Helper()
		text, hint := Check(origin)
		if (text == "") != good || text != "" && hint == "" {
			t.Errorf("%q: %q, %q", origin, text, hint)
		}
	}
	f("*", true)
	f("null", true)
	f("https://*", true)
	f("https://a.example", true)
	f("https://*.a.example:8443", true)
	f("http://[::1]:8080", true)
	f("a.example", false)
	f("https://", false)
	f("https://a.example/", false)
	f("https://A.example", false)
	f("https://a.example:443", false)
	f("http://a.example:80", false)
	f("https://a.*.example", false)
	f("https://*a.example", false)
	f("https://münchen.example", false)
}

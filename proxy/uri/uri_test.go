package uri

import "testing"

func TestUnescape(t *testing.T) {
	for text, want := range map[string]int{
		"%41": 'A', "%2f": '/', "%2F": '/', "%00": 0, "%ff": 255,
		"": -1, "%": -1, "%4": -1, "%4g": -1, "%g4": -1, "A41": -1, "%:0": -1, "%@0": -1, "%`0": -1,
	} {
		c, ok := Unescape(text, 0)
		if ok != (want >= 0) || ok && int(c) != want {
			t.Errorf("Unescape(%q) = %d, %v; want %d", text, c, ok, want)
		}
	}
	if c, ok := Unescape([]byte("a%7E"), 1); !ok || c != '~' {
		t.Errorf("in bytes: %q, %v", c, ok)
	}
}

func TestAppendPath(t *testing.T) {
	for text, want := range map[string]string{"": "", "a%20b+c": "a b+c", "%c3%A9%2F": "é/", "50%": "50%", "%zz%4": "%zz%4", "%2541": "%41"} {
		if got := string(AppendPath([]byte("/"), text)); got != "/"+want {
			t.Errorf("%q becomes %q, want %q", text, got, "/"+want)
		}
	}
}

func TestHasDotSegment(t *testing.T) {
	for path, want := range map[string]bool{
		"/..": true, "/.": true, "/a/../b": true, "/a/./b": true, "/%2e%2E": true, "/.%2e/": true, `/a\..\b`: true,
		"/..;/a": true, "/.;x": true, "/a%2f..": true, "/a%5c.%5cb": true, "/..%3Bx": true,
		"/": false, "/a": false, "/...": false, "/a..": false, "/..a": false, "/a;..": false, "/%2e%2e%2e": false,
		"/a;/b": false, "": false, "/%2": false, "/.%2": false, "a/.b.": false, "..": false,
	} {
		if got := HasDotSegment(path); got != want {
			t.Errorf("HasDotSegment(%q) = %v", path, got)
		}
		if got := HasDotSegment([]byte(path)); got != want {
			t.Errorf("HasDotSegment of the bytes %q = %v", path, got)
		}
	}
}

func BenchmarkHasDotSegment(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if HasDotSegment("/v1/pets/%41bc/toys.json/a.b") {
			b.Fatal("it climbs")
		}
	}
}

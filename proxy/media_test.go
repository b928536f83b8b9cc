package proxy

import "testing"

func TestMediaTypes(t *testing.T) {
	f := func(value string, want bool, names ...string) {
		t.Helper()
		if got := NewMediaTypes(names).Has(value); got != want {
			t.Errorf("%q in %v: got %v", value, names, got)
		}
	}
	f("image/png", true, "image/png")
	f("IMAGE/png; q=1", true, "text/css", "image/PNG")
	f("image/png , text/html", true, "image/*")
	f("image/png", true, "*/*")
	// Only the first counts.
	f("text/html, image/png", false, "image/png")
	f("text/html;x=y, */*", true, "text/html")
	// A wildcard counts in the list only.
	f("*/*", false, "image/png")
	f("image/*", false, "image/png")
	f("*/*", true, "*/*")
	f("image/", false, "image/*")
	f("imagex/png", false, "image/*")
	f("", true, "*/*")
	f(" ", true, "application/json")
	f("", false, "image/*")
	f("image/png", false)
}

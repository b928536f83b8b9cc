package plugins

import (
	"strings"
	"testing"

	"github.com/postern-gateway/postern/sdk/abi"
)

// Entries of the query are the same whatever the order in which a guest asks, how
// often, and whatever it makes of the query in between.
func TestQueryEntries(t *testing.T) {
	in := editing(t, abi.Request)
	entry := func(index uint32, want string) {
		t.Helper()
		name, value, code := in.queryEntry(index)
		got := name + "=" + value
		if code == abi.NotFound {
			got = "none"
		}
		if got != want {
			t.Errorf("entry %d of %q: got %s, want %s", index, in.query(), got, want)
		}
	}
	in.ex.In.RawQuery = "&;a=1&&b=%32;c&d=4=+4&"
	for range 2 {
		entry(0, "a=1")
		entry(1, "b=2")
		entry(1, "b=2")
		entry(3, "d=4= 4")
		entry(4, "none")
		entry(5, "none")
		entry(2, "c=")
		entry(3, "d=4= 4")
		entry(0, "a=1")
		entry(4_000_000_000, "none")
	}
	in.ex.In.RawQuery = "x=1&y=2"
	entry(1, "y=2")
	in.ex.In.RawQuery = ""
	entry(0, "none")
}

// BenchmarkQueryEntries is a guest that looks at all parameters of a long query.
func BenchmarkQueryEntries(b *testing.B) {
	in := editing(b, abi.Request)
	in.ex.In.RawQuery = strings.Repeat("a&", 4000)
	for b.Loop() {
		in.cursor = queryCursor{}
		for i := uint32(0); ; i++ {
			if _, _, code := in.queryEntry(i); code != abi.OK {
				break
			}
		}
	}
}

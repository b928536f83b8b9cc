package config

import (
	"fmt"
	"slices"
	"strings"
)

// clearHTTP2 refuses h2c beside TLS, where ALPN decides. RFC 9113, 3.2.
func (x *crosser) clearHTTP2(name string) {
	if l := x.cfg.Listen[name]; l.H2C && l.TLS != nil {
		x.key([]string{"listen", name, "h2c"}, "this listener has TLS", `HTTP/2 over TLS is agreed on by ALPN: it needs no key, unless tls.alpn leaves "h2" out`)
	}
}

// speaks checks that the backend's protocol and the scheme of the URL of the
// integration at path agree.
func (x *crosser) speaks(path []string, in *Integration) {
	scheme, _, found := strings.Cut(in.URL, "://")
	if in.Backend == "" || !found {
		return
	}
	want := map[string]string{"h2": "https", "h2c": "http"}[x.cfg.Backend[in.Backend].Protocol]
	if want == "" || scheme == want || scheme != "http" && scheme != "https" {
		return
	}
	other := map[string]string{"http": `protocol = "h2c"`, "https": `protocol = "h2"`}[scheme]
	x.value(append(slices.Clone(path), "url"), scheme, fmt.Sprintf("backend %q speaks %s, which needs %s://", in.Backend, x.cfg.Backend[in.Backend].Protocol, want), "or give the backend "+other)
}

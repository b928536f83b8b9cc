package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The lowest versions of TLS that a policy can ask for.
const (
	TLS12 = "1.2"
	TLS13 = "1.3"
)

// TLSPolicy returns the lowest version of TLS that a policy allows, TLS12 or TLS13;
// found is false for a name that isn't a policy's. With TLS 1.2 all have the same
// cipher suites: AEADs with an ephemeral key exchange.
//
// AWS: "Security policies for REST APIs". Those of its policies that also allow suites
// with CBC or without forward secrecy are narrower here: clients that know nothing
// newer than these suites are from before 2013.
func TLSPolicy(name string) (lowest string, found bool) {
	switch name {
	case "tls-1.2", "TLS_1_2", "SecurityPolicy_TLS13_1_2_2021_06", "SecurityPolicy_TLS13_1_2_PQ_2025_09", "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09",
		"SecurityPolicy_TLS12_PFS_2025_EDGE", "SecurityPolicy_TLS12_2018_EDGE":
		return TLS12, true
	case "tls-1.3", "SecurityPolicy_TLS13_1_3_2025_09", "SecurityPolicy_TLS13_2025_EDGE":
		return TLS13, true
	}
	return "", false
}

// policy checks the name of a TLS policy.
func (x *crosser) policy(path []string, name string) {
	if _, found := TLSPolicy(name); found || name == "" {
		return
	}
	text, hint := "no such policy", `write "tls-1.2" or "tls-1.3", or the name of one of AWS's policies that allow no less than TLS 1.2`
	switch {
	case name == "TLS_1_0" || strings.HasPrefix(name, "SecurityPolicy_TLS10") || strings.HasPrefix(name, "SecurityPolicy_TLS11"):
		text, hint = "TLS 1.0 and 1.1 aren't spoken any more (RFC 8996)", `write "tls-1.2"`
	case strings.Contains(name, "FIPS"):
		text, hint = "FIPS is decided for the whole process, and no policy can promise it", `run the gateway with GODEBUG=fips140=on, and write "tls-1.2" or "tls-1.3"`
	}
	x.value(path, "", text, hint)
}

// edges checks what listeners, domains and APIs say of their clients' side.
func (x *crosser) edges() {
	for _, name := range x.entries("listen") {
		x.listenEdge([]string{"listen", name}, x.cfg.Listen[name])
	}
	for _, name := range x.entries("domain") {
		d, path := x.cfg.Domain[name], []string{"domain", name}
		x.policy(append(path, "tls_policy"), d.TLSPolicy)
		if d.HSTS != nil && d.HSTS.Preload {
			x.preload(name, d.HSTS)
		}
		x.endpoint(append(path, "endpoint"), d.Endpoint)
	}
	for _, name := range x.entries("api") {
		x.endpoint([]string{"api", name, "endpoint"}, x.cfg.API[name].Endpoint)
	}
}

func (x *crosser) listenEdge(path []string, l Listen) {
	if l.TLS != nil {
		x.policy(append(path, "tls", "policy"), l.TLS.Policy)
		if slices.Contains(l.TLS.ALPN, "h3") {
			x.http3(path, l)
		}
	}
	r := l.RedirectHTTPS
	if r == nil || !r.On {
		return
	}
	path = append(path, "redirect_https")
	if l.TLS != nil {
		x.key(path, "this listener has TLS", "clients are redirected from a listener without TLS")
	}
	if !slices.Contains([]int{301, 302, 307, 308}, r.Status) {
		x.value(append(path, "status"), "", fmt.Sprintf("%d isn't a redirect to the same thing elsewhere", r.Status), "write 308, 307, 301 or 302")
	}
	for i, exempt := range r.Except {
		if !strings.HasPrefix(exempt, "/") {
			x.value(append(slices.Clone(path), "except", fmt.Sprint(i)), "", `the path must begin with "/"`, fmt.Sprintf("write %q", "/"+exempt))
		}
	}
}

// http3 checks a listener that offers HTTP/3.
func (x *crosser) http3(path []string, l Listen) {
	alpn := append(slices.Clone(path), "tls", "alpn")
	if len(l.TLS.ALPN) == 1 {
		x.value(alpn, "", "HTTP/3 alone: clients learn of it by HTTP/1.1 or HTTP/2, and need one of them where UDP doesn't get through", `write ["h3", "h2", "http/1.1"]`)
	}
	if l.ProxyProtocol != nil {
		x.value(alpn, "h3", "the PROXY protocol has no header for HTTP/3's datagrams, so nobody could tell who the client is", "remove one of the two")
	}
}

// preloadAge is the least max_age of domains on browsers' lists: hstspreload.org.
const preloadAge = Duration(365 * 24 * time.Hour)

// preload checks a domain that wants to be on browsers' lists.
func (x *crosser) preload(name string, h *HSTS) {
	path := []string{"domain", name, "hsts", "preload"}
	if !h.IncludeSubdomains {
		x.key(path, "preload without include_subdomains", "browsers' lists take domains with all names below them: add include_subdomains = true")
	}
	if h.MaxAge < preloadAge {
		x.key(path, "preload with a max_age below a year", `browsers' lists ask for max_age = "8760h"`)
	}
	if strings.HasPrefix(name, "*.") {
		x.key(path, "a wildcard can't be preloaded", "browsers' lists name the registered domain: add it as a domain of its own")
	}
	for _, l := range x.entries("listen") {
		if r := x.cfg.Listen[l].RedirectHTTPS; x.cfg.Listen[l].TLS == nil && (r == nil || !r.On) {
			at := x.nearest(path)
			x.add(SeverityWarning, at, at.keySpan(), path, fmt.Sprintf("listener %q answers without TLS", l), "browsers' lists ask that HTTP is redirected to HTTPS on the same host: add redirect_https = true to it")
		}
	}
}

// endpoint checks that somebody can reach it.
func (x *crosser) endpoint(path []string, e *Endpoint) {
	if e == nil {
		return
	}
	has := func(claim func(Listen) bool) bool {
		return slices.ContainsFunc(x.entries("listen"), func(name string) bool { return claim(x.cfg.Listen[name]) })
	}
	switch e.Type {
	case "private":
		if len(e.Networks) == 0 && !has(func(l Listen) bool { return l.Private }) {
			x.value(path, "private", "nobody could reach it", "add private = true to the listeners for it, or name networks = [\"NAME\"] with [network.NAME]")
		}
	case "edge":
		if !has(func(l Listen) bool { return len(l.TrustedProxies) > 0 }) {
			x.value(path, "edge", "no listener has trusted proxies, so nobody could reach it", "list the addresses of the CDN in trusted_proxies of the listener")
		}
	}
	if e.Type != "private" && len(e.Networks) > 0 {
		x.key(append(path, "networks"), "networks are for private endpoints", `write type = "private", or remove them`)
	}
}

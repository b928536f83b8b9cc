package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// The programs that make the load.
const (
	byWrk    = "wrk"
	byH2load = "h2load"
	byPace   = "paced client"
	byIdle   = "idle connections"
	byHello  = "handshakes"
)

// scenario is one kind of request.
type scenario struct {
	name   string
	title  string
	tool   string
	method string
	path   string
	header map[string]string
	send   int    // bytes of the request's content
	want   []byte // the reply's content
	secure bool   // TLS 1.3
	resume bool   // the session of the connection before
	rate   int    // requests a second, 0 for as fast as it goes
	idle   int    // connections that wait

	// For what not every proxy can do.
	proxies []string // who takes part; nil for all
	paths   map[string]string
}

// scenarios returns all of them in the order of the report.
func scenarios(rate, idle int) []scenario {
	k1, k64 := content(1<<10), content(64<<10)
	token := map[string]string{"Authorization": "Bearer sesame"}
	wasm := func(name, title, path string) scenario {
		return scenario{
			name: name, title: title, tool: byWrk, path: "/k1", want: k1, header: token,
			proxies: []string{nginx, postern}, paths: map[string]string{postern: path},
		}
	}
	all := []scenario{
		{name: "get1k", title: "proxy, GET 1 KiB", tool: byWrk, path: "/k1", want: k1},
		{name: "get64k", title: "proxy, GET 64 KiB", tool: byWrk, path: "/k64", want: k64},
		{name: "post16k", title: "proxy, POST 16 KiB", tool: byWrk, method: http.MethodPost, path: "/post", send: 16 << 10, want: []byte("16384\n")},
		{name: "tls1k", title: "TLS 1.3, HTTP/1.1, 1 KiB", tool: byWrk, path: "/k1", want: k1, secure: true},
		{name: "h2", title: "TLS 1.3, HTTP/2, 1 KiB", tool: byH2load, path: "/k1", want: k1, secure: true},
		{name: "close", title: "a new connection for each, 1 KiB", tool: byWrk, path: "/k1", want: k1, header: map[string]string{"Connection": "close"}},
		{name: "mock", title: "fixed answer, no backend", tool: byWrk, path: "/mock", want: []byte(mockAnswer)},
		{name: "cached", title: "kept answer, 1 KiB", tool: byWrk, path: "/cached/k1", want: k1, proxies: []string{nginx, postern}},
		{name: "handshake", title: "a TLS 1.3 handshake for each, fixed answer", tool: byHello, path: "/mock", want: []byte(mockAnswer), secure: true},
		{name: "resume", title: "the same, sessions resumed", tool: byHello, path: "/mock", want: []byte(mockAnswer), secure: true, resume: true},
		wasm("wasm", "Wasm authorizer in Go, then proxy 1 KiB (nginx: proxy alone)", "/guarded/k1"),
		wasm("wasmsmall", "the same check, hand-made Wasm", "/checked/k1"),
		{name: "rate", title: fmt.Sprintf("%d requests/s, 1 KiB", rate), tool: byPace, path: "/k1", want: k1, rate: rate},
		{name: "idle", title: fmt.Sprintf("%d idle connections", idle), tool: byIdle, path: "/k1", want: k1, idle: idle},
	}
	for i := range all {
		if all[i].method == "" {
			all[i].method = http.MethodGet
		}
	}
	return all
}

func names(all []scenario) []string {
	var n []string
	for _, s := range all {
		n = append(n, s.name)
	}
	return n
}

// takesPart reports whether a proxy can do the scenario.
func (s *scenario) takesPart(proxy string) bool {
	return s.proxies == nil || slices.Contains(s.proxies, proxy)
}

// target returns the path that a proxy is asked for.
func (s *scenario) target(proxy string) string {
	if path := s.paths[proxy]; path != "" {
		return path
	}
	return s.path
}

// url returns what the load's program asks for.
func (s *scenario) url(p *proxy) string {
	scheme, port := "http", p.place.plain
	if s.secure {
		scheme, port = "https", p.place.secure
	}
	return scheme + "://" + host + ":" + strconv.Itoa(port) + s.target(p.name)
}

// request returns a request without content as the paced client sends it.
func (s *scenario) request(p *proxy) []byte {
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s:%d\r\n\r\n", s.method, s.target(p.name), host, p.place.plain)
}

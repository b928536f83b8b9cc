package main

import "strings"

// try is a request to try and what comes of it.
type try struct {
	what   string
	method string // "" is GET
	header string
	body   string
	flags  string // of curl, besides -i
	url    string
	status int
	shows  string // part of the answer's content
}

// tries are the requests that run prints. A test sends each of them.
func tries(port string) []try {
	gateway := "http://localhost:" + port
	return []try{
		{what: "a fixed answer, from the gateway itself", url: gateway + "/version", status: 200, shows: `{"version":"1.4"}`},
		{what: "a WebAssembly function in Go", url: gateway + "/hello/Ada", status: 200, shows: "Hello, Ada"},
		{what: "the same in the stage dev", url: gateway + "/dev/hello/Ada", status: 200, shows: "Moin, Ada"},
		{what: "through to the backend, which shows what it got", method: "POST", body: "anything",
			url: gateway + "/echo/some/path?x=1", status: 200, shows: `"target": "/some/path?x=1"`},
		{what: "a WebAssembly authorizer: nobody, 401", url: gateway + "/private", status: 401, shows: "Unauthorized"},
		{what: "the wrong one, 403", header: "Authorization: Bearer guess", url: gateway + "/private", status: 403, shows: "not authorized"},
		{what: "the right one", header: "Authorization: Bearer sesame", url: gateway + "/private", status: 200, shows: `"target": "/private"`},
		{what: "server-sent events, as they come", flags: "-N", url: gateway + "/events?count=3", status: 200, shows: `{"tick":3}`},
		{what: "every API also answers at {api}.localhost", url: "http://hello.localhost:" + port + "/prod/version", status: 200, shows: `{"version":"1.4"}`},
	}
}

// curl returns the command line that sends t.
func (t try) curl() string {
	parts := []string{"curl -i"}
	if t.flags != "" {
		parts = append(parts, t.flags)
	}
	if t.header != "" {
		parts = append(parts, "-H '"+t.header+"'")
	}
	if t.body != "" {
		parts = append(parts, "-d '"+t.body+"'")
	}
	return strings.Join(append(parts, "'"+t.url+"'"), " ")
}

// guide is what run prints when everything is up.
func guide(port string) string {
	var b strings.Builder
	b.WriteString("\nThe gateway is up. Try these in another terminal:\n")
	for _, t := range tries(port) {
		b.WriteString("\n  # " + t.what + "\n  " + t.curl() + "\n")
	}
	b.WriteString("\nThe operator's side, on a unix socket:\n\n" +
		"  curl --unix-socket build/quickstart/admin.sock http://localhost/health/ready\n" +
		"  curl --unix-socket build/quickstart/admin.sock http://localhost/metrics\n" +
		"\nChange examples/quickstart/postern.toml and it is reloaded. Ctrl-C ends all.\n\n")
	return b.String()
}

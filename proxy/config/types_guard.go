package config

// Guard refuses requests before any authorizer is asked, wherever an API or a route
// names it. Preflights of CORS aren't guarded.
type Guard struct {
	// "client_rate" bounds how often a client's address comes (429), "client_concurrency"
	// how many requests it has under way (429), "body_size" how large a request's content
	// is (413), "origin" which sites' pages may open WebSockets (403), "ip" from which
	// addresses requests come (403).
	Type string `toml:"type" enum:"client_rate,client_concurrency,body_size,origin,ip" required:"true" example:"client_rate" aka:"kind"`
	// Requests a second of one client; fractions are allowed. The IPv6 addresses of a /64
	// are one client. Of an API's guard, all its routes count together; each stage counts
	// by itself. Reloads don't forget, and a million clients are remembered.
	Rate Rate `toml:"rate" for:"client_rate" required:"true" min:"0.001" max:"1000000" example:"10" aka:"limit,average,rate_limit"`
	// Requests at once before rate counts. Default: as many as rate, at least 1.
	Burst int `toml:"burst" for:"client_rate" default:"0" min:"0" max:"1000000" aka:"burst_limit"`
	// Requests of one client at the same time, WebSockets among them.
	Requests int `toml:"requests" for:"client_concurrency" default:"20" min:"1" max:"1000000" aka:"max,connections"`
	// Bytes of a request's content. The listener's limit holds besides.
	Size Size `toml:"size" for:"body_size" default:"1MiB" min:"0B" max:"1TiB" aka:"max,limit,max_body"`
	// Whose pages may ask for an upgrade: "https://app.example.com",
	// "https://*.example.com" for all names below it, "https://*" for all of a scheme,
	// "null", or "*" for all. Requests that ask for none pass.
	Origins []string `toml:"origins" for:"origin" required:"true" pattern:"\\*|null|[a-z][a-z0-9+.-]*://(\\*|(\\*\\.)?[a-z0-9._:\\[\\]-]+)" want:"an origin in lower case, such as \"https://app.example.com\" or \"https://*.example.com\"" example:"[\"https://app.example.com\"]" aka:"allow_origins,allowed_origins"`
	// What becomes of upgrades without an Origin, which browsers always send:
	// "allow" or "refuse".
	Missing string `toml:"missing" for:"origin" enum:"allow,refuse" default:"allow"`
	// Addresses or prefixes that may come; others may not. Absent: all.
	Allow []string `toml:"allow" for:"ip" example:"[\"10.0.0.0/8\"]" aka:"allowed,whitelist"`
	// Addresses or prefixes that may not, whatever allow says.
	Deny []string `toml:"deny" for:"ip" example:"[\"192.0.2.0/24\"]" aka:"denied,blacklist,block"`
}

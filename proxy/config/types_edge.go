package config

// Redirect sends the clients of a cleartext listener to HTTPS: the same host, path and
// query. Only hosts that the gateway answers to are sent anywhere. What a trusted proxy
// took by HTTPS stays, and so do ACME's challenges.
type Redirect struct {
	// false: answer requests as they come.
	On bool `toml:"on" default:"true" aka:"enabled"`
	// Port that clients are sent to, as they see it. 443 is left out of the address.
	Port int `toml:"port" default:"443" min:"1" max:"65535"`
	// Status. 307 and 308 keep the method and the content of requests, 301 and 302 don't.
	Status int `toml:"status" default:"308" min:"301" max:"308" aka:"code,status_code,statusCode"`
	// Paths that are answered without TLS all the same, such as those of health checks.
	// Each is compared as a whole.
	Except []string `toml:"except" example:"[\"/healthz\"]" aka:"exclude,skip"`
}

// HSTS has browsers use nothing but HTTPS for a domain: Strict-Transport-Security on
// every reply to a request that came by TLS, instead of what a backend says of it.
// RFC 6797.
type HSTS struct {
	// How long browsers remember it. "0s" has them forget it.
	MaxAge Duration `toml:"max_age" default:"8760h" min:"0s" max:"87600h" aka:"maxAge,seconds"`
	// It holds for all names below the domain, too.
	IncludeSubdomains bool `toml:"include_subdomains" aka:"includeSubDomains,include_sub_domains,subdomains"`
	// The domain may be put on the list that browsers come with, from where it can hardly
	// be taken off. Needs include_subdomains, a max_age of a year, and a name that isn't
	// below another one of this kind.
	Preload bool `toml:"preload"`
}

// Endpoint says from where an API, or a domain, can be reached. AWS: "API endpoint types
// for REST APIs".
type Endpoint struct {
	// "regional": by every listener. "private": only by listeners that are private, and
	// from the networks that are named; for everybody else it isn't there. "edge": only
	// through trusted proxies, such as those of a CDN, which also tell the client's address.
	Type string `toml:"type" enum:"regional,private,edge" default:"regional" aka:"types,kind"`
	// Networks, of [network.NAME], from which a private endpoint can be reached.
	Networks []string `toml:"networks" ref:"network" example:"[\"office\"]" aka:"network,vpc_endpoint_ids,vpcEndpointIds"`
}

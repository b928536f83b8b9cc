package config

import "cmp"

// StageCache keeps what the methods of a stage answer, to answer the next requests with the
// same key. AWS: "Cache settings for REST APIs in API Gateway".
type StageCache struct {
	// Off, and in APIs of type http: only integrations with a cache of their own keep answers,
	// in the memory below.
	Enabled bool `toml:"enabled" api:"rest" default:"true" aka:"cachingEnabled,cacheClusterEnabled,on"`
	// Memory for answers, their keys and what it takes to find them.
	Size Size `toml:"size" default:"64MiB" min:"1MiB" max:"1TiB" aka:"cacheClusterSize,max_size,memory"`
	// How long an answer is kept. "0s" keeps none. AWS goes up to 1h.
	TTL Duration `toml:"ttl" api:"rest" default:"5m" min:"0s" max:"168h" aka:"cacheTtlInSeconds,cache_ttl,expires,max_age"`
	// Most content of an answer that is kept. Longer ones are passed on as they come.
	MaxEntry Size `toml:"max_entry" default:"1MiB" min:"1KiB" max:"1GiB" aka:"max_object,max_file_size"`
	// How long a request waits for the answer to an earlier one with the same key, before it
	// asks the backend itself.
	Wait Duration `toml:"wait" default:"5s" min:"10ms" max:"5m" aka:"lock_timeout"`
	// Keep answers encrypted (AES-256-GCM), by a key that ends with the process.
	Encrypted bool `toml:"encrypted" aka:"cacheDataEncrypted,encryption"`
	// Callers whom the key doesn't tell apart get each other's answers: as on AWS. Off: what was
	// answered to somebody with an Authorization or a Cookie, whom an authorizer let in, or who
	// has an API key, isn't kept unless the backend says "public" or "s-maxage".
	Shared bool `toml:"shared" api:"rest" aka:"ignore_authorization"`
	// Whose Cache-Control: max-age=0 has an answer replaced: false for everybody's, true for
	// callers whose policies allow execute-api:InvalidateCache.
	RequireAuthorization bool `toml:"require_authorization" api:"rest" default:"true" aka:"requireAuthorizationForCacheControl"`
	// What everybody else gets for it: 403, what is kept with a Warning, or just what is kept.
	Unauthorized string `toml:"unauthorized" api:"rest" enum:"fail_with_403,succeed_with_response_header,succeed_without_response_header" default:"succeed_with_response_header" aka:"unauthorizedCacheControlHeaderStrategy,unauthorized_strategy"`
}

// MethodCache is what a stage's cache does otherwise for one method.
type MethodCache struct {
	// true: keep the answers of a method other than GET, too; for "*" it is about GET alone.
	Enabled *bool `toml:"enabled" aka:"cachingEnabled,on"`
	// How long an answer is kept. "0s" keeps none.
	TTL *Duration `toml:"ttl" min:"0s" max:"168h" example:"30s" aka:"cacheTtlInSeconds,cache_ttl,expires,max_age"`
	// Keep answers encrypted.
	Encrypted *bool `toml:"encrypted" aka:"cacheDataEncrypted,encryption"`
	// Callers whom the key doesn't tell apart get each other's answers.
	Shared *bool `toml:"shared" aka:"ignore_authorization"`
	// Whose Cache-Control: max-age=0 has an answer replaced.
	RequireAuthorization *bool `toml:"require_authorization" aka:"requireAuthorizationForCacheControl"`
	// What everybody else gets for it. Default: what the stage says.
	Unauthorized string `toml:"unauthorized" enum:"fail_with_403,succeed_with_response_header,succeed_without_response_header" example:"fail_with_403" aka:"unauthorizedCacheControlHeaderStrategy,unauthorized_strategy"`
}

// IntegrationCache keeps what one integration's backend answers.
type IntegrationCache struct {
	// "rfc9111": what the backend's Cache-Control, Expires, Vary, ETag and Last-Modified say, and
	// the client's Cache-Control, as caches on the Internet do that many share.
	Mode string `toml:"mode" enum:"rfc9111" required:"true" example:"rfc9111" aka:"type"`
	// For which share of the time since its Last-Modified an answer is good that says nothing
	// of how long it is, up to 24h; many caches take 0.1. 0: it is kept, and asked about
	// each time.
	Heuristic Rate `toml:"heuristic" default:"0" min:"0" max:"1" example:"0.1" aka:"heuristics,lm_factor"`
}

// over returns m, with what it doesn't say taken from below; either may be nil.
func (m *MethodCache) over(below *MethodCache) *MethodCache {
	switch {
	case m == nil:
		return below
	case below == nil:
		return m
	}
	all := *m
	all.Enabled = cmp.Or(m.Enabled, below.Enabled)
	all.TTL = cmp.Or(m.TTL, below.TTL)
	all.Encrypted = cmp.Or(m.Encrypted, below.Encrypted)
	all.Shared = cmp.Or(m.Shared, below.Shared)
	all.RequireAuthorization = cmp.Or(m.RequireAuthorization, below.RequireAuthorization)
	all.Unauthorized = cmp.Or(m.Unauthorized, below.Unauthorized)
	return &all
}

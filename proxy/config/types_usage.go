package config

// State is what the gateway keeps between runs besides plugins: API keys that were
// made by command, and how much of their quotas was used.
type State struct {
	// The file, or "memory" to keep nothing. One process uses it at a time. Default:
	// state.db in data_dir. It can't be changed while the gateway runs.
	Path string `toml:"path" path:"memory" example:"state.db" aka:"file"`
}

// Throttle is a token bucket: burst requests at once, and rate requests a second in
// the long run. What comes on top gets 429 THROTTLED with Retry-After.
type Throttle struct {
	// Requests a second; fractions are allowed. 0 refuses all requests.
	Rate Rate `toml:"rate" required:"true" min:"0" max:"1000000" example:"100" aka:"rateLimit,rate_limit,throttlingRateLimit"`
	// Requests at once. 0 refuses all requests. Absent: as many as rate, at least 1.
	Burst *int `toml:"burst" min:"0" max:"1000000" example:"200" aka:"burstLimit,burst_limit,throttlingBurstLimit"`
}

// GatewayThrottle bounds all requests that routes take, of all APIs together.
type GatewayThrottle struct {
	// Requests a second.
	Rate Rate `toml:"rate" default:"10000" min:"0" max:"10000000" aka:"rateLimit,rate_limit"`
	// Requests at once.
	Burst int `toml:"burst" default:"5000" min:"0" max:"10000000" aka:"burstLimit,burst_limit"`
}

// MethodSettings are what a stage says of one of its methods.
type MethodSettings struct {
	// Of the method's requests, whoever sends them, instead of the stage's.
	Throttle *Throttle `toml:"throttle" example:"{ rate = 10, burst = 20 }"`
	// Of the method's answers, instead of what the stage's cache says. true or false will do.
	Cache *MethodCache `toml:"cache" short:"enabled" api:"rest" instead:"HTTP APIs have cache = \"rfc9111\"" example:"{ ttl = \"30s\" }" aka:"caching"`
	// Level of the execution log, instead of the stage's.
	LogLevel string `toml:"log_level" enum:"off,error,info" example:"info" aka:"loggingLevel,logging_level"`
	// What the execution log has of the method's requests, instead of what the stage says.
	DataTrace *bool `toml:"data_trace" aka:"dataTraceEnabled"`
	// Figures of the method by itself.
	Metrics *bool `toml:"metrics" aka:"metricsEnabled"`
}

// Plan says which stages the API keys in it open, and how many requests each key may
// send.
type Plan struct {
	// What it is for.
	Description string `toml:"description"`
	// Stages, as "api:stage".
	Stages []string `toml:"stages" required:"true" example:"[\"pets:prod\"]" aka:"apiStages,api_stages,stage"`
	// Of each key's requests, to all stages of the plan together.
	Throttle *Throttle `toml:"throttle" example:"{ rate = 100, burst = 200 }"`
	// Of each key's requests to one method, instead of throttle: stages, in them route
	// keys.
	Method map[string]map[string]Throttle `toml:"method" example:"pets:prod"`
	// How many requests each key may send in a period.
	Quota *Quota `toml:"quota" example:"{ limit = 10000, period = \"month\" }"`
}

// Quota is a number of requests in a period of the calendar, in UTC. What comes on
// top gets 429 QUOTA_EXCEEDED.
type Quota struct {
	// Requests. A request that a throttle refuses doesn't count.
	Limit int `toml:"limit" required:"true" min:"0" example:"10000"`
	// "day" begins at midnight, "week" on Monday, "month" on the first.
	Period string `toml:"period" enum:"day,week,month" required:"true" example:"month"`
	// Requests fewer in the first period of a key.
	Offset int `toml:"offset" default:"0" min:"0" max:"1000000000000"`
}

// Key is an API key. "postern key create" makes others, which no file holds.
type Key struct {
	// The key itself: 20 to 128 letters, digits, "-" and "_". Take it from elsewhere:
	// "${env:NAME}" or "${file:PATH}".
	Value string `toml:"value" secret:"true" example:"${env:PARTNER_KEY}" aka:"key,secret"`
	// SHA-256 of the key in hex, instead of value.
	SHA256 string `toml:"sha256" secret:"true" example:"${env:PARTNER_KEY_SHA256}" aka:"hash"`
	// Off: whoever sends it gets 403.
	Enabled bool `toml:"enabled" default:"true"`
	// What it is for.
	Description string `toml:"description"`
	// Plans that it is in. Each stage may be in one of them.
	Plans []string `toml:"plans" ref:"plan" example:"[\"gold\"]" aka:"plan,usage_plans,usagePlanIds"`
}

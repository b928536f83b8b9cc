package config

// The types of APIs: what stands in [api.x] type.
const (
	RESTType = "rest"
	HTTPType = "http"
)

// DefaultName is the route of an HTTP API that takes what no other route does, and the stage
// that answers without its name in the path. AWS: "Routes for HTTP APIs", "Stages for HTTP
// APIs".
const DefaultName = "$default"

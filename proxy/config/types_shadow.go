package config

import (
	"fmt"
	"slices"
	"strings"
)

// Shadow sends copies of a stage's requests to another stage, and compares what that
// answers. Clients get nothing of it, and wait for nothing. "postern shadow" shows the
// differences.
type Shadow struct {
	// The stage of the same API.
	Stage string `toml:"stage" required:"true" example:"next" aka:"to,target"`
	// Requests that are copied, in percent.
	Percent Rate `toml:"percent" default:"100" min:"0" max:"100" aka:"share,sample"`
	// Their methods. Those that change something are done twice: name them only if that is
	// what you want.
	Methods []string `toml:"methods" default:"GET,HEAD,OPTIONS" enum:"GET,HEAD,OPTIONS,POST,PUT,PATCH,DELETE" aka:"verbs"`
	// Requests with more content aren't copied.
	MaxBody Size `toml:"max_body" default:"64KiB" min:"0B" max:"10MiB"`
	// More content of answers isn't compared.
	MaxAnswer Size `toml:"max_answer" default:"1MiB" min:"0B" max:"10MiB"`
	// Copies under way. Further requests aren't copied, which is counted.
	MaxConcurrent int `toml:"max_concurrent" default:"32" min:"1" max:"10000"`
	// Longest time that a copy may take.
	Timeout Duration `toml:"timeout" default:"30s" min:"10ms" max:"15m"`
	// Header fields of answers that may differ, besides Date, the ids of requests, and what
	// belongs to a connection.
	IgnoreHeaders []string `toml:"ignore_headers" example:"[\"X-Served-By\"]"`
	// What may differ in JSON, as paths: "$.time", "$.pets[*].id", "$.*.etag".
	Ignore []string `toml:"ignore" pattern:"\\$(\\.([A-Za-z0-9_-]+|\\*)|\\[([0-9]+|\\*)\\])+" want:"a path such as \"$.pets[*].id\"" example:"[\"$.pets[*].id\"]" aka:"ignore_json,masks"`
	// Differences that are kept, the latest. Values aren't: names of fields, and paths.
	Keep int `toml:"keep" default:"100" min:"1" max:"10000" aka:"record"`
}

// shadow checks where a stage's copies go.
func (x *crosser) shadow(path []string, shadow *Shadow) {
	api, own := path[1], path[3]
	at := append(slices.Clone(path), "shadow", "stage")
	stages := x.entries("api", api, "stage")
	switch {
	case shadow.Stage == own:
		x.value(at, "", "copies of a stage's requests can't go to itself", "name another stage")
	case !slices.Contains(stages, shadow.Stage) && shadow.Stage != "" && !x.lost("api", api, "stage"):
		x.value(at, "", fmt.Sprintf("API %q has no stage %q", api, shadow.Stage), "stages: "+strings.Join(stages, ", "))
	}
}

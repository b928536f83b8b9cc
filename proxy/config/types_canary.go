package config

// Canary is what a share of a stage's requests run instead of what the stage runs. AWS:
// "Set up an API Gateway canary release deployment".
type Canary struct {
	// Requests that go to it, in percent. Each request is drawn by itself: none of a
	// client's are bound to the one before.
	Percent Rate `toml:"percent" required:"true" min:"0" max:"100" example:"10" aka:"percentTraffic,percent_traffic,weight,share"`
	// Stage variables that it has beside the stage's, or in their place.
	Variables map[string]string `toml:"variables" example:"{ backend = \"127.0.0.1:9001\" }" aka:"stageVariableOverrides,stage_variable_overrides,overrides"`
	// It answers from the stage's cache, and its answers go there. Off: it has one of its
	// own.
	UseStageCache bool `toml:"use_stage_cache" aka:"useStageCache"`
}

package config

// OTLP sends traces and metrics to a collector of OpenTelemetry: OTLP over HTTP.
type OTLP struct {
	// Base URL of the collector; /v1/traces and /v1/metrics are added to it.
	Endpoint string `toml:"endpoint" required:"true" pattern:"https?://[!-~]+" want:"a URL with http or https" example:"http://127.0.0.1:4318" aka:"url,address"`
	// Header fields of each request to it.
	Headers map[string]string `toml:"headers" secret:"true" example:"{ Authorization = \"${env:OTLP_TOKEN}\" }" aka:"header"`
	// service.name of what is sent.
	Service string `toml:"service" default:"postern" aka:"service_name"`
	// Further attributes of the resource, such as deployment.environment.name.
	Attributes map[string]string `toml:"attributes" name:"[!-~]+" names:"printable ASCII" example:"{ \"deployment.environment.name\" = \"production\" }" aka:"resource,resource_attributes"`
	// Longest wait for the collector's answer.
	Timeout Duration `toml:"timeout" default:"10s" min:"100ms" max:"1m"`
	// Traces of requests. {} will do. Absent: none.
	Traces *OTLPTraces `toml:"traces" example:"{ ratio = 0.01 }" aka:"trace,tracing"`
	// The figures of /metrics. {} will do. Absent: none.
	Metrics *OTLPMetrics `toml:"metrics" example:"{ interval = \"1m\" }" aka:"metric"`
}

// OTLPTraces says which requests are traced. Traceparent, tracestate and X-Amzn-Trace-Id
// go on to backends with each request of a stage that has tracing, traced or not.
type OTLPTraces struct {
	// Share of the requests, from 0 to 1. A stage may have its own.
	Ratio Rate `toml:"ratio" default:"0.01" min:"0" max:"1" aka:"sampling,sample_rate,sampleRate"`
	// Whose decision counts instead, if the client is part of a trace already: "always",
	// "trusted" for trusted proxies', or "never". With "always", clients can have all of
	// their requests traced.
	Parent string `toml:"parent" enum:"always,trusted,never" default:"always" aka:"parent_based"`
	// Spans that wait to be sent. More are dropped and counted.
	Queue int `toml:"queue" default:"4096" min:"64" max:"1000000" aka:"max_queue_size"`
}

// OTLPMetrics says how often figures are sent.
type OTLPMetrics struct {
	// Time between two reports.
	Interval Duration `toml:"interval" default:"1m" min:"1s" max:"1h"`
}

// StageTrace says which of a stage's requests are traced.
type StageTrace struct {
	// Off: none are, and what clients send of traces goes on to backends unchanged.
	Enabled bool `toml:"enabled" default:"true" aka:"tracingEnabled,on"`
	// Share of the requests, from 0 to 1. Absent: what [otlp.traces] says.
	Ratio *Rate `toml:"ratio" min:"0" max:"1" example:"0.1" aka:"sampling,sample_rate"`
}

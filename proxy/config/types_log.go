package config

// StageLog says what is logged of a stage's requests, and where.
type StageLog struct {
	// One line a request, instead of the gateway's own access log. A string is its format.
	Access *AccessLog `toml:"access" short:"format" example:"\"json\"" aka:"accessLogSettings,access_log_settings,access_log"`
	// What a request goes through, in several lines. A string is its level.
	Execution *ExecutionLog `toml:"execution" short:"level" example:"\"error\"" aka:"execution_log"`
}

// AccessLog is the access log of a stage. AWS: "Set up CloudWatch logging for REST APIs in
// API Gateway".
type AccessLog struct {
	// "clf", "json", "xml" or "csv" as AWS's console suggests them, or a text with
	// $context.NAME in it, among them $context.requestId or $context.extendedRequestId. What
	// has no value is "-". Absent: the members that the gateway's own access log has.
	Format string `toml:"format" example:"$context.requestId $context.status" aka:"template,pattern"`
	// "stdout", "stderr", "off", a file, or a server that takes syslog (RFC 5424):
	// "syslog+udp://HOST:514", "syslog+tcp://HOST:601", "syslog+tls://HOST:6514",
	// "syslog+unix:///dev/log"; with ?facility=local0&app=postern. TLS takes ca, cert and
	// key, whole paths of PEM files, and name, which the server's certificate has to have.
	// Default: where [log] has the access log.
	Output string `toml:"output" path:"stdout,stderr,off" remote:"syslog+" example:"/var/log/postern/pets.log" aka:"destination,destinationArn,destination_arn,file,path"`
}

// ExecutionLog tells what requests go through, as AWS's execution logs do.
type ExecutionLog struct {
	// "error": requests that the gateway refused or failed. "info": all.
	Level string `toml:"level" enum:"off,error,info" required:"true" example:"error" aka:"loggingLevel,logging_level,log_level"`
	// Header fields, query and content, too, up to 1,000 characters each. Credentials are
	// masked where their names tell them: of fields, of parameters, and in JSON and forms.
	DataTrace bool `toml:"data_trace" aka:"dataTraceEnabled,data"`
	// Like the access log's. Default: "stderr".
	Output string `toml:"output" default:"stderr" path:"stdout,stderr,off" remote:"syslog+" aka:"destination,file,path"`
}

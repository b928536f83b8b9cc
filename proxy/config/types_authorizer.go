package config

// Authorizer decides who may call.
type Authorizer struct {
	// What decides.
	Type string `toml:"type" enum:"wasm,iam" required:"true" example:"wasm"`
	// The plugin that decides.
	Plugin string `toml:"plugin" for:"wasm" required:"true" ref:"plugin" example:"greeter"`
	// Where the event of AWS's Lambda authorizers is posted to, for type http; for type
	// lambda, the endpoint of a service that speaks Lambda's Invoke API.
	URL string `toml:"url" for:"http,lambda" required:"true" example:"http://127.0.0.1:9000/authorize" aka:"uri,authorizerUri,endpoint"`
	// The function that decides, as a name or an ARN.
	Function string `toml:"function" for:"lambda" required:"true" pattern:"[a-zA-Z0-9:_$./-]{1,200}" want:"a function's name or ARN" example:"authorize" aka:"function_name,functionName"`
	// The backend that carries it there. Absent: the URL's host, with defaults.
	Backend string `toml:"backend" for:"http,lambda" ref:"backend"`
	// Longest wait for the whole answer. A plugin has its own timeout.
	Timeout Duration `toml:"timeout" for:"http,lambda" default:"10s" min:"10ms" max:"30s"`
	// The event that it gets: "token" has the token and the method, "request" the whole
	// request but its content. Absent: a plugin that can authorize decides without one;
	// all others get "request".
	Event string `toml:"event" for:"wasm,http,lambda" enum:"token,request" aka:"kind,mode"`
	// Version of the event "request". Answers to "2.0" may be simple:
	// {"isAuthorized": true, "context": {…}}.
	PayloadFormat string `toml:"payload_format" for:"wasm,http,lambda" enum:"1.0,2.0" default:"1.0" aka:"payload_format_version,authorizerPayloadFormatVersion"`
	// What must be there and not blank before the authorizer is asked, or the caller
	// gets 401: method.request.header.NAME, method.request.querystring.NAME,
	// stageVariables.NAME, context.NAME; or $request.header.NAME and so on, as HTTP APIs
	// write them. With event = "token" it is the one header that holds the token.
	// Default there: method.request.header.Authorization.
	IdentitySource []string `toml:"identity_source" pattern:"(method\\.request|\\$request)\\.(header|querystring)\\.[!-~]+|\\$?(stageVariables|context)\\.[!-~]+" want:"method.request.header.NAME, method.request.querystring.NAME, stageVariables.NAME or context.NAME" example:"[\"method.request.header.Authorization\"]" aka:"identity,identitySource"`
	// A regular expression, as Java has them, that the whole token must match, or the
	// caller gets 401 and nobody is asked. For event = "token"; for type cognito, the
	// token's aud.
	IdentityValidationExpression string `toml:"identity_validation_expression" for:"wasm,http,lambda,cognito" example:"Bearer [-._~+/0-9A-Za-z]+=*" aka:"identityValidationExpression,validation_expression"`
	// How long an answer counts for callers with the same identity_source, from when it
	// came on; 0s: for one request. Default: 300s for authorizers with an event and an
	// identity_source, else 0s.
	TTL *Duration `toml:"ttl" for:"wasm,http,lambda" min:"0s" max:"1h" aka:"authorizerResultTtlInSeconds,cache,cache_ttl,result_ttl"`
	// What an answer counts for besides: "identity" for all methods that have the
	// authorizer, "route" for one route, "path" for one method and path. A policy is
	// judged anew for each request, any other answer isn't. Default: "identity" where
	// the answer is a policy (event "token", and "request" 1.0), else "path".
	CacheBy string `toml:"cache_by" for:"wasm,http,lambda" enum:"identity,route,path" aka:"cache_key"`
	// The service that requests must be signed for. AWS's clients sign for execute-api.
	Service string `toml:"service" for:"iam" default:"execute-api" pattern:"[a-z0-9-]{1,64}" want:"lower-case letters, digits and \"-\"" aka:"signing_name,service_name"`
	// Take signatures over the path without doubled slashes, as AWS does, instead of over
	// the path as it was sent. Whoever has a presigned URL can then double slashes in it.
	NormalizePath bool `toml:"normalize_path" for:"iam" aka:"normalizePath"`
	// Take requests whose content isn't signed: X-Amz-Content-Sha256 of UNSIGNED-PAYLOAD or
	// STREAMING-UNSIGNED-PAYLOAD-TRAILER, which AWS's API Gateway refuses.
	UnsignedPayload bool `toml:"unsigned_payload" for:"iam" aka:"unsignedPayload"`
}

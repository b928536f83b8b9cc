package config

// Authorizer decides who may call.
type Authorizer struct {
	// What decides.
	Type string `toml:"type" enum:"wasm,http,lambda,jwt,cognito,iam" required:"true" example:"wasm"`
	// The plugin that decides.
	Plugin string `toml:"plugin" for:"wasm" required:"true" ref:"plugin" example:"greeter"`
	// Where the event of AWS's Lambda authorizers is posted to, for type http; for type
	// lambda, the endpoint of a service that speaks Lambda's Invoke API.
	URL string `toml:"url" for:"http,lambda" required:"true" example:"http://127.0.0.1:9000/authorize" aka:"uri,authorizerUri,endpoint"`
	// The function that decides, as a name or an ARN.
	Function string `toml:"function" for:"lambda" required:"true" pattern:"[a-zA-Z0-9:_$./-]{1,200}" want:"a function's name or ARN" example:"authorize" aka:"function_name,functionName"`
	// Sign requests for the function, as Lambda itself wants. Absent: they aren't signed,
	// which those that stand in for Lambda take.
	Sign *Signing `toml:"sign" for:"lambda" aka:"credentials,sigv4,signing"`
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
	IdentitySource []string `toml:"identity_source" pattern:"(method\\.request|route\\.request|\\$request)\\.(header|querystring)\\.[!-~]+|\\$?(stageVariables|context)\\.[!-~]+" want:"method.request.header.NAME, method.request.querystring.NAME, stageVariables.NAME or context.NAME" example:"[\"method.request.header.Authorization\"]" aka:"identity,identitySource"`
	// A regular expression, as Java has them, that the whole token must match, or the
	// caller gets 401 and nobody is asked. For event = "token"; for type cognito, the
	// token's aud.
	IdentityValidationExpression string `toml:"identity_validation_expression" for:"wasm,http,lambda,cognito" example:"Bearer [-._~+/0-9A-Za-z]+=*" aka:"identityValidationExpression,validation_expression"`
	// How long an answer counts for callers with the same identity_source, from when it
	// came on; 0s: for one request. Default: 300s for authorizers with an event and an
	// identity_source, else 0s, and 0s in APIs of type http.
	TTL *Duration `toml:"ttl" for:"wasm,http,lambda" min:"0s" max:"1h" aka:"authorizerResultTtlInSeconds,cache,cache_ttl,result_ttl"`
	// What an answer counts for besides: "identity" for all methods that have the
	// authorizer, "route" for one route, "path" for one method and path. A policy is
	// judged anew for each request, any other answer isn't. Default: "identity" where
	// the answer is a policy (event "token", and "request" 1.0), else "path".
	CacheBy string `toml:"cache_by" for:"wasm,http,lambda" enum:"identity,route,path" aka:"cache_key"`

	// Who issues the tokens: its URL, exactly as in their iss. Where its keys are it
	// says at /.well-known/openid-configuration below it.
	Issuer string `toml:"issuer" for:"jwt,cognito" pattern:"https?://[!$-.0-;=@-Z_a-z~]+(/[!$-;=@-Z_a-z~]*)?" want:"the URL of an issuer, without query" example:"https://login.example.com/" aka:"jwtConfiguration,issuer_url,iss"`
	// User pools that issue the tokens, as ARNs: what issuer is for others.
	ProviderARNs []string `toml:"provider_arns" for:"cognito" pattern:"arn:aws[a-z-]*:cognito-idp:[a-z0-9-]+:[0-9]{12}:userpool/[a-z0-9-]+_[0-9A-Za-z]+" want:"the ARN of a user pool" example:"[\"arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbCdEfGhI\"]" aka:"providerARNs,user_pools,user_pool_arns"`
	// Whom a token must be for: one of these must be its aud or, if it has none, its
	// client_id; at most 50. Only a cognito authorizer can do without: with provider_arns
	// it then takes all tokens of the pools, as on AWS, with issuer those whose aud
	// matches identity_validation_expression.
	Audience []string `toml:"audience" for:"jwt,cognito" example:"[\"pets\"]" aka:"audiences,aud,client_id,client_ids"`
	// How tokens may be signed: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384,
	// ES512, EdDSA. AWS knows the first three.
	Algorithms []string `toml:"algorithms" for:"jwt,cognito" enum:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" default:"RS256,RS384,RS512" example:"[\"ES256\"]" aka:"algorithm,alg"`
	// How far the issuer's clock may be off when a token's exp, nbf and iat are judged.
	ClockSkew Duration `toml:"clock_skew" for:"jwt,cognito" default:"10s" min:"0s" max:"5m" aka:"leeway,clock_tolerance"`
	// Where the issuer's keys are, as a JWK set. Absent: where it says itself.
	KeysURL string `toml:"keys_url" for:"jwt,cognito" pattern:"https?://[!-~]+" want:"a URL" example:"https://login.example.com/keys" aka:"jwks_url,jwks_uri,jwksUri"`
	// The issuer's keys, as a JWK set or public keys in PEM, that are never fetched.
	KeysFile string `toml:"keys_file" for:"jwt,cognito" file:"true" aka:"jwks_file,jwks,public_key"`
	// How long fetched keys count before they are fetched again; less if the answer
	// says so (Cache-Control: max-age), but at least five minutes. A token of a key that
	// isn't there has them fetched at once, every ten seconds at most.
	KeysTTL Duration `toml:"keys_ttl" for:"jwt,cognito" default:"2h" min:"1m" max:"24h" aka:"jwks_ttl,keys_cache"`
	// How much longer they count while they can't be fetched.
	KeysGrace Duration `toml:"keys_grace" for:"jwt,cognito" default:"22h" min:"0s" max:"168h"`
	// Longest wait for the issuer's discovery document, and for its keys.
	KeysTimeout Duration `toml:"keys_timeout" for:"jwt,cognito" default:"1500ms" min:"100ms" max:"30s"`
	// The issuer may have an address of this host or its networks. Only such an issuer
	// can be without TLS.
	Private bool `toml:"private" for:"jwt,cognito"`
	// Certificates as PEM of authorities that the issuer's may be from, besides the
	// system's.
	CA string `toml:"ca" for:"jwt,cognito" file:"true" aka:"ca_file,cacert"`
	// The service that requests must be signed for. AWS's clients sign for execute-api.
	Service string `toml:"service" for:"iam" default:"execute-api" pattern:"[a-z0-9-]{1,64}" want:"lower-case letters, digits and \"-\"" aka:"signing_name,service_name"`
	// Take signatures over the path without doubled slashes, as AWS does, instead of over
	// the path as it was sent. Whoever has a presigned URL can then double slashes in it.
	NormalizePath bool `toml:"normalize_path" for:"iam" aka:"normalizePath"`
	// Take requests whose content isn't signed: X-Amz-Content-Sha256 of UNSIGNED-PAYLOAD or
	// STREAMING-UNSIGNED-PAYLOAD-TRAILER, which AWS's API Gateway refuses.
	UnsignedPayload bool `toml:"unsigned_payload" for:"iam" aka:"unsignedPayload"`
}

package config

// Authorizer decides who may call.
type Authorizer struct {
	// What decides.
	Type string `toml:"type" enum:"wasm,iam" required:"true" example:"wasm"`
	// The plugin that decides.
	Plugin string `toml:"plugin" for:"wasm" required:"true" ref:"plugin" example:"greeter"`
	// What must be there and not blank before the authorizer is asked, or the
	// caller gets 401: method.request.header.NAME, method.request.querystring.NAME.
	IdentitySource []string `toml:"identity_source" pattern:"method\\.request\\.(header|querystring)\\.[!-~]+" want:"method.request.header.NAME or method.request.querystring.NAME" example:"[\"method.request.header.Authorization\"]" aka:"identity,identitySource"`
	// The service that requests must be signed for. AWS's clients sign for execute-api.
	Service string `toml:"service" for:"iam" default:"execute-api" pattern:"[a-z0-9-]{1,64}" want:"lower-case letters, digits and \"-\"" aka:"signing_name,service_name"`
	// Take signatures over the path without doubled slashes, as AWS does, instead of over
	// the path as it was sent. Whoever has a presigned URL can then double slashes in it.
	NormalizePath bool `toml:"normalize_path" for:"iam" aka:"normalizePath"`
	// Take requests whose content isn't signed: X-Amz-Content-Sha256 of UNSIGNED-PAYLOAD or
	// STREAMING-UNSIGNED-PAYLOAD-TRAILER, which AWS's API Gateway refuses.
	UnsignedPayload bool `toml:"unsigned_payload" for:"iam" aka:"unsignedPayload"`
}

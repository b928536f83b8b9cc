package config

// Authorizer decides who may call.
type Authorizer struct {
	// What decides.
	Type string `toml:"type" enum:"wasm" required:"true" example:"wasm"`
	// The plugin that decides.
	Plugin string `toml:"plugin" for:"wasm" required:"true" ref:"plugin" example:"greeter"`
	// What must be there and not blank before the authorizer is asked, or the
	// caller gets 401: method.request.header.NAME, method.request.querystring.NAME.
	IdentitySource []string `toml:"identity_source" pattern:"method\\.request\\.(header|querystring)\\.[!-~]+" want:"method.request.header.NAME or method.request.querystring.NAME" example:"[\"method.request.header.Authorization\"]" aka:"identity,identitySource"`
}

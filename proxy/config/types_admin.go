package config

// AdminToken lets its bearer use the admin listener.
type AdminToken struct {
	// SHA-256 of the token in hex: of "printf %s TOKEN | sha256sum".
	SHA256 string `toml:"sha256" pattern:"[0-9a-f]{64}" want:"64 hexadecimal digits in lower case" required:"true" example:"${env:POSTERN_CI_TOKEN_SHA256}" aka:"hash,digest"`
	// What it opens: "read" shows all but secrets, "deploy" changes what stages serve,
	// "keys" API keys and quotas, "operate" certificates, caches and the rest, "debug" the
	// profiles and the traces of live requests.
	Scopes []string `toml:"scopes" enum:"read,deploy,keys,operate,debug" required:"true" example:"[\"read\", \"deploy\"]" aka:"scope"`
}

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

// AdminTLS has the admin listener speak TLS on its TCP address.
type AdminTLS struct {
	// PEM file with the certificate, followed by those of the authorities between it and
	// the root. Read again with each reload.
	Cert string `toml:"cert" required:"true" file:"true" example:"admin.pem" aka:"certificate,crt"`
	// PEM file with its private key.
	Key string `toml:"key" required:"true" file:"true" example:"admin.key" aka:"private_key"`
	// PEM file with the authorities that the commands, which are clients of it, trust.
	// Absent: the system's.
	CA string `toml:"ca" file:"true" example:"admin-ca.pem" aka:"roots"`
	// Name in the certificate that the commands look for. Default: what they connect to, the
	// host of address, or 127.0.0.1 for 0.0.0.0.
	ServerName string `toml:"server_name" example:"gateway.internal" aka:"name"`
}

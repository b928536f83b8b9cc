package config

// MutualTLS asks the clients of a domain for certificates of their own. A request
// for the domain then counts only on a connection that was opened for exactly this
// name (SNI): any other gets 421, and one that came without TLS 403.
//
// What the files hold is judged at each load. A connection whose certificate isn't
// good any more gets 403 from its next request on.
type MutualTLS struct {
	// PEM file with the certificates of those who issue the clients', each with its
	// issuers up to the root, or of clients that signed theirs themselves. As on AWS, a
	// chain has at most 4 certificates, with SHA-256 or better, and RSA keys of 2048
	// bits or ECDSA keys of 256 bits at least.
	Truststore string `toml:"truststore" required:"true" file:"true" example:"clients.pem" aka:"truststoreUri,truststore_uri,ca,client_ca,ca_file"`
	// "required": a client without a certificate has no TLS session. "optional": it may
	// come without; $context.identity.clientCert is then empty. A certificate that isn't
	// good gets 403 either way.
	Mode string `toml:"mode" enum:"required,optional" default:"required" aka:"client_auth,verify"`
	// Files that list certificates which aren't good any more: CRLs in PEM or DER, signed
	// by an authority of the truststore, or texts with a serial number or a SHA-256
	// fingerprint in hexadecimal digits on each line.
	Revoked []string `toml:"revoked" file:"true" example:"[\"revoked.txt\"]" aka:"crl,revocation"`
}

// ClientCertificate is what the gateway shows to backends that ask who it is.
// "postern cert client NAME" makes one.
type ClientCertificate struct {
	// PEM file with the certificate and those that lead to its root, if any.
	Cert string `toml:"cert" required:"true" file:"true" example:"orders.pem" aka:"certificate,cert_file,file"`
	// PEM file with the private key. Default: the same file.
	Key string `toml:"key" file:"true" example:"orders.key" aka:"private_key,key_file"`
}

// KeyFile returns the file that has the private key.
func (c *ClientCertificate) KeyFile() string {
	if c.Key == "" {
		return c.Cert
	}
	return c.Key
}

package config

// Signing is how the gateway signs requests of its own by AWS's Signature Version 4.
type Signing struct {
	// The access key's id. It and what follows are read at load: a reload takes new ones.
	ID string `toml:"id" required:"true" pattern:"[!-.0-~]{3,128}" want:"3 to 128 printable characters but \"/\"" example:"${env:AWS_ACCESS_KEY_ID}" aka:"access_key_id,accessKeyId,aws_access_key_id"`
	// The access key's secret.
	Secret string `toml:"secret" required:"true" secret:"true" example:"${env:AWS_SECRET_ACCESS_KEY}" aka:"secret_access_key,secretAccessKey,aws_secret_access_key"`
	// What credentials that end some day have besides. Absent: nothing.
	SessionToken string `toml:"session_token" secret:"true" pattern:"[!-~]*" want:"printable characters" aka:"sessionToken,token,aws_session_token"`
	// The region that requests are for. Default: that of the function's ARN, else the
	// gateway's.
	Region string `toml:"region" pattern:"[a-z0-9-]{1,64}" want:"lower-case letters, digits and \"-\"" example:"eu-west-1" aka:"aws_region"`
}

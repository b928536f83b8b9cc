package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Principal is somebody who signs requests by AWS's Signature Version 4: what an IAM
// user, or the session of a role, is to AWS. Authorizers of type iam know all of them.
type Principal struct {
	// Keys that it signs with. Two, so that one can be replaced while the other is used.
	AccessKeys []AccessKey `toml:"access_keys" required:"true" example:"[{ id = \"AKIDEXAMPLE\", secret = \"${env:EXAMPLE_SECRET}\" }]" aka:"access_key,accessKeys,keys,credentials"`
	// What it is called in policies and events. Default: arn:aws:iam::ACCOUNT:user/NAME.
	ARN string `toml:"arn" pattern:"arn:aws:(iam|sts)::[0-9]{12}:[!-~]{1,512}" want:"an ARN, such as arn:aws:iam::123456789012:user/alice" example:"arn:aws:iam::123456789012:user/alice" aka:"user_arn,userArn"`
	// Its account: $context.identity.accountId. Default: the arn's, else the gateway's
	// account_id. A principal of another account needs leave from both its own policies
	// and the API's.
	AccountID string `toml:"account_id" pattern:"[0-9]{12}" want:"12 digits" aka:"accountId,account"`
	// Its unique id: $context.identity.user and caller, aws:userid. Default: its name.
	UserID string `toml:"user_id" pattern:"[!-~]{1,128}" want:"1 to 128 printable characters" example:"AIDACKCEVSQ6C2EXAMPLE" aka:"userId,id"`
	// Its organization: $context.identity.principalOrgId, aws:PrincipalOrgID.
	OrgID string `toml:"org_id" pattern:"[!-~]{1,64}" want:"1 to 64 printable characters" example:"o-a1b2c3d4e5" aka:"organization,principalOrgId"`
	// What policies know as aws:PrincipalTag/KEY.
	Tags map[string]string `toml:"tags" example:"{ team = \"blue\" }" aka:"tag"`
	// What it may do, in AWS's policy language. Without any it may do what the API's own
	// policy lets it.
	Policies []Policy `toml:"policies" short:"text" example:"[{ file = \"alice.json\" }]" aka:"policy,policy_documents,inline_policies"`
}

// AccessKey is a pair of key id and secret.
type AccessKey struct {
	// What a request says of the key that signed it.
	ID string `toml:"id" required:"true" pattern:"[0-9A-Za-z_-]{3,128}" want:"3 to 128 letters, digits, \"_\" and \"-\"" example:"AKIDEXAMPLE" aka:"access_key_id,accessKeyId,aws_access_key_id"`
	// What only the principal and the gateway know: 16 characters or more.
	Secret string `toml:"secret" required:"true" secret:"true" example:"${env:EXAMPLE_SECRET}" aka:"secret_access_key,secretAccessKey,aws_secret_access_key"`
	// What requests have to bring along in X-Amz-Security-Token. Absent: nothing.
	SessionToken string `toml:"session_token" secret:"true" aka:"sessionToken,token,aws_session_token"`
	// When the key ceases to be good: "2027-01-31T12:00:00Z". Then its requests get 403
	// EXPIRED_TOKEN.
	Expires string `toml:"expires" example:"2027-01-31T12:00:00Z" aka:"expiration,expiry,not_after"`
	// Refuse it for now.
	Disabled bool `toml:"disabled" aka:"inactive"`
}

// shortestSecret is the length of a secret in characters: whoever sees a signature
// can try short ones.
const shortestSecret = 16

// ExpiryTime returns when the key ceases to be good, zero for never.
func (k *AccessKey) ExpiryTime() (time.Time, error) {
	if k.Expires == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, k.Expires)
}

// arnAccount returns the account in the principal's ARN, "" without one.
func (p *Principal) arnAccount() string {
	if parts := strings.SplitN(p.ARN, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

// Account returns the principal's account; gateway's for one that doesn't say.
func (p *Principal) Account(gateway Gateway) string {
	switch account := p.arnAccount(); {
	case p.AccountID != "":
		return p.AccountID
	case account != "":
		return account
	}
	return gateway.AccountID
}

// principals checks who signs requests. No message quotes a secret.
func (x *crosser) principals() {
	ids := map[string][]string{}
	for _, name := range x.entries("principal") {
		p := x.cfg.Principal[name]
		path := []string{"principal", name}
		if account := p.arnAccount(); account != "" && p.AccountID != "" && account != p.AccountID {
			x.value(append(slices.Clone(path), "account_id"), "", "the arn has another account: "+account, "remove one of the two")
		}
		for i := range p.AccessKeys {
			x.accessKey(&p.AccessKeys[i], append(slices.Clone(path), "access_keys", strconv.Itoa(i)), ids)
		}
	}
}

// accessKey checks one key; ids are the paths of those so far.
func (x *crosser) accessKey(k *AccessKey, path []string, ids map[string][]string) {
	below := func(key string) []string { return append(slices.Clone(path), key) }
	if other, twice := ids[k.ID]; twice && k.ID != "" {
		x.value(below("id"), "", fmt.Sprintf("the same id as the key of principal %q at %v", other[1], x.nearest(other)), "an id tells who signed: choose another")
	}
	ids[k.ID] = path
	if n := len(k.Secret); n > 0 && n < shortestSecret {
		x.key(below("secret"), fmt.Sprintf("the secret has %d characters: want %d or more", n, shortestSecret), "openssl rand -hex 20 makes one")
	}
	if _, err := k.ExpiryTime(); err != nil {
		x.value(below("expires"), "", fmt.Sprintf("%q isn't a time", k.Expires), `write it as "2027-01-31T12:00:00Z"`)
	}
}

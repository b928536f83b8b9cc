package iam

import "strings"

// KeyID says which condition key is meant.
type KeyID uint8

// The condition keys. AWS: "AWS global condition context keys", as far as API
// Gateway has them.
const (
	SourceIP KeyID = iota
	VPCSourceIP
	SourceVPC
	SourceVPCE
	CurrentTime
	EpochTime
	SecureTransport
	UserAgent
	Referer
	RequestedRegion
	PrincipalARN
	PrincipalAccount
	PrincipalOrgID
	PrincipalType
	PrincipalTag
	UserID
	UserName
	Absent // one that AWS has, and no request here
)

// Key is a condition key.
type Key struct {
	ID  KeyID
	Tag string // of PrincipalTag: the tag's name, in which case makes no difference
}

// keyForm is what a key's value is.
type keyForm uint8

const (
	textForm keyForm = iota
	addressForm
	timeForm
	networkForm // several texts: the names of the networks that the client is in
)

// keyRow is a key as policies write it. Case makes no difference.
type keyRow struct {
	name string
	id   KeyID
	form keyForm
}

const tagPrefix = "aws:PrincipalTag/"

// keyRows are all keys but the tags. The ones of Absent are about sessions of AWS
// and about calls that AWS's services make; here nobody has such a session, and no
// such service calls, so a request never has them, as on AWS a request signed with
// a user's own key doesn't.
var keyRows = []keyRow{
	{"aws:SourceIp", SourceIP, addressForm},
	{"aws:VpcSourceIp", VPCSourceIP, addressForm},
	{"aws:SourceVpc", SourceVPC, networkForm},
	{"aws:SourceVpce", SourceVPCE, networkForm},
	{"aws:CurrentTime", CurrentTime, timeForm},
	{"aws:EpochTime", EpochTime, timeForm},
	{"aws:SecureTransport", SecureTransport, textForm},
	{"aws:UserAgent", UserAgent, textForm},
	{"aws:Referer", Referer, textForm},
	{"aws:RequestedRegion", RequestedRegion, textForm},
	{"aws:PrincipalArn", PrincipalARN, textForm},
	{"aws:PrincipalAccount", PrincipalAccount, textForm},
	{"aws:PrincipalOrgID", PrincipalOrgID, textForm},
	{"aws:PrincipalType", PrincipalType, textForm},
	{"aws:userid", UserID, textForm},
	{"aws:username", UserName, textForm},
	{"aws:SourceArn", Absent, textForm},
	{"aws:SourceAccount", Absent, textForm},
	{"aws:TokenIssueTime", Absent, textForm},
	{"aws:MultiFactorAuthPresent", Absent, textForm},
	{"aws:MultiFactorAuthAge", Absent, textForm},
	{"aws:PrincipalOrgPaths", Absent, textForm},
}

// findKey returns the key that policies write as name.
func findKey(name string) (k Key, form keyForm, found bool) {
	for i := range keyRows {
		if strings.EqualFold(keyRows[i].name, name) {
			return Key{ID: keyRows[i].id}, keyRows[i].form, true
		}
	}
	if len(name) > len(tagPrefix) && strings.EqualFold(name[:len(tagPrefix)], tagPrefix) {
		return Key{ID: PrincipalTag, Tag: name[len(tagPrefix):]}, textForm, true
	}
	return Key{}, textForm, false
}

// keyNames are the keys as policies write them.
func keyNames() []string {
	names := make([]string, 0, len(keyRows)+1)
	for i := range keyRows {
		names = append(names, keyRows[i].name)
	}
	return append(names, tagPrefix+"NAME")
}

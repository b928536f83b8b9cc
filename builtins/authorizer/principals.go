package authorizer

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/postern-gateway/postern/builtins/access"
	"github.com/postern-gateway/postern/builtins/internal/sigv4"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// Principals returns the kind of [principal.x]. It has no steps: authorizers of type
// iam know its callers.
func Principals() proxy.Kind {
	return proxy.Kind{Name: "principal", Role: proxy.PrincipalKind, New: func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
		return proxy.Steps{}, principalsOf(b, o.Config).err
	}}
}

// principals are all who sign requests. They don't change.
type principals struct {
	byKey map[string]*caller // by the id of an access key
	err   error              // what is wrong with them, with whole paths
}

// caller is a principal by one of its keys.
type caller struct {
	key      *sigv4.Key
	disabled bool
	identity proxy.Identity
	policies proxy.Policy // as an interface, so that no request has to make one
}

// principalsKey is the key under which all routes share the principals.
type principalsKey struct{}

func principalsOf(b proxy.Build, cfg *config.Config) *principals {
	return b.Shared(principalsKey{}, func() any { return newPrincipals(cfg) }).(*principals)
}

func newPrincipals(cfg *config.Config) *principals {
	all := &principals{byKey: map[string]*caller{}}
	networks := access.NewNetworks(cfg)
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Principal)) {
		p := cfg.Principal[name]
		documents, err := access.CompileDocuments(cfg, p.Policies, networks, "principal", name, "policies")
		wrong = append(wrong, err)
		policies := access.PoliciesOf(documents)
		identity := Identity(name, &p, cfg.Gateway)
		for i := range p.AccessKeys {
			k := &p.AccessKeys[i]
			at := []string{"principal", name, "access_keys", fmt.Sprint(i)}
			expires, err := k.ExpiryTime()
			if err != nil {
				wrong = append(wrong, &config.KeyError{Path: append(at, "expires"), Text: err.Error()})
			}
			if all.byKey[k.ID] != nil || k.ID == "" || k.Secret == "" {
				wrong = append(wrong, &config.KeyError{Path: at, Text: "the key has no id, no secret, or an id that another one has"})
			}
			own := identity
			own.AccessKey = k.ID
			all.byKey[k.ID] = &caller{
				key: sigv4.NewKey(k.Secret, k.SessionToken, expires), disabled: k.Disabled,
				identity: own, policies: policies,
			}
		}
	}
	all.err = errors.Join(wrong...)
	return all
}

// Identity returns who the principal called name is when none of its keys in
// particular has signed.
func Identity(name string, p *config.Principal, gateway config.Gateway) proxy.Identity {
	id := proxy.Identity{AccountID: p.Account(gateway), User: p.UserID, UserARN: p.ARN, OrgID: p.OrgID}
	if id.User == "" {
		id.User = name
	}
	id.Caller = id.User
	if id.UserARN == "" {
		id.UserARN = "arn:aws:iam::" + id.AccountID + ":user/" + name
	}
	for _, key := range slices.Sorted(maps.Keys(p.Tags)) {
		id.Tags = append(id.Tags, proxy.Param{Name: key, Value: p.Tags[key]})
	}
	return id
}

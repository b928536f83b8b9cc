package mapping

import (
	"slices"
	"strings"

	"github.com/postern-gateway/postern/builtins/internal/vtl"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/expr"
)

// contextTree is $context for templates, but for what they override.
type contextTree struct{ ex *proxy.Exchange }

// Member returns $context.name.
func (t *contextTree) Member(name string) expr.Value {
	switch name {
	case "identity":
		return vtl.Branch((*identityTree)(t))
	case "authorizer":
		return vtl.Branch(&authorizerTree{ex: t.ex})
	case "requestTimeEpoch":
		return expr.Long(t.ex.Start.UnixMilli())
	}
	if what := sockets[name]; what != noVariable {
		return t.ofSocket(what)
	}
	return t.value(variables[name])
}

// ofSocket is value for what only WebSocket APIs have; some of it are numbers.
func (t *contextTree) ofSocket(what variable) expr.Value {
	if s := t.ex.Socket; s != nil && what == connectedAt {
		return expr.Long(s.ConnectedAt.UnixMilli())
	}
	return t.value(what)
}

// value returns a variable's value, null for none.
func (t *contextTree) value(what variable) expr.Value {
	v := Variable{what: what}
	if text, found := v.Text(t.ex); found {
		return expr.String(text)
	}
	return expr.Value{}
}

// Names returns the names of the members that have a value.
func (t *contextTree) Names() []string {
	names := []string{"identity"}
	if t.ex.Caller.Principal != "" || len(t.ex.Caller.Context) > 0 {
		names = append(names, "authorizer")
	}
	for name, what := range variables {
		if t.value(what).Kind() != expr.NullKind {
			names = append(names, name)
		}
	}
	if t.ex.Socket != nil {
		for name, what := range sockets {
			if t.value(what).Kind() != expr.NullKind {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// identityTree is $context.identity.
type identityTree contextTree

// Member returns $context.identity.name.
func (t *identityTree) Member(name string) expr.Value {
	if name == "clientCert" && t.ex.Domain.Certificate != nil {
		return vtl.Branch(&certificateTree{tree: (*contextTree)(t)})
	}
	return (*contextTree)(t).value(identities[name])
}

// Names returns the names of the members that have a value.
func (t *identityTree) Names() []string {
	var names []string
	if t.ex.Domain.Certificate != nil {
		names = append(names, "clientCert")
	}
	for name, what := range identities {
		if (*contextTree)(t).value(what).Kind() != expr.NullKind {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// certificateTree is $context.identity.clientCert or, with a prefix, its member
// validity.
type certificateTree struct {
	tree   *contextTree
	prefix string // "validity."
}

// Member returns $context.identity.clientCert.name.
func (t *certificateTree) Member(name string) expr.Value {
	if name == "validity" && t.prefix == "" {
		return vtl.Branch(&certificateTree{t.tree, "validity."})
	}
	return t.tree.value(certificates[t.prefix+name])
}

// Names returns the names of the members.
func (t *certificateTree) Names() []string {
	var names []string
	for name := range certificates {
		if name, found := strings.CutPrefix(name, t.prefix); found {
			name, _, _ = strings.Cut(name, ".")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// authorizerTree is $context.authorizer or, with a prefix, what an authorizer
// said under names with a dot: $context.authorizer.claims.
type authorizerTree struct {
	ex     *proxy.Exchange
	prefix string // "claims."
}

// Member returns $context.authorizer.name.
func (t *authorizerTree) Member(name string) expr.Value {
	if name == "principalId" && t.prefix == "" {
		return (*contextTree)(&contextTree{t.ex}).value(authorizerPrincipal)
	}
	v := Variable{what: authorizerValue, name: t.prefix + name}
	if text, found := v.Text(t.ex); found {
		return expr.String(text)
	}
	below := t.prefix + name + "."
	for i := range t.ex.Caller.Context {
		if strings.HasPrefix(t.ex.Caller.Context[i].Name, below) {
			return vtl.Branch(&authorizerTree{ex: t.ex, prefix: below})
		}
	}
	return expr.Value{}
}

// Names returns the names of the members.
func (t *authorizerTree) Names() []string {
	var names []string
	if t.prefix == "" && t.ex.Caller.Principal != "" {
		names = append(names, "principalId")
	}
	for i := range t.ex.Caller.Context {
		name, found := strings.CutPrefix(t.ex.Caller.Context[i].Name, t.prefix)
		if t.prefix == "" { // a claim's name may be a URL
			name, _, _ = strings.Cut(name, ".")
		}
		if found && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

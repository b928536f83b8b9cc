package main

import (
	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/observe"
)

// contextVariable returns the context variable of a name, for access logs: those that
// templates have, too.
func contextVariable(name string) (observe.Variable, bool) {
	v, found := mapping.ParseVariable(name)
	return func(ex *proxy.Exchange) string {
		text, _ := v.Text(ex)
		return text
	}, found
}

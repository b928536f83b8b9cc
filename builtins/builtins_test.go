package builtins

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// The configuration offers each builtin integration and authorizer, and no others
// but plugins.
func TestKindsAreConfigurable(t *testing.T) {
	f := func(role proxy.Role, table reflect.Type, plugins ...string) {
		t.Helper()
		field, _ := table.FieldByName("Type")
		offered := strings.Split(field.Tag.Get("enum"), ",")
		got := plugins
		for _, k := range Kinds(Options{}) {
			if k.New == nil {
				t.Errorf("%s builds nothing", k.Name)
			}
			if k.Role == role {
				got = append(got, k.Name)
			}
		}
		slices.Sort(got)
		slices.Sort(offered)
		if !slices.Equal(got, offered) {
			t.Errorf("%v: kinds %v, configuration offers %v", table, got, offered)
		}
	}
	f(proxy.IntegrationKind, reflect.TypeFor[config.Integration](), "wasm")
	f(proxy.AuthorizerKind, reflect.TypeFor[config.Authorizer]())
}

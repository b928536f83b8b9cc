package builtins

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// The configuration offers each builtin kind, and no other but plugins.
func TestKindsAreConfigurable(t *testing.T) {
	field, _ := reflect.TypeFor[config.Integration]().FieldByName("Type")
	offered := strings.Split(field.Tag.Get("enum"), ",")
	var got []string
	for _, k := range Kinds(Options{}) {
		if slices.Contains([]proxy.Role{proxy.CodingKind, proxy.ModelKind, proxy.GatewayResponseKind, proxy.CORSKind, proxy.ValidatorKind}, k.Role) {
			continue // nobody names it
		}
		if k.Role != proxy.IntegrationKind || k.New == nil {
			t.Errorf("%s: role %v, New %v", k.Name, k.Role, k.New != nil)
		}
		got = append(got, k.Name)
	}
	got = append(got, "wasm")
	slices.Sort(got)
	slices.Sort(offered)
	if !slices.Equal(got, offered) {
		t.Errorf("kinds %v, configuration offers %v", got, offered)
	}
}

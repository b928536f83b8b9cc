package mapping

import (
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// What templates see of an exchange.
func TestTemplateSees(t *testing.T) {
	route := testRoute("/pets/{id}")
	mapper := NewMapper(route)
	ex := begin(&proxy.Exchange{}, route, "POST /pets/a%20b?q=1&q=x%2By&id=query", "X-One: a", "X-One: b", "id: header", "Content-Length: 9", "X-Forwarded-For: 6.6.6.6")
	ex.Params = append(ex.Params, proxy.Param{Name: "id", Value: "a%20b"})
	ex.Caller.Principal = "user|7"
	ex.Caller.Context = append(ex.Caller.Context, proxy.Param{Name: "tier", Value: "gold"}, proxy.Param{Name: "claims.sub", Value: "s7"}, proxy.Param{Name: "claims.email", Value: "a@b"})
	f := func(text, want string) {
		t.Helper()
		all := CompileTemplates(map[string]config.Template{"application/json": {Text: text}}, Request, proxy.Build{Route: route}, func(err *config.KeyError) { t.Error(err) })
		got, err := all[0].Render(mapper.Memory(ex), []byte(`{"a":1}`))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", text, got, err, want)
		}
	}
	f("literal", "literal")
	// The path goes before the query, and that before the headers; the last value counts.
	f("$input.params('id') $input.params('q') $input.params('X-One') <$input.params('none')>", "a b x+y b <>")
	f("$input.params().querystring.id $input.params().header.id", "query header")
	f("$input.params('X-Forwarded-For') <$input.params('Content-Length')>", "192.0.2.60 <>")
	f("$input.json('$.a') $input.body", `1 {"a":1}`)
	f("$context.stage $context.identity.sourceIp $context.requestTimeEpoch $context.path <$context.nope> <$context.identity.user>", "dev 192.0.2.60 1589522469693 /dev/pets/a%20b <> <>")
	f("$context.authorizer.principalId $context.authorizer.tier $context.authorizer.claims.sub <$context.authorizer.claims> <$context.authorizer.none>", "user|7 gold s7 <> <>")
	f("#foreach($k in $context.authorizer.keySet())$k #end", "principalId tier claims ")
	f("#foreach($k in $context.authorizer.claims.keySet())$k #end", "sub email ")
	f("#foreach($k in $context.identity.keySet())$k #end", "sourceIp ")
	f("$stageVariables.version ${stageVariables['version']} <$stageVariables.none>", "1.4 1.4 <>")
	f("#foreach($k in $stageVariables.keySet())$k #end", "empty version ")
	ex.End()
	if mapper.Used(ex) {
		t.Error("an exchange that ended still has memory")
	}
}

func TestStatus(t *testing.T) {
	for text, want := range map[string]int{"200": 200, "599": 599, "404": 404, "199": 0, "600": 0, "20": 0, "2000": 0, "2e2": 0, "": 0, "-20": 0} {
		if got, ok := ParseStatus(text); ok != (want != 0) || ok && got != want {
			t.Errorf("%q: got %d, %v", text, got, ok)
		}
	}
}

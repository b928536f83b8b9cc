package authorizer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/builtins/access"
	"github.com/postern-gateway/postern/proxy"
)

func policies() access.Options {
	return access.Options{MaxSize: maxAnswer, MaxResource: access.MaxResource}
}

const allowAll = `"policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Allow","Resource":"*"}]}`

// What a good answer tells.
func TestReadAnswer(t *testing.T) {
	f := func(text string, simple bool, want string) {
		t.Helper()
		a, err := readAnswer([]byte(text), simple, policies())
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		if got := fmt.Sprint(a.principal, a.context, a.usageKey, a.refused, a.policy != nil); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	f(`{"principalId":"p",`+allowAll+`}`, false, "p[]false true")
	// AWS: values are strings in the end, whatever they were.
	f(`{"principalId":"p",`+allowAll+`,"context":{"s":"a\u00e9","i":12,"f":1.50,"t":true,"n":null,"":"x"},"usageIdentifierKey":"k"}`, false,
		"p[{s aé} {i 12} {f 1.50} {t true} { x}]kfalse true")
	f(`{"principalId":"p",`+allowAll+`,"context":{"s":1,"s":2},"more":[{}]}`, false, "p[{s 2}]false true")
	f(`{"principalId":"p",`+allowAll+`,"context":null,"usageIdentifierKey":null}`, false, "p[]false true")
	// An event 2.0 may be answered by a policy, too, and context may have anything.
	f(`{"principalId":"p",`+allowAll+`,"context":{"l":[1, {"a":"b"}],"o":{"x":null}}}`, true, `p[{l [1,{"a":"b"}]} {o {"x":null}}]false true`)
	f(`{"isAuthorized":true,"context":{"a":"b"}}`, true, "[{a b}]false false")
	f(`{"isAuthorized":false,"context":{"a":"b"}}`, true, "[{a b}]true false")
	f(`{"isAuthorized":false,"principalId":"p",`+allowAll+`}`, false, "p[]false true") // nobody reads it where it means nothing
}

// What isn't an answer never allows.
func TestBadAnswers(t *testing.T) {
	f := func(text string, simple bool) {
		t.Helper()
		a, err := readAnswer([]byte(text), simple, policies())
		if err == nil {
			t.Errorf("%.100s: got %+v", text, a)
		}
		r := newRig(t)
		route := r.route("prod", "GET /a")
		authorizer := byToken()
		if simple {
			authorizer = byRequest("method.request.header.Authorization")
			authorizer.PayloadFormat = "2.0"
		}
		fn := &fakeFunction{answer: func(context.Context, []byte) (string, error) { return text, nil }}
		ex := r.exchange(route, "GET /a", "Authorization: t")
		got := outcome(r.must(route, "a", authorizer, fn), ex)
		if got != "AUTHORIZER_CONFIGURATION_ERROR" || ex.Caller.Principal != "" || ex.Caller.Policy != nil || len(ex.Caller.Context) > 0 {
			t.Errorf("%.100s: %s, caller %+v", text, got, ex.Caller)
		}
	}
	for _, text := range []string{
		"", " ", "null", "true", `"allow"`, "[]", "{}", "{", `{"principalId":"p"`, "not json", "\xff\xfe", `{"principalId":"p",` + allowAll + `} x`,
		`{"principalId":"p"}`, `{` + allowAll + `}`, `{"principalId":"",` + allowAll + `}`, `{"principalId":7,` + allowAll + `}`, `{"principalId":null,` + allowAll + `}`,
		`{"principalId":["p"],` + allowAll + `}`, `{"PrincipalId":"p",` + allowAll + `}`,
		`{"principalId":"p","policyDocument":null}`, `{"principalId":"p","policyDocument":"*"}`, `{"principalId":"p","policyDocument":[]}`, `{"principalId":"p","policyDocument":{}}`,
		`{"principalId":"p","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"allow","Resource":"*"}]}}`,
		`{"principalId":"p","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Allow"}]}}`,
		`{"principalId":"p","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Allow","Resource":"` + strings.Repeat("x", 513) + `"}]}}`,
		`{"principalId":"p",` + allowAll + `,"context":[]}`, `{"principalId":"p",` + allowAll + `,"context":"x"}`,
		`{"principalId":"p",` + allowAll + `,"usageIdentifierKey":7}`,
		strings.Repeat("[", 1000), `{"principalId":"` + strings.Repeat("p", 1<<20) + `",` + allowAll + `}`,
	} {
		f(text, false)
		f(text, true)
	}
	for _, text := range []string{
		// AWS: "Output from an API Gateway Lambda authorizer": no objects and lists.
		`{"principalId":"p",` + allowAll + `,"context":{"a":{}}}`, `{"principalId":"p",` + allowAll + `,"context":{"a":[1]}}`,
		`{"isAuthorized":true}`,
	} {
		f(text, false)
	}
	for _, text := range []string{
		`{"isAuthorized":"true"}`, `{"isAuthorized":1}`, `{"isAuthorized":null}`, `{"isauthorized":true}`,
		`{"isAuthorized":true,"principalId":"p",` + allowAll + `}`, `{"isAuthorized":true,"context":[1]}`,
		// Nobody but who checks signatures says what the claims are.
		`{"isAuthorized":true,"context":{"claims":{"sub":"root"}}}`, `{"isAuthorized":true,"context":{"claims.sub":"root"}}`,
	} {
		f(text, true)
	}
	var many strings.Builder
	for i := range maxContext + 1 {
		fmt.Fprintf(&many, `,"k%d":1`, i)
	}
	f(`{"isAuthorized":true,"context":{`+many.String()[1:]+`}}`, true)
}

// No text allows anybody unless it says so in full.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"principalId":"p",`+allowAll+`,"context":{"a":1},"usageIdentifierKey":"k"}`), false)
	f.Add([]byte(`{"isAuthorized":true,"context":{"a":[1]}}`), true)
	f.Add([]byte(`{"errorMessage":"Unauthorized"}`), true)
	f.Fuzz(func(t *testing.T, text []byte, simple bool) {
		a, err := readAnswer(text, simple, policies())
		var said *proxy.FunctionError
		switch {
		case err != nil:
			_ = errors.As(err, &said)
		case a.policy == nil && (!simple || a.principal != ""):
			t.Errorf("%q allows without a policy", text)
		case a.policy != nil && a.principal == "":
			t.Errorf("%q allows nobody in particular", text)
		}
		if err == nil && a.policy == nil && !a.refused && !strings.Contains(string(text), "true") {
			t.Errorf("%q allows", text)
		}
	})
}

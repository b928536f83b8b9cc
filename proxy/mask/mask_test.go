package mask

import (
	"strings"
	"testing"
)

func TestConfidential(t *testing.T) {
	f := func(want bool, names ...string) {
		t.Helper()
		for _, name := range names {
			if Confidential(name) != want || Confidential(strings.ToUpper(name)) != want {
				t.Errorf("%s: %t", name, !want)
			}
		}
	}
	f(true, "Authorization", "Proxy-Authorization", "X-Auth", "x-auth-key", "auth", "oauth", "authentication", "Cookie", "Set-Cookie", "access_token",
		"client_secret", "password", "passwd", "X-Amz-Signature", "X-Amz-Credential", "sessionid", "X-Api-Key", "api_key", "apikey", "client_assertion",
		"private_key", "X-Postern-Trace", "sig", "code", "key", "author_auth", "access-control-token", "$context.authorizer.token")
	f(false, "Content-Type", "author", "authors", ":authority", "$context.authorizer.tier", "Access-Control-Allow-Credentials", "Access-Control-Request-Headers",
		"Access-Control-Expose-Headers", "keyboard", "monkey", "design", "zip-code", "")
}

func TestValue(t *testing.T) {
	f := func(name, value, want string) {
		t.Helper()
		if got := Value(name, value); got != want {
			t.Errorf("%s: %s is shown as %q, want %q", name, value, got, want)
		}
	}
	long := strings.Repeat("a", 30) + "bcdefg"
	f("Authorization", long, "**********bcdefg")
	f("Authorization", "Bearer "+long, "Bearer **********bcdefg")
	f("Authorization", "Bearer short", "Bearer **********")
	f("Authorization", "AWS4-HMAC-SHA256 x="+long, "**********bcdefg") // it has digits: no word
	f("authorization", "Basic "+long, "Basic **********")
	f("x-api-key", long, "**********bcdefg")
	f("password", long, "**********")
	f("Cookie", "a="+long, "**********")
	f("key", "", "**********")
	f("secret", "do not tell anybody", "**********") // no word of it
}

func TestText(t *testing.T) {
	f := func(mask func(string) string, text, want string) {
		t.Helper()
		if got := mask(text); got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
	f(Form, "a=1&password=hunter2&b", "a=1&password=**********&b")
	f(Form, "password=hun", "password=**********")
	f(JSON, `{"a": "1", "password" : "hun\"ter2", "b": [{"token": "x"}]}`, `{"a": "1", "password" : "**********", "b": [{"token": "**********"}]}`)
	f(JSON, `{"a": "1", "password": "hun`, `{"a": "1", "password": "**********`)
	f(JSON, `{"token": null, "secret": {"x": "1"}, "y": "2"}`, `{"token": null, "secret": {"x": "**********"}, "y": "2"}`)
	f(JSON, `{"tokens": ["a", {"b": ["c"]}, 4], "d": ["e"]}`, `{"tokens": ["**********", {"b": ["**********"]}, 4], "d": ["e"]}`)
	f(JSON, `{"tokens": ["a", "bc`, `{"tokens": ["**********", "**********`)
	f(JSON, `{"pass\u0077ord": "x"}`, `{"pass\u0077ord": "**********"}`)
	f(JSON, `[{"token":}, "a"]`, `[{"token":}, "a"]`)
	f(JSON, `plain "password": "x"`, `plain "password": "x"`)
	for contentType, want := range map[string]bool{"application/x-www-form-urlencoded": true, "Application/X-WWW-Form-Urlencoded; charset=utf-8": true, "text/plain": false, "": false} {
		if IsForm(contentType) != want {
			t.Errorf("%q", contentType)
		}
	}
}

package proxy

import "testing"

func TestMethodARN(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		ex := &Exchange{Method: "GET", Path: path, Route: &Route{Stage: &Stage{
			Name: "prod", API: &API{ID: "a1", Region: "eu-north-1", AccountID: "123456789012"},
		}}}
		if got := string(AppendMethodARN(nil, ex)); got != "arn:aws:execute-api:eu-north-1:123456789012:a1/prod/GET/"+want {
			t.Errorf("%s is called %s", path, got)
		}
	}
	f("/", "")
	f("/pets/7", "pets/7")
	f("/pets/", "pets")
	f("/a%20b", "a%20b")
	// What a policy would take for more than a character.
	f("/*", "%2A")
	f("/${aws:username}", "$%7Baws:username}")
}

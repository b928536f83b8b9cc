package main

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/builtins/access"
)

const policyGateway = `[listen.public]
address = "127.0.0.1:0"

[gateway]
region = "eu-north-1"
account_id = "123456789012"

[authorizer.signed]
type = "iam"

[authorizer.asked]
type = "http"
url = "http://127.0.0.1:9/"

[network.office]
prefixes = ["192.0.2.0/24"]

[principal.alice]
access_keys = [{ id = "AKIDALICE", secret = "0123456789abcdef" }]
policies = ['''{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:*:*:pets/*/GET/*",
  "Condition": {"StringEqualsIfExists": {"aws:PrincipalTag/team": "red"}}}}''']

[principal.bob]
account_id = "111122223333"
access_keys = [{ id = "AKIDBOB", secret = "0123456789abcdef" }]
policies = [{ file = "bob.json" }]

[api.pets]
type = "rest"
policy = { file = "pets.json" }
[api.pets.stage.prod]
[api.pets.route."GET /"]
integration = { type = "http_proxy", url = "http://127.0.0.1:9/" }
[api.pets.route."GET /pets/{id}"]
authorizer = "signed"
integration = { type = "http_proxy", url = "http://127.0.0.1:9/" }
[api.pets.route."ANY /pets"]
authorizer = "signed"
integration = { type = "http_proxy", url = "http://127.0.0.1:9/" }
[api.pets.route."GET /asked/{rest+}"]
authorizer = "asked"
integration = { type = "http_proxy", url = "http://127.0.0.1:9/" }

[api.open]
type = "rest"
[api.open.stage.prod]
[api.open.stage.test]
[api.open.route."GET /"]
integration = { type = "http_proxy", url = "http://127.0.0.1:9/" }
`

func layPolicies(t *testing.T) {
	t.Helper()
	aside(t)
	lay(t, "postern.toml", policyGateway)
	lay(t, "bob.json", `{"Statement": {"Effect": "Allow", "Action": "execute-api:*", "Resource": "*"}}`)
	lay(t, "pets.json", `{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*/GET/"},
    {"Sid": "partners", "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "execute-api:Invoke", "Resource": "execute-api:/prod/*/pets*",
     "Condition": {"StringEquals": {"aws:SourceVpc": "office"}}},
    {"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*/asked/secret/*"}
  ]
}`)
}

// lineOf returns the number of the first line of text that begins with start.
func lineOf(text, start string) string {
	before, _, _ := strings.Cut(text, "\n"+start)
	return strconv.Itoa(strings.Count(before, "\n") + 2)
}

func TestPolicyExplain(t *testing.T) {
	layPolicies(t)
	code, stdout, stderr := command(t, "policy", "explain", "GET /pets/1", "--api", "pets", "--principal", "bob")
	want := `GET /pets/1 by arn:aws:iam::111122223333:user/bob
route "GET /pets/{id}" of API pets, stage prod, authorizer signed
arn:aws:execute-api:eu-north-1:123456789012:pets/prod/GET/pets/1

api.pets.policy (pets.json): neutral
  -      Statement[0] at line 4 (Allow): the method isn't execute-api:/*/GET/
  -      Statement[1] ("partners") at line 5 (Allow): StringEquals ["office"]: aws:SourceVpc isn't in the request
  -      Statement[2] at line 7 (Deny): the method isn't execute-api:/*/asked/secret/*

principal.bob.policies.0 (bob.json): Allow
  Allow  Statement at line 1 fits

denied: User: arn:aws:iam::111122223333:user/bob is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:eu-north-1:********9012:pets/prod/GET/pets/1 because no resource-based policy allows the execute-api:Invoke action
`
	if code != exitOK || stdout != want {
		t.Errorf("exit code %d, %s\ngot:\n%s\nwant:\n%s", code, stderr, stdout, want)
	}

	comes := func(to access.Outcome, reason string, args ...string) {
		t.Helper()
		code, stdout, stderr := command(t, append([]string{"policy", "explain", "--format", "json"}, args...)...)
		var x access.Explanation
		if err := json.Unmarshal([]byte(stdout), &x); err != nil {
			t.Errorf("%q: exit code %d, %s%v", args, code, stderr, err)
			return
		}
		if code != exitOK || x.Outcome != to || !strings.Contains(x.Reason, reason) {
			t.Errorf("%q: exit code %d, %s: %s", args, code, x.Outcome, x.Reason)
		}
	}
	comes(access.Allow, "both must", "postern.toml", "GET /pets/1", "--api", "pets", "--principal", "bob", "--source-ip", "192.0.2.7")
	comes(access.Allow, "the caller's policies", "GET /pets/1", "--api", "pets", "--principal", "alice")
	comes(access.Deny, "no identity-based policy", "GET /pets/1", "--api", "pets", "--principal", "alice", "--tag", "team=blue")
	comes(access.Deny, "who signs", "GET /pets/1", "--api", "pets")
	comes(access.Allow, "the API's policy", "GET /", "--api", "pets", "--stage", "prod")
	comes(access.Allow, "no policy", "GET /", "--api", "open", "--stage", "test")
	comes(access.Deny, "explicit deny", "GET /asked/secret/x", "--api", "pets")
	comes(access.Depends, "if authorizer \"asked\" allows it", "GET /asked/x", "--api", "pets")
	lay(t, "answer.json", `{"principalId": "u", "policyDocument": {"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*",
		"Condition": {"DateGreaterThan": {"aws:CurrentTime": "2026-06-01"}, "StringLike": {"aws:UserAgent": "curl*"}}}, {"Effect": "Allow", "Action": "*", "Resource": "*"}]}}`)
	comes(access.Allow, "the authorizer's answer", "GET /asked/x", "--api", "pets", "--answer", "answer.json", "--time", "2026-07-01T00:00:00Z")
	comes(access.Deny, "identity-based", "GET /asked/x", "--api", "pets", "--answer", "answer.json", "--time", "2026-07-01T00:00:00Z", "-H", "User-Agent: curl/8")
	comes(access.Allow, "the authorizer's answer", "GET /asked/x", "--api", "pets", "--answer", "answer.json", "--time", "2026-05-01T00:00:00Z", "-H", "User-Agent: curl/8")

	// A policy that stands in the configuration is found by its line there.
	if code, stdout, _ := command(t, "policy", "explain", "GET /pets/1", "--api", "pets", "--principal", "alice"); code != exitOK ||
		!strings.Contains(stdout, "principal.alice.policies.0: Allow\n  Allow  Statement at postern.toml:"+lineOf(policyGateway, "policies = ['''")+" fits\n") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}

	ends := func(code int, stderr string, args ...string) {
		t.Helper()
		got, _, text := command(t, append([]string{"policy", "explain"}, args...)...)
		if got != code || !strings.Contains(text, stderr) {
			t.Errorf("%q: exit code %d, %s", args, got, text)
		}
	}
	ends(exitOK, "", "GET /", "--api", "pets", "--expect", "allowed")
	ends(exitTests, "GET / is allowed, not denied", "GET /", "--api", "pets", "--expect", "denied")
	ends(exitInvalid, "which API?", "GET /")
	ends(exitInvalid, "which stage?", "GET /", "--api", "open")
	ends(exitInvalid, "there is no principal \"eve\"", "GET /", "--api", "pets", "--principal", "eve")
	ends(exitFailed, "has no route in API pets", "GET /nowhere", "--api", "pets")
	ends(exitUsage, "neither a request", "GET /", "GET /")
	ends(exitUsage, "--expect is for a request", "--expect", "denied")
	ends(exitUsage, "isn't an address", "GET /", "--source-ip", "office")
	ends(exitUsage, "isn't a time", "GET /", "--time", "noon")
	ends(exitUsage, "isn't NAME=VALUE", "GET /", "--tag", "team", "--principal", "bob")
	ends(exitUsage, "--tag is for a --principal", "GET /", "--tag", "team=red")
	ends(exitUsage, "no function decides about GET /pets/1", "GET /pets/1", "--api", "pets", "--principal", "alice", "--answer", "answer.json")
	lay(t, "answer.json", `{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}`)
	ends(exitInvalid, "answer.json: line 1, column 35: Statement.Principal: a policy that belongs to a caller names nobody", "GET /", "--api", "pets", "--answer", "answer.json")
	lay(t, "pets.json", "{\n\"Statement\": []}")
	ends(exitInvalid, "pets.json:2:14: Statement: the policy has no statement", "GET /", "--api", "pets")
	lay(t, "bob.json", "{}")
	ends(exitInvalid, "bob.json:1:1: the policy has no \"Statement\"")
}

func TestPolicyTable(t *testing.T) {
	layPolicies(t)
	code, stdout, stderr := command(t, "policy", "explain", "--source-ip", "192.0.2.7")
	want := `API   STAGE  ROUTE               anonymous  alice    bob
open  prod   GET /               allowed    allowed  allowed
open  test   GET /               allowed    allowed  allowed
pets  prod   ANY /pets           denied     depends  allowed
pets  prod   GET /               allowed    allowed  allowed
pets  prod   GET /asked/{rest+}  depends    depends  depends
pets  prod   GET /pets/{id}      denied     allowed  allowed
`
	if code != exitOK || stdout != want {
		t.Errorf("exit code %d, %s\ngot:\n%s\nwant:\n%s", code, stderr, stdout, want)
	}
	want = "API   STAGE  ROUTE               bob\npets  prod   ANY /pets           denied\npets  prod   GET /               allowed\npets  prod   GET /asked/{rest+}  depends\npets  prod   GET /pets/{id}      denied\n"
	if _, stdout, _ := command(t, "policy", "explain", "--api", "pets", "--principal", "bob"); stdout != want {
		t.Errorf("got:\n%s\nwant:\n%s", stdout, want)
	}
	var rows []policyRow
	_, stdout, _ = command(t, "policy", "explain", "--api", "open", "--stage", "test", "--format", "json")
	if err := json.Unmarshal([]byte(stdout), &rows); err != nil || len(rows) != 1 || rows[0].Callers["alice"] != access.Allow {
		t.Errorf("%v: %s", err, stdout)
	}
	if code, _, stderr := command(t, "policy", "explain", "--api", "pats"); code != exitInvalid || !strings.Contains(stderr, `there is no "pats"`) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// The stage that is in no path, and the route that has none.
func TestPolicyOfHTTPAPI(t *testing.T) {
	const text = `[listen.public]
address = "127.0.0.1:0"
[authorizer.signed]
type = "iam"
[principal.alice]
access_keys = [{ id = "AKIDALICE", secret = "0123456789abcdef" }]
policies = ['{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:*:*:web/$default/GET/*"}}']
[api.web]
type = "http"
[api.web.stage."$default"]
[api.web.stage.v1]
[api.web.route."GET /pets"]
authorizer = "signed"
integration = { type = "http_proxy", url = "http://127.0.0.1:9/" }
[api.web.route."$default"]
authorizer = "signed"
integration = { type = "http_proxy", url = "http://127.0.0.1:9/" }
`
	t.Chdir(filepath.Dir(write(t, text)))
	code, stdout, stderr := command(t, "policy", "explain")
	want := `API  STAGE     ROUTE      anonymous  alice
web  $default  $default   denied     depends
web  $default  GET /pets  denied     allowed
web  v1        $default   denied     denied
web  v1        GET /pets  denied     denied
`
	if code != exitOK || stdout != want {
		t.Errorf("exit code %d, %s\ngot:\n%s\nwant:\n%s", code, stderr, stdout, want)
	}
	if code, stdout, stderr := command(t, "policy", "explain", "GET /other", "--stage", "$default", "--principal", "alice"); code != exitOK || !strings.Contains(stdout, "web/$default/GET/other") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
}

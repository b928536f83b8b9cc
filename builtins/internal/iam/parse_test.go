package iam

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// suggest knows one word, so that tests see that it is asked.
func suggest(word string, words []string) string {
	for _, w := range words {
		if strings.HasPrefix(w, word[:min(len(word), 6)]) {
			return w
		}
	}
	return ""
}

func TestErrors(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		o := options()
		o.Suggest = suggest
		o.Resource = !strings.Contains(text, "#caller")
		o.MaxResource = 40
		_, err := Parse([]byte(text), o)
		var all Errors
		if !errors.As(err, &all) {
			t.Errorf("%s: %v", text, err)
			return
		}
		var got []string
		for _, e := range all {
			line := []rune(strings.Split(text, "\n")[e.Line-1] + " ")
			marked := string(line[e.Column-1 : e.Column-1+e.Width])
			got = append(got, fmt.Sprintf("%d `%s` %s: %s = %s", e.Line, marked, e.Path, e.Text, e.Hint))
		}
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("%s\n got: %s\nwant: %s", text, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
				return
			}
		}
	}
	statement := func(elements string) string { return `{"Version":"2012-10-17","Statement":{` + elements + `}}` }
	const rest = `"Principal":"*","Action":"*","Resource":"*","Effect":"Allow",`

	f(``, "1 ` ` : not JSON: the text ends too early")
	f("{\n  \"Version\" \"x\"}", "2 `\"` : not JSON: no colon")
	f(`[]`, "1 `[` : a policy must be an object")
	f(`{}`, "1 `{` : the policy has no \"Statement\"")
	f(`{"Statement": []}`, "1 `[` Statement: the policy has no statement")
	f(`{"Statement": 1}`, "1 `1` Statement: a statement must be an object")
	f(`{"Version":"2020-01-01","Statement":{`+rest+`"Sid":""}}`, "1 `\"2020-01-01\"` Version: no version \"2020-01-01\" = write \"2012-10-17\"")
	f(`{"statement": []}`, "1 `\"statement\"` : unknown element \"statement\" = case matters: write \"Statement\"")
	f(`{"Version": 2012}`, "1 `2012` Version: must be a string")
	f(statement(rest+`"Effekt":"Deny"`), "1 `\"Effekt\"` Statement: unknown element \"Effekt\" = elements: Sid, Effect,")
	f(statement(rest+`"Effect":"Deny"`), "1 `\"Effect\"` Statement: \"Effect\" is there twice")
	f(statement(`"Effect":"allow"`), "1 `\"allow\"` Statement.Effect: no effect \"allow\" = case matters: write \"Allow\"")
	f(statement(`"Sid":"a"`),
		"1 `{` Statement: the statement has no \"Effect\"", "1 `{` Statement: the statement has no \"Action\"",
		"1 `{` Statement: the statement has no \"Resource\"", "1 `{` Statement: the statement has no \"Principal\" = add \"Principal\": \"*\" for everybody")
	f(statement(rest+`"NotAction":"*"`), "1 `{` Statement: \"Action\" and \"NotAction\" in one statement = write two statements")

	actions := func(a string) string {
		return statement(`"Principal":"*","Resource":"*","Effect":"Allow","Action":` + a)
	}
	f(actions(`"Invoke"`), "1 `\"Invoke\"` Statement.Action: \"Invoke\" isn't an action = write \"execute-api:Invoke\"")
	f(actions(`"execute-api:Invoked"`), "1 `\"execute-api:Invoked\"` Statement.Action: execute-api has no action \"Invoked\" = did you mean \"Invoke\"?")
	f(actions(`["s3:GetObject"]`), "1 `\"s3:GetObject\"` Statement.Action: \"s3:GetObject\" isn't an action of execute-api")
	f(actions(`[]`), "1 `[` Statement.Action: an empty list")
	f(actions(`[[]]`), "1 `[` Statement.Action: must be a string")

	resources := func(r string) string {
		return statement(`"Principal":"*","Action":"*","Effect":"Allow","Resource":` + r)
	}
	f(resources(`"/pets"`), "1 `\"/pets\"` Statement.Resource: not the name of a resource = write arn:aws:execute-api:")
	f(resources(`"arn:aws:s3:::bucket"`), "1 `\"arn:aws:s3:::bucket\"` Statement.Resource: not a resource of execute-api")
	f(resources(`"arn:aws:execute-api:x"`), "1 `\"arn:aws:execute-api:x\"` Statement.Resource: not the name of a resource")
	f(resources(`"execute-api:/${aws:user}"`), "1 `\"execute-api:/${aws:user}\"` Statement.Resource: no variable ${aws:user}")
	f(resources(`"execute-api:/${aws:username"`), "1 `\"execute-api:/${aws:username\"` Statement.Resource: a variable without its end")
	f(resources(`"execute-api:/${aws:username, x}"`), "1 `\"execute-api:/${aws:username, x}\"` Statement.Resource: the default of ${aws:username, x} isn't in quotes")
	f(resources(`"execute-api:/${aws:SourceVpc}"`), "1 `\"execute-api:/${aws:SourceVpc}\"` Statement.Resource: ${aws:SourceVpc} depends on the client's networks")
	f(resources(`"execute-api:/`+strings.Repeat("ö", 28)+`"`), "1 `\"execute-api:/öööööööööööööööööööööööööööö\"` Statement.Resource: the resource has 41 characters; at most 40 are allowed")

	f(resources(`"execute-api:/prod/get/x"`), "1 `\"execute-api:/prod/get/x\"` Statement.Resource: \"get\" isn't a verb = case matters: write \"GET\"")
	f(resources(`"execute-api:/prod/pets/*"`), "1 `\"execute-api:/prod/pets/*\"` Statement.Resource: \"pets\" isn't a verb = write execute-api:/STAGE/VERB/PATH, with")
	f(resources(`"execute-api:/prod"`), "1 `\"execute-api:/prod\"` Statement.Resource: the resource has no path")
	f(resources(`"execute-api:/prod/GET"`), "1 `\"execute-api:/prod/GET\"` Statement.Resource: the resource has no path")
	f(resources(`"arn:aws:execute-api:*:*:other/*"`), "1 `\"arn:aws:execute-api:*:*:other/*\"` Statement.Resource: the resource is of the API \"other\", the policy of \"api\"")

	principals := func(p string) string {
		return statement(`"Resource":"*","Action":"*","Effect":"Allow","Principal":` + p)
	}
	f(principals(`"123456789012"`), "1 `\"123456789012\"` Statement.Principal: \"123456789012\" isn't a principal = write \"*\" for everybody, or {\"AWS\":")
	f(principals(`{}`), "1 `{` Statement.Principal: nobody is named")
	f(principals(`{"Service":"ec2.amazonaws.com"}`), "1 `\"Service\"` Statement.Principal: unknown kind of principal \"Service\" = kind of principals: AWS")
	f(principals(`{"AWS":["1234"]}`), "1 `\"1234\"` Statement.Principal.AWS: \"1234\": not a principal")
	f(principals(`{"AWS":"arn:aws:iam::123456789012:user/*"}`), "1 `\"arn:aws:iam::123456789012:user/*\"` Statement.Principal.AWS: \"arn:aws:iam::123456789012:user/*\": a principal can't have wildcards")
	f(statement(`"Action":"*","Resource":"*","Effect":"Allow","Sid":"#caller","Principal":"*"`), "1 `\"Principal\"` Statement.Principal: a policy that belongs to a caller names nobody")

	conditions := func(c string) string { return statement(rest + "\n\"Condition\":" + c) }
	f(conditions(`1`), "2 `1` Statement.Condition: a Condition must be an object")
	f(conditions(`{"StringEqual":{}}`), "2 `\"StringEqual\"` Statement.Condition: unknown operator \"StringEqual\" = did you mean \"StringEquals\"?")
	f(conditions(`{"stringEquals":{}}`), "2 `\"stringEquals\"` Statement.Condition: unknown operator \"stringEquals\" = case matters: write \"StringEquals\"")
	f(conditions(`{"ForAnyValue:stringEqualsIfExists":{}}`), "2 `\"ForAnyValue:stringEqualsIfExists\"` Statement.Condition: unknown operator \"ForAnyValue:stringEqualsIfExists\" = case matters: write \"StringEquals\" (with")
	f(conditions(`{"ForAnyValue:ForAllValues:StringEquals":{}}`), "2 `\"ForAnyValue:ForAllValues:StringEquals\"` Statement.Condition: unknown operator")
	f(conditions(`{"BinaryEquals":{}}`), "2 `\"BinaryEquals\"` Statement.Condition: unknown operator \"BinaryEquals\" = no key here holds bytes")
	f(conditions(`{"NullIfExists":{}}`), "2 `\"NullIfExists\"` Statement.Condition: unknown operator \"NullIfExists\" = \"Null\" stands alone")
	f(conditions(`{"Null":{}}`), "2 `{` Statement.Condition.Null: the operator has no key")
	f(conditions(`{"Null":1}`), "2 `1` Statement.Condition.Null: an operator's value must be an object")
	f(conditions(`{"Null":{"aws:Source":true}}`), "2 `\"aws:Source\"` Statement.Condition.Null: unknown condition key \"aws:Source\" = did you mean \"aws:SourceIp\"?")
	f(conditions(`{"Null":{"aws:PrincipalTag":true}}`), "2 `\"aws:PrincipalTag\"` Statement.Condition.Null: unknown condition key \"aws:PrincipalTag\" = write aws:PrincipalTag/NAME")
	f(conditions(`{"Null":{"s3:prefix":true}}`), "2 `\"s3:prefix\"` Statement.Condition.Null: unknown condition key \"s3:prefix\" = keys: aws:SourceIp,")
	f(conditions(`{"Null":{"aws:SourceIp":true,"AWS:SourceIP":true}}`), "2 `\"AWS:SourceIP\"` Statement.Condition.Null: \"AWS:SourceIP\" is there twice")
	f(conditions(`{"Null":{"aws:SourceIp":"yes"}}`), "2 `\"yes\"` Statement.Condition.Null.aws:SourceIp: \"yes\" is neither true nor false")
	f(conditions(`{"Null":{"aws:SourceIp":null}}`), "2 `null` Statement.Condition.Null.aws:SourceIp: must be a string")
	f(conditions(`{"Null":{"aws:SourceIp":[]}}`), "2 `[` Statement.Condition.Null.aws:SourceIp: an empty list")
	f(conditions(`{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","10.0.0.256"]}}`), "2 `\"10.0.0.256\"` Statement.Condition.IpAddress.aws:SourceIp: \"10.0.0.256\" isn't an address")
	f(conditions(`{"NumericEquals":{"aws:EpochTime":"x"}}`), "2 `\"x\"` Statement.Condition.NumericEquals.aws:EpochTime: \"x\" isn't a number")
	f(conditions(`{"NumericEquals":{"aws:EpochTime":"NaN"}}`), "2 `\"NaN\"` Statement.Condition.NumericEquals.aws:EpochTime: \"NaN\" isn't a number")
	f(conditions(`{"DateEquals":{"aws:CurrentTime":"today"}}`), "2 `\"today\"` Statement.Condition.DateEquals.aws:CurrentTime: \"today\" isn't a time")
	f(conditions(`{"ArnLike":{"aws:PrincipalArn":"alice"}}`), "2 `\"alice\"` Statement.Condition.ArnLike.aws:PrincipalArn: \"alice\" isn't an ARN")
	f(conditions(`{"StringLike":{"aws:username":"`+strings.Repeat("*", 129)+`"}}`), "2 `\""+strings.Repeat("*", 129)+"\"` Statement.Condition.StringLike.aws:username: more than 128 wildcards")
	f(conditions(`{"StringLike":{"aws:username":"${"}}`), "2 `\"${\"` Statement.Condition.StringLike.aws:username: a variable without its end")
	// All of them at once, by place.
	f(conditions(`{"Bool":{"aws:SourceIp":"yes"},"X":{}}`), "2 `\"yes\"` ", "2 `\"X\"` ")
	f("{\"Statement\":\n{\"Condition\":[],\n\"Effect\":1}}", "2 `[` Statement.Condition: a Condition must be an object", "3 `1` Statement.Effect: must be a string")
}

func TestSizes(t *testing.T) {
	text := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Sid":"ö"}}`
	size := len(text) - 1
	if _, err := Parse([]byte(text), Options{MaxSize: size}); err != nil {
		t.Error(err)
	}
	_, err := Parse([]byte(text), Options{MaxSize: size - 1})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("has %d characters; at most %d", size, size-1)) {
		t.Error(err)
	}
}

// Policies of users of AWS stay as they are: other services' statements say nothing.
func TestForeignStatements(t *testing.T) {
	p := parse(t, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["s3:*","ec2:Describe*"],"Resource":"arn:aws:s3:::bucket/*"},
		{"Effect":"Deny","NotAction":"execute-api:*","Resource":"*"},
		{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::*"}]}`, Options{})
	if e, _ := p.Decide(alice()); e != Neutral {
		t.Errorf("%v", e)
	}
	for _, r := range p.Explain(alice()) {
		if r.Fits {
			t.Errorf("%s fits", r.Statement)
		}
	}
}

func TestExplain(t *testing.T) {
	p := parse(t, `{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Principal":"*","Action":"execute-api:ManageConnections","Resource":"*"},
{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*","Sid":"other"},
{"Effect":"Deny","Principal":"*","Action":"*","Resource":["execute-api:/test/*","execute-api:/*/POST/*"]},
{"Effect":"Deny","Principal":"*","Action":"*","NotResource":"execute-api:/prod/*"},
{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}},
{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpc":["a","b"]}}},
{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"Null":{"aws:TokenIssueTime":false}}},
{"Effect":"Deny","NotPrincipal":{"AWS":"123456789012"},"Action":"*","Resource":"*"},
{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`, options())
	want := []Reason{
		{`Statement[0] at line 2`, Allow, false, `it isn't about execute-api:Invoke`},
		{`Statement[1] ("other") at line 3`, Allow, false, `arn:aws:iam::123456789012:user/staff/alice isn't the Principal`},
		{`Statement[2] at line 4`, Deny, false, `the method isn't execute-api:/test/*, execute-api:/*/POST/*`},
		{`Statement[3] at line 5`, Deny, false, `the method is excepted by NotResource execute-api:/prod/*`},
		{`Statement[4] at line 6`, Deny, false, `IpAddress ["10.0.0.0/8"]: aws:SourceIp is "192.0.2.9"`},
		{`Statement[5] at line 7`, Deny, false, `StringEquals ["a" "b"]: aws:SourceVpc is ["office" "vpc-1" "lab"]`},
		{`Statement[6] at line 8`, Deny, false, `Null ["false"]: aws:TokenIssueTime isn't in the request`},
		{`Statement[7] at line 9`, Deny, false, `arn:aws:iam::123456789012:user/staff/alice is excepted by NotPrincipal`},
		{`Statement[8] at line 10`, Allow, true, ``},
	}
	for i, got := range p.Explain(alice()) {
		if got != want[i] {
			t.Errorf("\n got: %+v\nwant: %+v", got, want[i])
		}
	}
}

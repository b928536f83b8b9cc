package iam

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// world is what a request of a test has to tell, by KeyID; tags by name.
type world struct {
	values map[KeyID]string
	tags   map[string]string
	from   string
	now    time.Time
}

func (w world) Value(k Key) (string, bool) {
	switch k.ID {
	case PrincipalTag:
		for name, value := range w.tags {
			if strings.EqualFold(name, k.Tag) {
				return value, true
			}
		}
		return "", false
	case SourceIP, VPCSourceIP:
		return w.from, w.from != ""
	case CurrentTime:
		return w.now.Format(time.RFC3339), true
	case EpochTime:
		return fmt.Sprint(w.now.Unix()), true
	}
	value, found := w.values[k.ID]
	return value, found
}

func (w world) Address() (netip.Addr, bool) {
	a, err := netip.ParseAddr(w.from)
	return a, err == nil
}

func (w world) Time() time.Time { return w.now }

// alice asks for GET /pets/7 of api/prod.
func alice() *Request {
	return &Request{
		Action: Invoke, Region: "eu-north-1", Account: "123456789012", Resource: "api/prod/GET/pets/7",
		CallerARN: "arn:aws:iam::123456789012:user/staff/alice", CallerAccount: "123456789012",
		Facts: world{
			values: map[KeyID]string{SecureTransport: "true", UserName: "alice", UserAgent: "curl/8.5", PrincipalARN: "arn:aws:iam::123456789012:user/staff/alice"},
			tags:   map[string]string{"team": "red", "level": "7", "since": "2024-02-29", "host": "192.0.2.1", "admin": "True", "star": "a*c", "nan": "NaN", "slash": "a/b"},
			from:   "192.0.2.9", now: time.Date(2026, 1, 31, 8, 30, 0, 0, time.UTC),
		},
	}
}

// options are those of api's resource policy.
func options() Options {
	return Options{
		Resource: true, Region: "eu-north-1", Account: "123456789012", API: "api", MaxSize: 8192,
		Networks: []Network{
			{Names: []string{"office", "vpc-1"}, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
			{Names: []string{"lab"}, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.8/29")}},
			{Names: []string{"away"}, Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}},
		},
	}
}

func parse(t testing.TB, text string, o Options) *Policy {
	t.Helper()
	p, err := Parse([]byte(text), o)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return p
}

func decide(t *testing.T, text string, r *Request) Effect {
	t.Helper()
	e, which := parse(t, text, options()).Decide(r)
	if (which < 0) != (e == Neutral) {
		t.Errorf("%v is by statement %d", e, which)
	}
	return e
}

// allows reports whether a statement that allows everything else fits alice's
// request when it has elements in place of its own.
func allows(t *testing.T, elements string, r *Request) bool {
	t.Helper()
	text := `{"Version": "2012-10-17", "Statement": {"Effect": "Allow"`
	for name, standard := range map[string]string{"Principal": `"*"`, "Action": `"*"`, "Resource": `"*"`} {
		if !strings.Contains(elements, name+`":`) {
			text += fmt.Sprintf(`, %q: %s`, name, standard)
		}
	}
	return decide(t, text+", "+elements+"}}", r) == Allow
}

func TestResources(t *testing.T) {
	f := func(pattern, resource string, want bool) {
		t.Helper()
		r := alice()
		r.Resource = resource
		if got := allows(t, fmt.Sprintf(`"Resource": %q`, pattern), r); got != want {
			t.Errorf("%s and %s: %v", pattern, resource, got)
		}
		if got := allows(t, fmt.Sprintf(`"NotResource": %q`, pattern), r); got == want {
			t.Errorf("not %s and %s: %v", pattern, resource, got)
		}
	}
	f("*", "api/prod/GET/", true)
	f("execute-api:/*", "api/prod/GET/pets", true)
	f("execute-api:/*", "other/prod/GET/pets", false)
	f("execute-api:/prod/GET/pets", "api/prod/GET/pets", true)
	f("execute-api:/prod/GET/pets", "api/prod/POST/pets", false)
	f("execute-api:/prod/GET/", "api/prod/GET/", true)
	f("arn:aws:execute-api:eu-north-1:123456789012:api/prod/GET/pets", "api/prod/GET/pets", true)
	f("arn:aws:execute-api:eu-north-2:123456789012:api/prod/GET/pets", "api/prod/GET/pets", false)
	f("arn:aws:execute-api:eu-*:*:api/*", "api/prod/GET/pets", true)
	// Parts that aren't written can be anything after a star.
	f("arn:aws:execute-api:*", "api/prod/GET/pets", true)
	f("arn:*", "api/prod/GET/pets", true)
	// A star takes slashes, a question mark one character.
	f("execute-api:/*/GET/pets/*", "api/prod/GET/pets/7/toys", true)
	f("execute-api:/prod/?ET/pets/?", "api/prod/GET/pets/7", true)
	f("execute-api:/prod/GET/pets/?", "api/prod/GET/pets/77", false)
	f("execute-api:/prod/GET/pets/?", "api/prod/GET/pets/ö", true)
	f("execute-api:/prod/GET/pets/*", "api/prod/GET/pets", false)
	f("execute-api:/*/pets/*/toys", "api/prod/GET/pets/7/toys/8/toys", true)
	f("execute-api:/*/pets/*/toys", "api/prod/GET/pets/toys", false)
	f("execute-api:/p*d/G?T/*s", "api/prod/GET/pets", true)
	f("execute-api:/prod/*?/x", "api/prod//x", false)
	// What a client writes into the path doesn't reach the parts before it.
	f("arn:aws:execute-api:*:123456789012:api/prod/GET/open", "api/prod/GET/shut:123456789012:api/prod/GET/open", false)
	// Encoded or not, a path is the same; an encoded slash is none.
	f("execute-api:/prod/GET/a%20b", "api/prod/GET/a b", true)
	f("execute-api:/prod/GET/a b", "api/prod/GET/a b", true)
	f("execute-api:/prod/GET/%2A", "api/prod/GET/*", true)
	f("execute-api:/prod/GET/%2A", "api/prod/GET/x", false)
	f("execute-api:/prod/GET/a%2Fb", "api/prod/GET/a/b", false)
	f("execute-api:/prod/GET/a%2fb", string(AppendPath(nil, "api/prod/GET/a%2Fb")), true)
	f("execute-api:/prod/GET/100%", string(AppendPath(nil, "api/prod/GET/100%25")), true)
	f("execute-api:/prod/GET/pets/", "api/prod/GET/pets", true)
	// Variables.
	f("execute-api:/prod/GET/${aws:username}/x", "api/prod/GET/alice/x", true)
	f("execute-api:/prod/GET/${aws:username}*", "api/prod/GET/alice/x", true)
	f("execute-api:/prod/GET/*${aws:PrincipalTag/TEAM}*/x", "api/prod/GET/redred/x", true)
	f("execute-api:/prod/GET/${aws:username}/x", "api/prod/GET/bob/x", false)
	f("execute-api:/prod/GET/${aws:SourceIp}", "api/prod/GET/192.0.2.9", true)
	f("execute-api:/prod/GET/${aws:PrincipalTag/none, 'all'}", "api/prod/GET/all", true)
	f("execute-api:/prod/GET/${aws:PrincipalTag/none,'}'}", "api/prod/GET/}", true)
	f("execute-api:/prod/GET/${aws:PrincipalTag/none}", "api/prod/GET/", false)
	f("execute-api:/prod/GET/*${aws:PrincipalTag/none}", "api/prod/GET/x", false)
	f("execute-api:/prod/GET/${*}${?}${$}", "api/prod/GET/*?$", true)
	f("execute-api:/prod/GET/${*}", "api/prod/GET/x", false)
	f("execute-api:/prod/GET/${aws:PrincipalTag/star}", "api/prod/GET/abc", false)
	f("execute-api:/prod/GET/${aws:PrincipalTag/star}", "api/prod/GET/a*c", true)
}

// A path with two readings is denied if one is, and allowed if both are, by whatever
// statement. Whoever names it needs no second one.
func TestTwoReadings(t *testing.T) {
	allow, deny := `{"Effect": "Allow", "Principal": "*", "Action": "*", `, `{"Effect": "Deny", "Principal": "*", "Action": "*", `
	f := func(path, other, statements string, want Effect) {
		t.Helper()
		r := alice()
		r.Resource, r.Other = "api/prod/GET/"+path, "api/prod/GET/"+other
		text := `{"Version": "2012-10-17", "Statement": [` + statements + `]}`
		if got := decide(t, text, r); got != want {
			t.Errorf("%s as %s: %s: got %v, want %v", path, other, statements, got, want)
		}
		// What explains says the same.
		p := parse(t, text, options())
		got := Neutral
		for _, reason := range p.Explain(r) {
			if reason.Fits && got != Deny {
				got = reason.Effect
			}
			if reason.Fits != (reason.Why == "") {
				t.Errorf("%+v", reason)
			}
		}
		if got != want {
			t.Errorf("%s as %s: explained as %v, want %v", path, other, got, want)
		}
	}
	all := allow + `"Resource": "*"}`
	f("admin;x/y", "admin/y", all, Allow)
	f("admin;x/y", "admin/y", all+","+deny+`"Resource": "execute-api:/*/admin/*"}`, Deny)
	f("admin/y", "other", all+","+deny+`"Resource": "execute-api:/*/admin/*"}`, Deny)
	f("open;x/y", "open/y", all+","+deny+`"NotResource": "execute-api:/*/open/*"}`, Deny)
	f("open/x;/y", "open/x/y", all+","+deny+`"NotResource": "execute-api:/*/open/*"}`, Allow)
	f("a/x;.css", "a/x", allow+`"Resource": "execute-api:/*.css"}`, Neutral)
	f("a/x;.css", "a/x", allow+`"Resource": ["execute-api:/*.css", "execute-api:/prod/GET/a/?"]}`, Allow)
	f("a/x;.css", "a/x", allow+`"Resource": "execute-api:/*.css"},`+allow+`"Resource": "execute-api:/prod/GET/a/?"}`, Allow)
	f("admin;x/y", "admin/y", allow+`"NotResource": "execute-api:/*/admin/*"}`, Neutral)
	f("pets/7;v=2", "pets/7", allow+`"Resource": "execute-api:/prod/GET/pets/7;v=2"}`, Allow)
	f("pets/7;v=2", "pets/7", allow+`"Resource": "execute-api:/*/x"},`+allow+`"Resource": "execute-api:/prod/GET/pets/7;v=2"}`, Allow)
	f("pets/7;v=2", "pets/7", allow+`"Resource": "execute-api:/prod/GET/pets/7;v=2"},`+deny+`"Resource": "execute-api:/prod/GET/pets/7"}`, Deny)
	f("pets/7;v=2", "pets/7", allow+`"Resource": "execute-api:/prod/GET/pets/7"}`, Neutral)
}

func TestActions(t *testing.T) {
	f := func(actions string, want Action) {
		t.Helper()
		for _, a := range []Action{Invoke, InvalidateCache, ManageConnections} {
			r := alice()
			r.Action = a
			if got := allows(t, `"Action": `+actions, r); got != (want&a != 0) {
				t.Errorf("%s and %v: %v", actions, a, got)
			}
			if got := allows(t, `"NotAction": `+actions, r); got == (want&a != 0) {
				t.Errorf("not %s and %v: %v", actions, a, got)
			}
		}
	}
	f(`"execute-api:Invoke"`, Invoke)
	f(`"EXECUTE-API:invoke"`, Invoke)
	f(`"execute-api:*"`, allActions)
	f(`"*"`, allActions)
	f(`"*:*"`, allActions)
	f(`"execute-api:Inv*"`, Invoke|InvalidateCache)
	f(`"execute-api:Invok?"`, Invoke)
	f(`["execute-api:Invoke", "execute-api:ManageConnections"]`, Invoke|ManageConnections)
}

func TestPrincipals(t *testing.T) {
	f := func(principal, arn, account string, want bool) {
		t.Helper()
		r := alice()
		r.CallerARN, r.CallerAccount = arn, account
		if got := allows(t, `"Principal": `+principal, r); got != want {
			t.Errorf("%s and %q: %v", principal, arn, got)
		}
		if got := allows(t, `"NotPrincipal": `+principal, r); got == want {
			t.Errorf("not %s and %q: %v", principal, arn, got)
		}
	}
	const user, other = "arn:aws:iam::111122223333:user/x/bob", "111122223333"
	f(`"*"`, "", "", true)
	f(`{"AWS": "*"}`, "", "", true)
	f(`{"AWS": "111122223333"}`, user, other, true)
	f(`{"AWS": "arn:aws:iam::111122223333:root"}`, user, other, true)
	f(`{"AWS": "111122223333"}`, "", "", false)
	f(`{"AWS": "123456789012"}`, user, other, false)
	f(`{"AWS": "arn:aws:iam::111122223333:user/x/bob"}`, user, other, true)
	f(`{"AWS": ["123456789012", "arn:aws:iam::111122223333:user/x/bob"]}`, user, other, true)
	f(`{"AWS": "arn:aws:iam::111122223333:user/bob"}`, user, other, false)
	// A role stands for its sessions, a session for itself.
	const session = "arn:aws:sts::111122223333:assumed-role/ops/monday"
	f(`{"AWS": "arn:aws:iam::111122223333:role/path/ops"}`, session, other, true)
	f(`{"AWS": "arn:aws:iam::111122223333:role/op"}`, session, other, false)
	f(`{"AWS": "arn:aws:sts::111122223333:assumed-role/ops/monday"}`, session, other, true)
	f(`{"AWS": "arn:aws:sts::111122223333:assumed-role/ops/tuesday"}`, session, other, false)
}

// holds reports whether a condition of one key holds for alice.
func holds(t *testing.T, operator, key, values string) bool {
	t.Helper()
	return allows(t, fmt.Sprintf(`"Condition": {%q: {%q: %s}}`, operator, key, values), alice())
}

func TestConditions(t *testing.T) {
	f := func(operator, key, values string, want bool) {
		t.Helper()
		if got := holds(t, operator, key, values); got != want {
			t.Errorf("%s %s %s: %v", operator, key, values, got)
		}
		// The key is there, so IfExists changes nothing.
		if got := holds(t, operator+"IfExists", key, values); got != want {
			t.Errorf("%sIfExists %s %s: %v", operator, key, values, got)
		}
	}
	const team = "aws:PrincipalTag/team"
	f("StringEquals", team, `"red"`, true)
	f("StringEquals", "AWS:principaltag/Team", `"red"`, true) // names of keys have no case
	f("StringEquals", team, `["blue", "red"]`, true)
	f("StringEquals", team, `"Red"`, false)
	f("StringEquals", team, `"r*"`, false)
	f("StringEquals", "aws:PrincipalTag/star", `"a*c"`, true)
	f("StringNotEquals", team, `["blue", "red"]`, false)
	f("StringNotEquals", team, `["blue", "green"]`, true)
	f("StringEqualsIgnoreCase", team, `"RED"`, true)
	f("StringNotEqualsIgnoreCase", team, `"RED"`, false)
	f("StringEqualsIgnoreCase", "aws:username", `"${aws:PrincipalTag/none, 'ALICE'}"`, true)
	f("StringLike", team, `"r?d"`, true)
	f("StringLike", team, `"*e*"`, true)
	f("StringNotLike", team, `"r*"`, false)
	f("StringLike", "aws:PrincipalTag/star", `"a${*}c"`, true)
	f("StringLike", team, `"r${*}d"`, false)
	f("StringEquals", "aws:username", `"${aws:UserName}"`, true)
	f("StringEquals", "aws:SecureTransport", `true`, true)
	// A variable without a value is like nothing. AWS: "Policy variables with no value".
	f("StringEquals", team, `"${aws:PrincipalTag/none}"`, false)
	f("StringNotEquals", team, `"${aws:PrincipalTag/none}"`, true)

	f("NumericEquals", "aws:PrincipalTag/level", `7`, true)
	f("NumericEquals", "aws:PrincipalTag/level", `"7.0"`, true)
	f("NumericNotEquals", "aws:PrincipalTag/level", `["6", 7]`, false)
	f("NumericLessThan", "aws:PrincipalTag/level", `7`, false)
	f("NumericLessThan", "aws:PrincipalTag/level", `[1, 8]`, true)
	f("NumericLessThanEquals", "aws:PrincipalTag/level", `7`, true)
	f("NumericGreaterThan", "aws:PrincipalTag/level", `7`, false)
	f("NumericGreaterThanEquals", "aws:PrincipalTag/level", `7`, true)
	f("NumericEquals", team, `7`, false) // isn't a number
	f("NumericNotEquals", team, `7`, true)
	f("NumericEquals", "aws:PrincipalTag/nan", `7`, false)
	f("NumericGreaterThan", "aws:EpochTime", `1769848199`, true)
	f("NumericGreaterThan", "aws:EpochTime", `1769848200`, false)

	f("DateEquals", "aws:CurrentTime", `"2026-01-31T08:30:00Z"`, true)
	f("DateEquals", "aws:CurrentTime", `"2026-01-31T09:30:00+01:00"`, true)
	f("DateNotEquals", "aws:CurrentTime", `"2026-01-31T08:30:00Z"`, false)
	f("DateLessThan", "aws:CurrentTime", `"2026-02"`, true)
	f("DateLessThan", "aws:CurrentTime", `"2026"`, false)
	f("DateLessThanEquals", "aws:CurrentTime", `1769848200`, true)
	f("DateGreaterThan", "aws:CurrentTime", `"2026-01-31"`, true)
	f("DateGreaterThanEquals", "aws:EpochTime", `"2026-01-31T08:30Z"`, true)
	f("DateLessThan", "aws:PrincipalTag/since", `"2024-03-01"`, true)
	f("StringLike", "aws:CurrentTime", `"2026-01-31T*"`, true)

	f("Bool", "aws:SecureTransport", `"true"`, true)
	f("Bool", "aws:SecureTransport", `false`, false)
	f("Bool", "aws:PrincipalTag/admin", `true`, true)
	f("Bool", team, `["true", "false"]`, false)

	f("IpAddress", "aws:SourceIp", `"192.0.2.0/24"`, true)
	f("IpAddress", "aws:SourceIp", `["203.0.113.0/24", "192.0.2.9"]`, true)
	f("IpAddress", "aws:SourceIp", `"::ffff:192.0.2.0/120"`, true)
	f("IpAddress", "aws:SourceIp", `"192.0.2.77/24"`, true)
	f("IpAddress", "aws:SourceIp", `"::/0"`, false)
	f("NotIpAddress", "aws:SourceIp", `["203.0.113.0/24", "192.0.2.9"]`, false)
	f("NotIpAddress", "aws:SourceIp", `"203.0.113.0/24"`, true)
	f("IpAddress", "aws:PrincipalTag/host", `"192.0.2.0/24"`, true)
	f("IpAddress", "aws:VpcSourceIp", `"192.0.2.9"`, true)
	f("StringLike", "aws:SourceIp", `"192.0.2.*"`, true)

	f("ArnEquals", "aws:PrincipalArn", `"arn:aws:iam::123456789012:user/staff/alice"`, true)
	f("ArnLike", "aws:PrincipalArn", `"arn:aws:iam::*:user/*"`, true)
	f("ArnLike", "aws:PrincipalArn", `"arn:aws:iam::*:role/*"`, false)
	f("ArnNotLike", "aws:PrincipalArn", `"arn:aws:iam::*:user/*"`, false)
	f("ArnNotEquals", "aws:PrincipalArn", `"arn:aws:iam::*:role/*"`, true)
	f("ArnLike", "aws:PrincipalArn", `"arn:aws:iam::*:user/staff/${aws:username}"`, true)
	f("ArnLike", team, `"arn:*:*:*:*:*"`, false)

	// A client may be in several networks.
	f("StringEquals", "aws:SourceVpc", `"office"`, true)
	f("StringEquals", "aws:SourceVpce", `["away", "vpc-1"]`, true)
	f("StringEquals", "aws:SourceVpc", `"away"`, false)
	f("StringNotEquals", "aws:SourceVpc", `"lab"`, false)
	f("StringNotEquals", "aws:SourceVpc", `"away"`, true)
	f("ForAllValues:StringEquals", "aws:SourceVpc", `["office", "vpc-1"]`, false)
	f("ForAllValues:StringEquals", "aws:SourceVpc", `["office", "vpc-1", "lab"]`, true)
	f("ForAllValues:StringNotEquals", "aws:SourceVpc", `["lab"]`, false)
	f("ForAnyValue:StringEquals", "aws:SourceVpc", `["lab"]`, true)
	f("ForAnyValue:StringNotEquals", "aws:SourceVpc", `["lab"]`, true)
	f("ForAnyValue:StringNotLike", "aws:SourceVpc", `["*"]`, false)
	f("ForAnyValue:StringEquals", team, `"red"`, true)
	f("ForAllValues:StringLike", team, `"b*"`, false)
}

// What it means that the request lacks a key.
func TestMissingKeys(t *testing.T) {
	f := func(operator string, want bool) {
		t.Helper()
		value := `"7"`
		if strings.Contains(operator, "Date") {
			value = `"2026"`
		} else if strings.Contains(operator, "Bool") {
			value = "true"
		} else if strings.Contains(operator, "Ip") {
			value = `"192.0.2.1"`
		} else if strings.Contains(operator, "Arn") {
			value = `"arn:aws:iam::123456789012:user/x"`
		}
		for _, key := range []string{"aws:PrincipalTag/none", "aws:MultiFactorAuthAge"} {
			if got := holds(t, operator, key, value); got != want {
				t.Errorf("%s without %s: %v", operator, key, got)
			}
		}
	}
	for i := range operatorRows {
		name := operatorRows[i].name
		if name == "Null" {
			continue
		}
		negated := strings.Contains(name, "Not")
		f(name, negated)
		f(name+"IfExists", true)
		f("ForAllValues:"+name, true)
		f("ForAnyValue:"+name, false)
		f("ForAllValues:"+name+"IfExists", true)
		f("ForAnyValue:"+name+"IfExists", true)
	}
	null := func(key, value string, want bool) {
		t.Helper()
		if got := holds(t, "Null", key, value); got != want {
			t.Errorf("Null %s %s: %v", key, value, got)
		}
	}
	null("aws:PrincipalTag/none", `"true"`, true)
	null("aws:PrincipalTag/none", `false`, false)
	null("aws:PrincipalTag/team", `true`, false)
	null("aws:PrincipalTag/team", `"false"`, true)
	null("aws:PrincipalTag/team", `["true", "false"]`, true)
	null("aws:TokenIssueTime", `true`, true)
	null("aws:SourceVpc", `false`, true)
	null("aws:SourceIp", `false`, true)
	null("aws:CurrentTime", `false`, true)
	// Outside of all networks.
	r := alice()
	w := r.Facts.(world)
	w.from = "198.51.100.1"
	r.Facts = w
	for _, key := range []string{"aws:SourceVpc", "aws:SourceVpce", "aws:VpcSourceIp"} {
		if !allows(t, fmt.Sprintf(`"Condition": {"Null": {%q: true}}`, key), r) {
			t.Errorf("%s is there", key)
		}
	}
	if allows(t, `"Condition": {"StringEquals": {"aws:SourceVpc": "office"}}`, r) ||
		!allows(t, `"Condition": {"StringNotEquals": {"aws:SourceVpc": "office"}}`, r) ||
		allows(t, `"Condition": {"IpAddress": {"aws:VpcSourceIp": "0.0.0.0/0"}}`, r) {
		t.Error("a client outside of all networks is taken for one inside")
	}
}

// All keys of all operators must hold.
func TestConditionsTogether(t *testing.T) {
	f := func(condition string, want bool) {
		t.Helper()
		if got := allows(t, `"Condition": `+condition, alice()); got != want {
			t.Errorf("%s: %v", condition, got)
		}
	}
	f(`{}`, true)
	f(`{"StringEquals": {"aws:username": "alice", "aws:PrincipalTag/team": "red"}}`, true)
	f(`{"StringEquals": {"aws:username": "alice", "aws:PrincipalTag/team": "blue"}}`, false)
	f(`{"StringEquals": {"aws:username": "alice"}, "Bool": {"aws:SecureTransport": false}}`, false)
}

// A document without a Version, or of the old one, has no variables.
func TestOldVersion(t *testing.T) {
	for _, version := range []string{"", `"Version": "2008-10-17",`} {
		text := fmt.Sprintf(`{%s "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "execute-api:/*/$x/*"}]}`, version)
		r := alice()
		r.Resource = "api/prod/GET/$x/y"
		if got := decide(t, text, r); got != Allow {
			t.Errorf("%s: %v", text, got)
		}
		text = strings.Replace(text, "$x", "${aws:username}", 1)
		if _, err := Parse([]byte(text), options()); err == nil || !strings.Contains(err.Error(), "variables need version") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

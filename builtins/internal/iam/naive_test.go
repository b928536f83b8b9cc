package iam

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The evaluator here follows AWS's documentation word by word over maps and regular
// expressions, and shares nothing with the package.

type object = map[string]any

// naive judges a policy that was decoded by encoding/json.
func naive(policy object, r *Request, networks []Network) Effect {
	decision := Neutral
	for _, s := range listOf(policy["Statement"]) {
		s := s.(object)
		if !naiveFits(s, r, networks) {
			continue
		}
		if s["Effect"] == "Deny" {
			return Deny
		}
		decision = Allow
	}
	return decision
}

func listOf(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func naiveFits(s object, r *Request, networks []Network) bool {
	some := func(element string, fits func(text string) bool) bool {
		v, there := s[element]
		return there && slices.ContainsFunc(listOf(v), func(v any) bool { return fits(v.(string)) })
	}
	action := func(text string) bool {
		return regexp.MustCompile("(?i)" + naiveGlob(text, nil)).MatchString(r.Action.String())
	}
	if _, there := s["Action"]; there && !some("Action", action) || some("NotAction", action) {
		return false
	}
	name := strings.Join([]string{"arn", "aws", "execute-api", r.Region, r.Account, r.Resource}, ":")
	resource := func(text string) bool {
		if rest, found := strings.CutPrefix(text, "execute-api:/"); found {
			text = strings.Join([]string{"arn", "aws", "execute-api", "eu-north-1", "123456789012", "api/" + rest}, ":")
		}
		return regexp.MustCompile(naiveGlob(text, r)).MatchString(name)
	}
	if _, there := s["Resource"]; there && !some("Resource", resource) || some("NotResource", resource) {
		return false
	}
	principal := func(element string) bool {
		v := s[element]
		if o, ok := v.(object); ok {
			v = o["AWS"]
		}
		return slices.ContainsFunc(listOf(v), func(v any) bool {
			return v == "*" || r.CallerARN != "" && (v == r.CallerARN || v == r.CallerAccount)
		})
	}
	if _, there := s["Principal"]; there && !principal("Principal") {
		return false
	}
	if _, there := s["NotPrincipal"]; there && principal("NotPrincipal") {
		return false
	}
	conditions, _ := s["Condition"].(object)
	for operator, keys := range conditions {
		for key, want := range keys.(object) {
			if !naiveHolds(operator, naiveValues(key, r, networks), listOf(want), r) {
				return false
			}
		}
	}
	return true
}

// naiveGlob is a regular expression for all of a text with wildcards and, if r isn't
// nil, variables.
func naiveGlob(text string, r *Request) string {
	b := "^"
	for text != "" {
		if r != nil && strings.HasPrefix(text, "${") {
			name, rest, _ := strings.Cut(text[2:], "}")
			text = rest
			if name == "*" || name == "?" || name == "$" {
				b += regexp.QuoteMeta(name)
				continue
			}
			name, standard, hasDefault := strings.Cut(name, ", ")
			values := naiveValues(name, r, nil)
			switch {
			case len(values) > 0:
				b += regexp.QuoteMeta(values[0])
			case hasDefault:
				b += regexp.QuoteMeta(strings.Trim(standard, "'"))
			default:
				return "^[^\\x00-\\x{10FFFF}]$" // nothing
			}
			continue
		}
		switch text[0] {
		case '*':
			b += "(?s:.*)"
		case '?':
			b += "(?s:.)"
		default:
			b += regexp.QuoteMeta(text[:1])
		}
		text = text[1:]
	}
	return b + "$"
}

// naiveValues are the values of a condition key.
func naiveValues(key string, r *Request, networks []Network) []string {
	w := r.Facts.(world)
	from, err := netip.ParseAddr(w.from)
	var inside []string
	for _, n := range networks {
		for _, p := range n.Prefixes {
			if err == nil && p.Contains(from) {
				inside = append(inside, n.Names...)
			}
		}
	}
	if tag, found := strings.CutPrefix(key, "aws:PrincipalTag/"); found {
		if v, there := w.tags[tag]; there {
			return []string{v}
		}
		return nil
	}
	switch key {
	case "aws:SourceIp":
		if err == nil {
			return []string{w.from}
		}
	case "aws:SourceVpc":
		return inside
	case "aws:CurrentTime":
		return []string{w.now.Format(time.RFC3339)}
	case "aws:username":
		if v, there := w.values[UserName]; there {
			return []string{v}
		}
	}
	return nil
}

func naiveHolds(operator string, values []string, want []any, r *Request) bool {
	var wants []string
	for _, w := range want {
		wants = append(wants, fmt.Sprint(w))
	}
	rest, any := strings.CutPrefix(operator, "ForAnyValue:")
	rest, all := strings.CutPrefix(rest, "ForAllValues:")
	rest, ifExists := strings.CutSuffix(rest, "IfExists")
	if rest == "Null" {
		return slices.Contains(wants, strconv.FormatBool(len(values) == 0))
	}
	positive := strings.Replace(rest, "Not", "", 1)
	negated := positive != rest
	one := func(value string) bool { // of the key's values against all of the policy's
		return slices.ContainsFunc(wants, func(want string) bool { return naiveFit(positive, value, want, r) }) != negated
	}
	switch {
	case len(values) == 0 && all, len(values) == 0 && ifExists:
		return true
	case len(values) == 0:
		return negated && !any
	case all, negated && !any:
		return !slices.ContainsFunc(values, func(v string) bool { return !one(v) })
	}
	return slices.ContainsFunc(values, one)
}

func naiveFit(operator, value, want string, r *Request) bool {
	switch operator {
	case "StringEquals":
		return regexp.MustCompile(naiveGlob(strings.NewReplacer("*", "${*}", "?", "${?}").Replace(want), r)).MatchString(value)
	case "StringEqualsIgnoreCase":
		return strings.EqualFold(value, want)
	case "StringLike":
		return regexp.MustCompile(naiveGlob(want, r)).MatchString(value)
	case "Bool":
		return value == want
	case "IpAddress":
		a, err := netip.ParseAddr(value)
		return err == nil && netip.MustParsePrefix(want).Contains(a)
	}
	var order int
	if rest, numeric := strings.CutPrefix(operator, "Numeric"); numeric {
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return false
		}
		w, _ := strconv.ParseFloat(want, 64)
		order, operator = int(v-w), rest
	} else {
		v, err := time.Parse(time.RFC3339, value)
		if n, numeric := strconv.Atoi(value); numeric == nil {
			v, err = time.Unix(int64(n), 0), nil
		}
		if err != nil {
			return false
		}
		w, err := time.Parse(time.RFC3339, want)
		if err != nil {
			panic(want)
		}
		order, operator = int(v.Sub(w)/time.Second), strings.TrimPrefix(operator, "Date")
	}
	switch operator {
	case "LessThan":
		return order < 0
	case "LessThanEquals":
		return order <= 0
	case "GreaterThan":
		return order > 0
	case "GreaterThanEquals":
		return order >= 0
	}
	return order == 0
}

// dice makes policies and requests that have something to do with each other.
type dice struct{ *rand.Rand }

func (d dice) one(of ...string) string { return of[d.IntN(len(of))] }

// some returns one of the words, or a list of a few.
func (d dice) some(of ...string) any {
	if d.IntN(2) == 0 {
		return d.one(of...)
	}
	var list []string
	for range 1 + d.IntN(3) {
		list = append(list, d.one(of...))
	}
	return list
}

func (d dice) statement() object {
	s := object{"Effect": d.one("Allow", "Allow", "Deny")}
	not := func() string { return d.one("", "", "", "Not") }
	s[not()+"Action"] = d.some("*", "execute-api:*", "execute-api:Invoke", "execute-api:Inv*", "execute-api:ManageConnections")
	s[not()+"Resource"] = d.some("*", "execute-api:/*", "execute-api:/prod/GET/a", "execute-api:/*/a*", "execute-api:/prod/?ET/*b",
		"arn:aws:execute-api:eu-*:*:api/prod/*", "execute-api:/prod/*/${aws:username}", "execute-api:/*/${aws:PrincipalTag/x, 'a'}*", "execute-api:/*/${*}", "execute-api:/*/a*b*a")
	if d.IntN(2) == 0 {
		s[not()+"Principal"] = "*"
	} else {
		s[not()+"Principal"] = object{"AWS": d.some("*", "123456789012", "111122223333", "arn:aws:iam::123456789012:user/a")}
	}
	if d.IntN(2) == 0 {
		conditions := object{}
		for range 1 + d.IntN(2) {
			operator, block := d.condition()
			conditions[operator] = block
		}
		s["Condition"] = conditions
	}
	return s
}

func (d dice) condition() (operator string, block object) {
	row := operatorRows[d.IntN(len(operatorRows))]
	operator = row.name
	key := d.one("aws:PrincipalTag/x", "aws:PrincipalTag/y", "aws:username", "aws:SourceIp", "aws:SourceVpc", "aws:CurrentTime")
	if operator == "Null" {
		return operator, object{key: d.one("true", "false")}
	}
	if strings.HasPrefix(operator, "Arn") {
		operator = "StringLike"
	}
	var want any
	switch {
	case strings.HasPrefix(operator, "String"):
		want = d.some("a", "b", "ab", "A", "red", "7", "true")
		if !strings.HasSuffix(operator, "IgnoreCase") {
			want = d.some("a", "b", "a*", "*", "?b", "${aws:username}", "${aws:PrincipalTag/x}", "${aws:PrincipalTag/y, 'b'}", "office", "lab", "2026*", "192.0.2.*")
		}
	case strings.HasPrefix(operator, "Numeric"):
		want = d.some("6", "7", "8")
	case strings.HasPrefix(operator, "Date"):
		want = d.some("2026-01-31T08:30:00Z", "2026-01-31T09:30:00+01:00", "2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
	case operator == "Bool":
		want = d.some("true", "false")
	default:
		want = d.some("192.0.2.0/24", "192.0.2.9/32", "10.0.0.0/8")
	}
	operator = d.one("", "", "ForAnyValue:", "ForAllValues:") + operator + d.one("", "", "IfExists")
	return operator, object{key: want}
}

func (d dice) request() *Request {
	w := world{values: map[KeyID]string{}, tags: map[string]string{}, now: time.Date(2026, 1, 31, 8, 30, 0, 0, time.UTC)}
	for _, tag := range []string{"x", "y"} {
		if d.IntN(3) > 0 {
			w.tags[tag] = d.one("a", "b", "ab", "A", "7", "true", "red", "192.0.2.9", "2026-01-31T08:30:00Z", "a*")
		}
	}
	w.from = d.one("", "192.0.2.9", "192.0.2.1", "10.1.2.3", "198.51.100.1")
	r := &Request{
		Action: Action(1 << d.IntN(3)), Region: "eu-north-1", Account: "123456789012",
		Resource: "api/" + d.one("prod", "test") + "/" + d.one("GET", "POST") + "/" + d.one("", "a", "b", "ab", "a/b", "aabab", "abba", "*"),
	}
	if user := d.one("", "a", "b"); user != "" {
		w.values[UserName] = user
		r.CallerAccount = d.one("123456789012", "111122223333")
		r.CallerARN = "arn:aws:iam::" + r.CallerAccount + ":user/" + user
	}
	r.Facts = w
	return r
}

// Any policy is judged as the naive evaluator judges it; the order of its statements
// makes no difference; and a Deny that fits always wins.
func TestLikeNaive(t *testing.T) {
	o := options()
	o.MaxSize = 0
	seen := map[Effect]int{}
	for seed := range uint64(1500) {
		d := dice{rand.New(rand.NewPCG(seed, 6))}
		policy := object{"Version": "2012-10-17"}
		var statements []object
		for range 1 + d.IntN(4) {
			statements = append(statements, d.statement())
		}
		policy["Statement"] = statements
		text, err := json.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(text, o)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		var decoded object
		if err := json.Unmarshal(text, &decoded); err != nil {
			t.Fatal(err)
		}
		shuffled := Policy{statements: slices.Clone(p.statements), networks: p.networks}
		d.Shuffle(len(shuffled.statements), func(i, j int) {
			shuffled.statements[i], shuffled.statements[j] = shuffled.statements[j], shuffled.statements[i]
		})
		for range 8 {
			r := d.request()
			got, which := p.Decide(r)
			seen[got]++
			if want := naive(decoded, r, o.Networks); got != want {
				t.Fatalf("seed %d: %s\n%+v\n got: %v\nwant: %v", seed, text, r, got, want)
			}
			if other, _ := shuffled.Decide(r); other != got {
				t.Fatalf("seed %d: %s\n%+v\n%v, and in another order %v", seed, text, r, got, other)
			}
			denies, allowed := false, false
			for i, reason := range p.Explain(r) {
				denies = denies || reason.Fits && reason.Effect == Deny
				allowed = allowed || reason.Fits && reason.Effect == Allow
				if i == which && !reason.Fits {
					t.Fatalf("seed %d: statement %d decides and doesn't fit", seed, which)
				}
			}
			if denies != (got == Deny) || !denies && allowed != (got == Allow) {
				t.Fatalf("seed %d: %v with denies %v, allows %v", seed, got, denies, allowed)
			}
		}
	}
	if seen[Allow] < 500 || seen[Deny] < 500 || seen[Neutral] < 500 {
		t.Errorf("the policies are too much alike: %v", seen)
	}
}

// FuzzParse holds that no document and no request breaks anything, and that what is
// wrong has a place in the text.
func FuzzParse(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:*","Resource":["execute-api:/*","arn:aws:execute-api:*"],"Condition":{"ForAnyValue:StringLikeIfExists":{"aws:SourceVpc":["a*?","${aws:username, 'x'}"]}}}]}`, "api/prod/GET/a")
	f.Add(`{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":["1","arn:aws:iam::123456789012:role/x"]},"NotAction":"*","NotResource":"*","Condition":{"IpAddress":{"aws:VpcSourceIp":"::/0"},"DateLessThan":{"aws:EpochTime":1}}}}`, "a")
	f.Fuzz(func(t *testing.T, text, resource string) {
		o := options()
		for _, o.Resource = range []bool{true, false} {
			p, err := Parse([]byte(text), o)
			if err != nil {
				for _, e := range err.(Errors) {
					lines := strings.Split(text, "\n")
					if e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.Column > len([]rune(lines[e.Line-1]))+1 || e.Width < 1 {
						t.Fatalf("%q: %+v has no place", text, e)
					}
				}
				continue
			}
			r := alice()
			r.Resource = string(AppendPath(nil, resource))
			effect, which := p.Decide(r)
			reasons := p.Explain(r)
			if effect == Neutral {
				for _, reason := range reasons {
					if reason.Fits {
						t.Fatalf("%q: neutral, and %s fits", text, reason.Statement)
					}
				}
				continue
			}
			if !reasons[which].Fits || reasons[which].Effect != effect {
				t.Fatalf("%q: %v by %+v", text, effect, reasons[which])
			}
		}
	})
}

// FuzzPattern compares matching with a regular expression.
func FuzzPattern(f *testing.F) {
	f.Add("a*b?c*", "aXbYc")
	f.Add("*?a*?", "öaö")
	f.Add("**a", "ba")
	f.Fuzz(func(t *testing.T, text, s string) {
		p, problem, _ := compilePattern(text, wildcards)
		if problem != "" {
			return
		}
		b := "^"
		for _, c := range []byte(text) {
			switch c {
			case '*':
				b += "(?s:.*)"
			case '?':
				b += "(?s:.)"
			default:
				b += fmt.Sprintf(`\x{%02x}`, c)
			}
		}
		for _, c := range text + s {
			if c >= 0x80 {
				return // what a regular expression takes for a character is another matter
			}
		}
		if want := regexp.MustCompile(b + "$").MatchString(s); p.matches(s, nil) != want {
			t.Fatalf("%q and %q: %v, want %v", text, s, !want, want)
		}
	})
}

package proxytest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// judge compares one message with what a script expects of it.
type judge struct {
	*message
	asserted map[string]int // how many fields of a name, in lower case, were compared
}

func newJudge(m *message) *judge { return &judge{m, map[string]int{}} }

// differs describes got and want for a failure.
func differs(what, got, want string) error {
	return fmt.Errorf("%s\n\t got: %s\n\twant: %s", what, got, want)
}

// header compares the next field of the wanted name.
func (j *judge) header(text string) error {
	want, err := readField(text)
	if err != nil {
		return err
	}
	key := strings.ToLower(want.name)
	got := named(j.fields, want.name)
	n := j.asserted[key]
	j.asserted[key]++
	if n >= len(got) {
		return differs("header", "no field", want.String())
	}
	if !matches(got[n], want) {
		return differs("header", got[n].String(), want.String())
	}
	return nil
}

// finish reports fields of asserted names that nobody asked for.
func (j *judge) finish() error {
	for name, n := range j.asserted {
		if got := named(j.fields, name); len(got) > n {
			return differs("header", fmt.Sprint(got), fmt.Sprintf("%d %s and no more", n, name))
		}
	}
	return nil
}

func named(fields []field, name string) []field {
	var all []field
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			all = append(all, f)
		}
	}
	return all
}

// matches compares a field with an expectation, the spelling of its name too.
func matches(got, want field) bool {
	if got.name != want.name {
		return false
	}
	if want.pattern != nil {
		return want.pattern.MatchString(got.value)
	}
	return got.value == want.value
}

func (j *judge) noHeader(names string) error {
	for _, name := range strings.Fields(names) {
		if got := named(j.fields, name); len(got) > 0 {
			return differs("header", fmt.Sprint(got), "no "+name)
		}
	}
	return nil
}

// headers compares all fields with the lines of block, in any order.
func (j *judge) headers(block string) error {
	left := append([]field(nil), j.fields...)
	var missing []string
	for row := range strings.SplitSeq(block, "\n") {
		if strings.TrimSpace(row) == "" {
			continue
		}
		want, err := readField(strings.TrimSpace(row))
		if err != nil {
			return err
		}
		found := -1
		for i := range left {
			if matches(left[i], want) {
				found = i
				break
			}
		}
		if found < 0 {
			missing = append(missing, want.String())
			continue
		}
		left = append(left[:found], left[found+1:]...)
	}
	if len(missing) > 0 || len(left) > 0 {
		return differs("headers", fmt.Sprintf("besides the wanted ones %q", left), fmt.Sprintf("also %q, and nothing else", missing))
	}
	return nil
}

func (j *judge) trailer(text string) error {
	want, err := readField(text)
	if err != nil {
		return err
	}
	for _, f := range j.trailers {
		if matches(f, want) {
			return nil
		}
	}
	return differs("trailer", fmt.Sprint(j.trailers), want.String())
}

func (j *judge) content(text string) error {
	if expr, found := strings.CutPrefix(text, "~ "); found {
		re, err := whole(expr)
		if err != nil {
			return err
		}
		if !re.Match(j.body) {
			return differs("body", strconv.Quote(string(j.body)), "~ "+expr)
		}
		return nil
	}
	if string(j.body) != text {
		return differs("body", strconv.Quote(string(j.body)), strconv.Quote(text))
	}
	return nil
}

// json compares the part of a JSON body that a path names.
func (j *judge) json(text string) error {
	var doc any
	if err := json.Unmarshal(j.body, &doc); err != nil {
		return fmt.Errorf("body is not JSON: %v: %q", err, j.body)
	}
	path, want, _ := strings.Cut(text, " ")
	if strings.HasPrefix(path, "$[") || strings.Contains(path, "['") {
		// A quoted member may hold spaces.
		if end := strings.LastIndex(text, "]"); end >= 0 && strings.Count(text[:end+1], "'")%2 == 0 {
			rest := strings.IndexByte(text[end:], ' ')
			if rest > 0 {
				path, want = text[:end+rest], text[end+rest+1:]
			}
		}
	}
	got, found, err := find(doc, path)
	if err != nil {
		return err
	}
	shown, err := json.Marshal(got)
	if err != nil {
		return err
	}
	what := "json " + path
	want = strings.TrimSpace(want)
	switch expr, pattern := strings.CutPrefix(want, "~ "); {
	case want == "absent":
		if found {
			return differs(what, string(shown), "absent")
		}
		return nil
	case !found:
		return differs(what, "absent", want)
	case pattern:
		re, err := whole(expr)
		if err != nil {
			return err
		}
		if s, ok := got.(string); !ok || !re.MatchString(s) {
			return differs(what, string(shown), want)
		}
		return nil
	}
	var wanted any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		return fmt.Errorf("%s: %q is neither JSON, absent nor ~ REGEXP", what, want)
	}
	if !reflect.DeepEqual(got, wanted) {
		return differs(what, string(shown), want)
	}
	return nil
}

// find returns the member of doc at path: $.a.b[0]['c d'].
func find(doc any, path string) (value any, found bool, err error) {
	step := regexp.MustCompile(`^(?:\.([^.\[]+)|\[(\d+)\]|\['([^']*)'\])`)
	rest, ok := strings.CutPrefix(path, "$")
	if !ok {
		return nil, false, fmt.Errorf("path %q must begin with $", path)
	}
	for rest != "" {
		m := step.FindStringSubmatch(rest)
		if m == nil {
			return nil, false, fmt.Errorf("path %q: don't understand %q", path, rest)
		}
		rest = rest[len(m[0]):]
		if m[2] != "" {
			list, ok := doc.([]any)
			n, err := strconv.Atoi(m[2])
			if !ok || err != nil || n >= len(list) {
				return nil, false, err
			}
			doc = list[n]
			continue
		}
		object, ok := doc.(map[string]any)
		if !ok {
			return nil, false, nil
		}
		if doc, ok = object[m[1]+m[3]]; !ok {
			return nil, false, nil
		}
	}
	return doc, true, nil
}

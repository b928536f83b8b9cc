package deployment

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy/config"
)

// Difference is one key that two documents don't have alike.
type Difference struct {
	Key    string `json:"key"`              // as TOML writes it
	Change string `json:"change"`           // "added", "removed" or "changed"
	Before any    `json:"before,omitempty"` // "***" for a secret
	After  any    `json:"after,omitempty"`
}

// What a Difference is.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// hidden stands for a secret.
const hidden = "***"

// Compare returns what is different in after, in the order of keys. A table that only
// one of the two has is one difference. Either may be nil: there is nothing.
func Compare(before, after *Document) []Difference {
	c := &comparison{secret: config.Secrets()}
	c.documents(before, after)
	return c.found
}

type comparison struct {
	api    string
	secret func(path []string) bool
	found  []Difference
}

func (c *comparison) documents(before, after *Document) {
	trees := [2]map[string]any{}
	for i, d := range []*Document{before, after} {
		if d == nil {
			continue
		}
		c.api = d.API
		trees[i], _ = plain(d.Definition).(map[string]any)
		plugins, _ := trees[i]["plugin"].(map[string]any)
		for name, digest := range d.Modules {
			if p, ok := plugins[name].(map[string]any); ok {
				p["module"] = fmt.Sprintf("%v (SHA-256 %s)", p["module"], digest)
			}
		}
	}
	c.tables(nil, trees[0], trees[1])
}

// plain returns v as it comes out of JSON, in memory of its own.
func plain(v any) any {
	text, err := json.Marshal(v)
	var back any
	if err != nil || json.Unmarshal(text, &back) != nil {
		return nil // a definition is made of what JSON has
	}
	return back
}

func (c *comparison) tables(path []string, before, after map[string]any) {
	keys := slices.Collect(maps.Keys(before))
	for key := range after {
		if _, both := before[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		was, there := before[key]
		is, here := after[key]
		at := append(slices.Clone(path), key)
		wasTable, isTable := asTable(was), asTable(is)
		switch {
		case len(at) == 1 && key != "api" && (there != here): // a whole table of names
			c.tables(at, wasTable, isTable)
		case wasTable != nil && isTable != nil:
			c.tables(at, wasTable, isTable)
		case reflect.DeepEqual(was, is):
		case !there:
			c.add(at, Added, nil, is)
		case !here:
			c.add(at, Removed, was, nil)
		default:
			c.add(at, Changed, was, is)
		}
	}
}

func asTable(v any) map[string]any {
	t, _ := v.(map[string]any)
	return t
}

func (c *comparison) add(path []string, change string, before, after any) {
	key := path
	if path[0] == "api" {
		key = slices.Concat([]string{"api", c.api}, path[1:])
	}
	d := Difference{Key: config.KeyPath(key...), Change: change}
	if change != Added {
		d.Before = shown(c.secret, path, before)
	}
	if change != Removed {
		d.After = shown(c.secret, path, after)
	}
	c.found = append(c.found, d)
}

// Masked returns the document without secrets, to be shown.
func (d *Document) Masked() *Document {
	tree, _ := shown(config.Secrets(), nil, plain(d.Definition)).(map[string]any)
	return &Document{d.Format, d.API, tree, d.Modules}
}

// shown returns v without secrets.
func shown(secret func(path []string) bool, path []string, v any) any {
	if secret(path) {
		return hidden
	}
	if t := asTable(v); t != nil {
		copied := make(map[string]any, len(t))
		for key := range t {
			copied[key] = shown(secret, append(slices.Clone(path), key), t[key])
		}
		return copied
	}
	return v
}

// Text returns differences for people: a line for each key, and of long texts the lines
// that differ. No difference is "".
func Text(all []Difference) string {
	var b strings.Builder
	for _, d := range all {
		switch was, is := asText(d.Before), asText(d.After); {
		case d.Change == Added:
			fmt.Fprintf(&b, "+ %s%s\n", d.Key, indented(is))
		case d.Change == Removed:
			fmt.Fprintf(&b, "- %s%s\n", d.Key, indented(was))
		case strings.Contains(was+is, "\n"):
			fmt.Fprintf(&b, "~ %s\n", d.Key)
			for _, line := range lineDiff(was, is) {
				fmt.Fprintf(&b, "    %s\n", line)
			}
		default:
			fmt.Fprintf(&b, "~ %s = %s → %s\n", d.Key, was, is)
		}
	}
	return b.String()
}

// asText returns a value in one line, but for texts of several.
func asText(v any) string {
	if s, ok := v.(string); ok && strings.Contains(s, "\n") {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func indented(text string) string {
	if !strings.Contains(text, "\n") {
		return " = " + text
	}
	return "\n    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ")
}

// mostLines is from how many lines on, of both texts together, nobody looks for those
// that stayed: it takes the product of their numbers.
const mostLines = 4000

// lineDiff returns the lines of two texts that differ, "- " before those that went and
// "+ " before those that came, with the line before and after for orientation.
func lineDiff(before, after string) []string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	var all []string
	if len(a)+len(b) > mostLines {
		return append(all, fmt.Sprintf("(%d lines, then %d)", len(a), len(b)))
	}
	// longest[i][j] is how many lines a[i:] and b[j:] have in common, in order.
	longest := make([][]int, len(a)+1)
	for i := range longest {
		longest[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			if a[i] == b[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			}
		}
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			all = append(all, "  "+a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && longest[i+1][j] >= longest[i][j+1]:
			all = append(all, "- "+a[i])
			i++
		default:
			all = append(all, "+ "+b[j])
			j++
		}
	}
	return nearChanges(all)
}

// nearChanges leaves out lines that stayed and stand beside none that didn't.
func nearChanges(lines []string) []string {
	var kept []string
	stayed := func(i int) bool { return i < 0 || i >= len(lines) || strings.HasPrefix(lines[i], "  ") }
	for i := range lines {
		if !stayed(i) || !stayed(i-1) || !stayed(i+1) {
			kept = append(kept, lines[i])
		}
	}
	return kept
}

package workbench

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
)

// Update has the cases of one file, all of them, want what came of them: where
// outcomes, one for each, has an outcome without a failure. It returns the files
// that it wrote. A template that fails never becomes what is wanted.
func Update(cases []Case, outcomes []*Outcome) (written []string, err error) {
	if len(cases) == 0 {
		return nil, nil
	}
	f := cases[0].file
	var text []byte
	end := 0
	for i := range cases {
		c, o := &cases[i], outcomes[i]
		if o == nil || o.Failure != nil || len(c.Check(o)) == 0 {
			continue
		}
		if c.golden != "" && (c.Want.Output == nil || *c.Want.Output != o.Output) {
			if err := os.WriteFile(c.golden, []byte(o.Output), 0o644); err != nil {
				return written, err
			}
			written = append(written, c.golden)
		}
		if now := c.rewritten(o); !bytes.Equal(now, f.text[c.from:c.to]) {
			text = append(append(text, f.text[end:c.from]...), now...)
			end = c.to
		}
	}
	if end == 0 {
		return written, nil
	}
	text = append(text, f.text[end:]...)
	if err := os.WriteFile(f.name, text, 0o644); err != nil {
		return written, err
	}
	return append(written, f.name), nil
}

// rewritten is the text of c where it wants what o has.
func (c *Case) rewritten(o *Outcome) []byte {
	members := slices.DeleteFunc(slices.Clone(c.members), func(m member) bool { return m.key == "error" })
	put := func(key string, value json.RawMessage) {
		for i := range members {
			if members[i].key == key {
				members[i].value = value
				return
			}
		}
		members = append(members, member{key: key, value: value})
	}
	if c.golden == "" {
		put("output", quoted(o.Output))
	}
	switch {
	case sameJSON(c.Want.Overrides, o.Overrides):
	case o.Overrides == nil:
		members = slices.DeleteFunc(members, func(m member) bool { return m.key == "overrides" })
	default:
		put("overrides", o.Overrides)
	}
	if slices.EqualFunc(members, c.members, func(a, b member) bool { return a.key == b.key && bytes.Equal(a.value, b.value) }) {
		return c.file.text[c.from:c.to]
	}
	open, between, end := "{", ", ", "}"
	if !strings.HasSuffix(c.File, LinesSuffix) {
		open, between, end = "{\n  ", ",\n  ", "\n}\n"
	}
	b := []byte(open)
	for i, m := range members {
		if i > 0 {
			b = append(b, between...)
		}
		b = append(append(append(b, quoted(m.key)...), ": "...), m.value...)
	}
	return append(b, end...)
}

// quoted is text as JSON that people can read.
func quoted(text string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		panic(err) // a string always encodes
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}

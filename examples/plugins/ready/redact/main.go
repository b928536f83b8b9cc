//go:build wasip1

// Command redact takes out of JSON responses what clients mustn't see.
//
//	config = { rules = [{ path = "$..password" }, { path = "$.card.number", action = "mask", keep = 4 }] }
package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	r := new(redactor)
	postern.Configure(r.configure)
	postern.FilterRequests(r.request)
	postern.FilterResponses(r.response)
	postern.MapResponses(r.response)
}

func main() {} // the gateway calls the methods; this never runs

type redactor struct {
	rules        []rule
	refuseOthers bool // content that isn't JSON
}

// rule is what happens to the values at a path.
type rule struct {
	steps []step
	mask  bool // else they are removed
	keep  int  // characters at the end that a mask leaves
}

// step is one part of a path.
type step struct {
	text string // as package document knows it: ".name", "['name']", "[0]"; "" for all
	deep bool   // at any depth from here on
}

func (r *redactor) configure(config []byte) error {
	document, err := postern.ParseJSON(config)
	if err != nil {
		return err
	}
	r.refuseOthers = document.Get("$.others") == "refuse"
	for i := range document.Count("$.rules") {
		at := "$.rules[" + strconv.Itoa(i) + "]"
		path := document.Get(at + ".path")
		steps, err := parsePath(path)
		if err != nil {
			return fmt.Errorf("rules[%d]: path %q: %w", i, path, err)
		}
		keep, _ := strconv.Atoi(document.Get(at + ".keep"))
		r.rules = append(r.rules, rule{steps, document.Get(at+".action") == "mask", keep})
	}
	if len(r.rules) == 0 {
		return errors.New(`config needs rules = [{ path = "$..password" }]`)
	}
	return nil
}

// parsePath reads $, .name, ['name'], [0], .*, [*] and ..name.
func parsePath(path string) ([]step, error) {
	rest, found := strings.CutPrefix(path, "$")
	if !found || rest == "" {
		return nil, errors.New(`it begins with "$" and names something, as "$.card.number"`)
	}
	var steps []step
	for rest != "" {
		var s step
		if after, found := strings.CutPrefix(rest, ".."); found {
			s.deep, rest = true, after
			if !strings.HasPrefix(rest, "[") {
				rest = "." + rest
			}
		}
		size := stepSize(rest)
		if size == 0 {
			return nil, fmt.Errorf("what is %q? There are .name, ['name'], [0], .*, [*], ..name", rest)
		}
		if s.text, rest = rest[:size], rest[size:]; s.text == ".*" || s.text == "[*]" {
			s.text = ""
		}
		if s.deep && s.text == "" {
			return nil, errors.New(`"..*" would leave nothing`)
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// stepSize returns the length of the first step of a path, 0 when it has none.
func stepSize(path string) int {
	switch {
	case strings.HasPrefix(path, "['"):
		for i := 2; i < len(path); i++ {
			switch {
			case path[i] == '\\':
				i++
			case path[i] == '\'' && strings.HasPrefix(path[i:], "']") && i > 2:
				return i + 2
			}
		}
	case strings.HasPrefix(path, "["):
		inside, _, found := strings.Cut(path[1:], "]")
		if _, err := strconv.ParseUint(inside, 10, 31); found && (err == nil || inside == "*") {
			return len(inside) + 2
		}
	case strings.HasPrefix(path, "."):
		name := path[1:]
		if end := strings.IndexAny(name, ".["); end >= 0 {
			name = name[:end]
		}
		if name == "*" || name != "" && !strings.ContainsAny(name, "*'\"]()?@, ") {
			return len(name) + 1
		}
	}
	return 0
}

// request has the backend send its content whole and as it is: what is
// compressed, or a part of something, can't be looked into.
func (r *redactor) request(q *postern.Request, _ *postern.Response) postern.Verdict {
	for _, name := range [...]string{"accept-encoding", "range", "if-range"} {
		q.DelHeader(name)
	}
	return postern.Continue
}

func (r *redactor) response(_ *postern.Request, to *postern.Response) {
	if to.Body().Len() == 0 {
		return
	}
	if !isJSON(to.Headers().Get("content-type")) {
		if r.refuseOthers && to.Fault() == "" {
			refuse(to, "the content isn't JSON")
		}
		return
	}
	document, err := postern.OpenJSON(to.Body())
	if err != nil {
		refuse(to, "the content can't be read as JSON: "+err.Error())
		return
	}
	w := walk{document: document}
	for i := range r.rules {
		w.rule = &r.rules[i]
		w.at("$", w.rule.steps)
	}
	// What the gateway doesn't compute any more looks as if it weren't there.
	if w.err == nil && document.Kind("$") == 0 {
		w.err = postern.Limit
	}
	if w.err == nil && w.changed {
		w.err = document.WriteTo(to.Body())
	}
	if w.err != nil {
		refuse(to, "the content couldn't be redacted: "+w.err.Error())
		return
	}
	if w.changed {
		for _, name := range [...]string{"content-md5", "content-digest", "digest", "repr-digest", "etag"} {
			to.Headers().Del(name)
		}
	}
}

func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}

// refuse sends nothing of what can't be redacted.
func refuse(to *postern.Response, why string) {
	postern.Log(postern.Error, why)
	to.SetStatus(502)
	to.Headers().Del("content-encoding")
	to.Headers().Del("etag")
	to.Headers().Set("content-type", "application/json")
	to.Body().Reset()
	if !to.Body().WriteString(`{"message":"Bad Gateway"}`) {
		postern.Fail(1, why)
	}
}

// walk is one rule's way through a document.
type walk struct {
	document postern.Document
	rule     *rule
	changed  bool
	err      error
}

// at applies the rule to what steps lead to from path.
func (w *walk) at(path string, steps []step) {
	if w.err != nil {
		return
	}
	if len(steps) == 0 {
		w.apply(path)
		return
	}
	s, rest := steps[0], steps[1:]
	if s.text != "" {
		if next := path + s.text; w.document.Kind(next) != 0 {
			w.at(next, rest)
		}
	}
	if s.text == "" || s.deep {
		below := rest
		if s.deep {
			below = steps
		}
		w.children(path, below)
	}
}

// children goes on with every element or member of what is at path, the last one
// first: what is removed doesn't move those that come.
func (w *walk) children(path string, steps []step) {
	switch w.document.Kind(path) {
	case postern.Array:
		for i := w.document.Count(path) - 1; i >= 0; i-- {
			w.at(path+"["+strconv.Itoa(i)+"]", steps)
		}
	case postern.Object:
		for i := w.document.Count(path) - 1; i >= 0; i-- {
			name := w.document.Name(path, i)
			if strings.ContainsAny(name, `\'`) {
				name = strings.ReplaceAll(strings.ReplaceAll(name, `\`, `\\`), `'`, `\'`)
			}
			w.at(path+"['"+name+"']", steps)
		}
	}
}

func (w *walk) apply(path string) {
	w.changed = true
	if !w.rule.mask {
		w.err = w.document.Delete(path)
		return
	}
	masked := w.masked(path)
	// Members of one name go together; elements have to keep their places.
	if !strings.HasSuffix(path, "]") || strings.HasSuffix(path, "']") {
		if w.err = w.document.Delete(path); w.err != nil {
			return
		}
	}
	w.err = w.document.SetText(path, masked)
}

// masked is what stands for a value: its last characters, if the rule keeps some
// and at least as many are hidden.
func (w *walk) masked(path string) string {
	const stars = "***"
	kind := w.document.Kind(path)
	if w.rule.keep == 0 || kind != postern.String && kind != postern.Number {
		return stars
	}
	text := w.document.Get(path)
	if utf8.RuneCountInString(text) < 2*w.rule.keep {
		return stars
	}
	end := len(text)
	for range w.rule.keep {
		_, size := utf8.DecodeLastRuneInString(text[:end])
		end -= size
	}
	return stars + text[end:]
}

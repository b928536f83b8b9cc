// Package explain keeps what became of one request, phase by phase: the values
// before and after, what decided, and how long it took. A trace is written while an
// exchange runs, by those who decide; it is bounded, and credentials are masked.
package explain

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/mask"
)

// How much a trace holds, in bytes: one value, the content of one message, and all.
const (
	maxValue   = 2 << 10
	maxContent = 8 << 10
	maxTrace   = 256 << 10
)

// Trace is what became of one request. One goroutine writes it; once it is finished
// it doesn't change any more. Methods of a nil *Trace must not be called: whoever
// writes asks first whether there is one.
type Trace struct {
	ID        string        `json:"id"` // the request's
	Time      time.Time     `json:"time"`
	API       string        `json:"api,omitempty"`
	Stage     string        `json:"stage,omitempty"`
	Route     string        `json:"route,omitempty"`  // "GET /pets/{id}"
	Path      string        `json:"path,omitempty"`   // in the API, without the stage
	Scheme    string        `json:"scheme,omitempty"` // of the backend's URL: "http"
	Request   Message       `json:"request"`
	Variables []Value       `json:"stage_variables,omitempty"`
	Params    []Value       `json:"path_parameters,omitempty"`
	Phases    []Phase       `json:"phases"`
	Fault     *Fault        `json:"fault,omitempty"`
	Reply     Message       `json:"reply"`
	Took      time.Duration `json:"took_ns"`
	Truncated bool          `json:"truncated,omitempty"` // there was more than a trace holds

	room    int
	secrets []secret
	step    *Step // that runs, for Note
}

// Message is a request or an answer.
type Message struct {
	Method  string  `json:"method,omitempty"` // of a request
	Target  string  `json:"target,omitempty"`
	Host    string  `json:"host,omitempty"`
	Status  int     `json:"status,omitempty"` // of an answer
	Fields  []Value `json:"headers,omitempty"`
	Content *Text   `json:"content,omitempty"` // nil for none
}

// Text is content, cut where it is too long.
type Text struct {
	Text   string `json:"text"` // "" if it isn't text
	Length int64  `json:"length"`
	// Streamed content is shown as far as somebody has read it.
	Streamed bool `json:"streamed,omitempty"`
}

// Value is a named value, or a decision: what was decided about, what came of it, and
// why, or where the value is from.
type Value struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from,omitempty"`
}

// Phase is one of the phases that the request came to.
type Phase struct {
	Name    string        `json:"phase"`
	Took    time.Duration `json:"took_ns"`
	Steps   []*Step       `json:"steps"`
	Message *Message      `json:"result,omitempty"` // what the phase has made; nil for nothing
}

// Step is what one step of a phase did.
type Step struct {
	Name    string        `json:"step"`
	Took    time.Duration `json:"took_ns"`
	Outcome string        `json:"outcome"` // "continue", "answered", or why it failed
	Notes   []Value       `json:"notes,omitempty"`
}

// Fault is why the request failed.
type Fault struct {
	Kind    string `json:"type"` // of gateway response
	Status  int    `json:"status"`
	Message string `json:"message,omitempty"` // for the client
	Cause   string `json:"cause,omitempty"`   // for the operator
}

// New returns an empty trace.
func New(id string, now time.Time) *Trace {
	return &Trace{ID: strings.Clone(id), Time: now, Phases: []Phase{}, room: maxTrace}
}

// Begin opens a step of a phase; Note writes to it until End.
func (t *Trace) Begin(phase, step string) {
	if n := len(t.Phases); n == 0 || t.Phases[n-1].Name != phase {
		t.Phases = append(t.Phases, Phase{Name: phase, Steps: []*Step{}})
	}
	t.step = &Step{Name: step}
	p := &t.Phases[len(t.Phases)-1]
	p.Steps = append(p.Steps, t.step)
}

// End closes the step that Begin opened.
func (t *Trace) End(took time.Duration, outcome string) {
	p := &t.Phases[len(t.Phases)-1]
	t.step.Took, t.step.Outcome = took, t.text(outcome)
	p.Took += took
	t.step = nil
}

// Result sets what the phase that ran last has made, and returns it as it is kept.
func (t *Trace) Result(m Message) *Message {
	t.Phases[len(t.Phases)-1].Message = &m
	return &m
}

// Note adds a value or a decision to the step that runs. A name or a source that is a
// credential's has the value masked.
func (t *Trace) Note(name, value, from string) {
	if t.step == nil || !t.fits(len(name)+len(value)+len(from)) {
		return
	}
	of := name
	if !strings.Contains(from, " ") { // an expression, not a sentence
		of += " " + from
	}
	t.step.Notes = append(t.step.Notes, Value{t.text(name), t.value(of, value), t.text(from)})
}

// Remark is Note for what is no value but our own words about one, whatever its name.
func (t *Trace) Remark(name, text, from string) {
	if t.step != nil && t.fits(len(name)+len(text)+len(from)) {
		t.step.Notes = append(t.step.Notes, Value{t.text(name), t.text(text), t.text(from)})
	}
}

// fits takes n bytes, and what a value costs besides, of what the trace holds.
func (t *Trace) fits(n int) bool {
	t.room -= min(n, maxValue) + 32
	if t.room < 0 {
		t.Truncated = true
	}
	return t.room >= 0
}

// Fail notes why the request failed.
func (t *Trace) Fail(kind string, status int, message, cause string) {
	t.Fault = &Fault{kind, status, t.text(message), t.text(cause)}
}

// Arrive notes where a request has come: to the API and its stage, and the path in it.
func (t *Trace) Arrive(api, stage, path string) { t.API, t.Stage, t.Path = api, stage, t.text(path) }

// Values copies fields, masked.
func (t *Trace) Values(fields http1.Fields) []Value {
	var all []Value
	for i := range fields {
		f := &fields[i]
		if !t.fits(len(f.Name) + len(f.Value)) {
			break
		}
		all = append(all, Value{Name: t.text(f.Name), Value: t.value(f.Name, f.Value)})
	}
	return all
}

// Pair returns a masked copy of a named value.
func (t *Trace) Pair(name, value string) Value {
	return Value{Name: t.text(name), Value: t.value(name, value)}
}

// Target returns a request's target, with masked parameters.
func (t *Trace) Target(path, query string) string {
	if query == "" {
		return t.text(path)
	}
	return t.text(path) + "?" + t.Form(query)
}

// Form returns parameters as a query has them, masked.
func (t *Trace) Form(text string) string {
	pairs := strings.Split(text, "&")
	for i, pair := range pairs {
		if name, value, found := strings.Cut(pair, "="); found {
			pairs[i] = name + "=" + t.value(name, value)
		}
	}
	return t.text(strings.Join(pairs, "&"))
}

// Body returns content as a trace shows it, nil for none.
func (t *Trace) Body(content []byte, contentType string) *Text {
	if len(content) == 0 {
		return nil
	}
	return &Text{Text: t.content(content, contentType), Length: int64(len(content))}
}

// content masks and cuts content.
func (t *Trace) content(content []byte, contentType string) string {
	cut := content
	if len(cut) > maxContent {
		cut = mask.Whole(cut[:maxContent])
	}
	if !utf8.Valid(cut) || strings.ContainsRune(string(cut), 0) {
		return ""
	}
	if t.room -= len(cut); t.room < 0 {
		t.Truncated = true
		return ""
	}
	text := string(cut)
	if mask.IsForm(contentType) {
		return t.Form(text)
	}
	return t.hide(mask.JSON(text))
}

// text is a copy of s without the secrets that are known, cut and printable.
func (t *Trace) text(s string) string {
	cut := len(s) > maxValue
	if cut {
		s = string(mask.Whole([]byte(s[:maxValue])))
	}
	s = t.hide(strings.ToValidUTF8(strings.Clone(s), "�"))
	if cut {
		s += "…"
	}
	return s
}

// value is text for a value of this name. What is masked by its name is masked
// wherever it comes up again.
func (t *Trace) value(name, value string) string {
	if !mask.Confidential(name) {
		return t.text(value)
	}
	shown := strings.ToValidUTF8(mask.Value(name, value), "�")
	t.hideFromNow(value, shown)
	if scheme, secret := mask.Parts(name, value); scheme != "" { // "Bearer …"
		t.hideFromNow(secret, shown[len(scheme)+1:])
	}
	return shown
}

// minSecret is the length of the shortest text that is looked for everywhere.
const minSecret = 4

// maxSecrets is how many texts are looked for.
const maxSecrets = 16

// secret is a text that is shown otherwise.
type secret struct{ text, shown string }

func (t *Trace) hideFromNow(text, shown string) {
	if len(text) >= minSecret && len(t.secrets) < maxSecrets {
		t.secrets = append(t.secrets, secret{strings.Clone(text), shown})
	}
}

func (t *Trace) hide(s string) string {
	for _, one := range t.secrets {
		s = strings.ReplaceAll(s, one.text, one.shown)
	}
	return s
}

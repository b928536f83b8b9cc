// Package workbench tries mapping templates without a gateway: it renders one
// with what a request would give it, explains each reference, runs cases with
// wanted outputs, counts what they cover, and has templates to start from.
//
// A Template may be used by one goroutine at a time; nothing here is meant for
// the request path.
package workbench

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode"

	"github.com/postern-gateway/postern/builtins/internal/vtl"
)

// The profiles of the engine.
const (
	GatewayProfile  = "gateway"  // as AWS API Gateway renders; the default
	VelocityProfile = "velocity" // as Velocity 1.7 does by itself
)

// Profiles returns the names of the profiles, the default first.
func Profiles() []string { return []string{GatewayProfile, VelocityProfile} }

// options are those of a profile; "" is the default.
func options(profile string) vtl.Options {
	if profile == VelocityProfile {
		return vtl.Velocity()
	}
	return vtl.Gateway()
}

// Template is a template that can be rendered.
type Template struct {
	file     *file
	profile  string
	parsed   *vtl.Template
	coverage *vtl.Coverage
}

// Parse reads a template; name is for messages. The error is a *Mistake.
func Parse(name, text, profile string) (*Template, error) {
	f := &file{name, []byte(text)}
	parsed, err := vtl.Parse(name, text, options(profile))
	if err != nil {
		m := f.fault(err)
		m.Doubts = f.doubts(profile)
		return nil, m
	}
	return &Template{f, profile, parsed, vtl.NewCoverage(parsed)}, nil
}

// Outcome is what came of a template.
type Outcome struct {
	Output     string          `json:"output"`
	Overrides  json.RawMessage `json:"overrides,omitempty"`  // what the template set below $context; nil for nothing
	Warnings   []string        `json:"warnings,omitempty"`   // each of one or more lines
	References []Reference     `json:"references,omitempty"` // of Explain
	Failed     string          `json:"failed,omitempty"`     // ParseError or EvalError
	Failure    *Mistake        `json:"failure,omitempty"`
}

// Render renders the template once. What it covers is added to what earlier
// renders did.
func (t *Template) Render(in *Input) *Outcome { return t.render(in, nil) }

// Explain renders the template and says what each reference was.
func (t *Template) Explain(in *Input) *Outcome {
	e := newExplanation(t.file, in)
	o := t.render(in, e.note)
	o.References = e.all()
	return o
}

func (t *Template) render(in *Input, explain func(vtl.Reference)) *Outcome {
	env := in.environment()
	if in.After != nil {
		if failed := in.After.render(in, t.profile, env.Overrides); failed != nil {
			return failed
		}
	}
	env.Explain, env.Coverage = explain, t.coverage
	output, err := t.parsed.Render(nil, env)
	if err != nil {
		return &Outcome{Failed: EvalError, Failure: t.file.fault(err)}
	}
	o := &Outcome{Output: string(output), Warnings: t.file.doubts(t.profile)}
	var request bool
	if o.Overrides, request, err = overrides(env.Overrides); err != nil {
		return &Outcome{Failed: EvalError, Failure: t.file.mistake(0, 1, "", "what it sets below $context: %v", err)}
	}
	if request && in.After == nil && in.Side == ResponseSide {
		o.Warnings = append(o.Warnings, t.file.name+": warning: $context.requestOverride changes nothing in a response template: the request is sent already")
	}
	if twice := env.Overrides.Repeated(); twice != "" {
		o.Warnings = append(o.Warnings, t.file.name+": warning: $context."+twice+" is set twice: the gateway answers 500, as AWS does")
	}
	if doubt := in.doubt(); doubt != nil {
		o.Warnings = append(o.Warnings, doubt.Error())
	}
	return o
}

// render renders the request template for what it sets; the outcome is nil unless
// that fails.
func (a *After) render(in *Input, profile string, set *vtl.Overrides) *Outcome {
	t, err := Parse(a.Name, a.Template, profile)
	if err != nil {
		return failedParse(err)
	}
	env := in.environment()
	env.Body, env.Overrides = vtl.NewBody(a.Body), set
	if _, err := t.parsed.Render(nil, env); err != nil {
		return &Outcome{Failed: EvalError, Failure: t.file.fault(err)}
	}
	return nil
}

// failedParse is what came of a template that Parse returned err for.
func failedParse(err error) *Outcome {
	o := &Outcome{Failed: ParseError}
	if !errors.As(err, &o.Failure) {
		panic(err) // Parse has no others
	}
	return o
}

// fault is the mistake for an error of the engine, which says where in the
// template it is.
func (f *file) fault(err error) *Mistake {
	var e *vtl.Error
	if !errors.As(err, &e) {
		return f.mistake(0, 1, "", "%v", err)
	}
	at := f.offset(e.Line, e.Column)
	return f.mistake(at, f.width(at), e.Hint, "%s", e.Text)
}

// offset is where a line and column, both from 1 and the latter in characters,
// are in the text.
func (f *file) offset(line, column int) int {
	at := 0
	for range line - 1 {
		i := bytes.IndexByte(f.text[at:], '\n')
		if i < 0 {
			return len(f.text)
		}
		at += i + 1
	}
	for range column - 1 {
		if at >= len(f.text) || f.text[at] == '\n' {
			break
		}
		at++
		for at < len(f.text) && f.text[at]&0xc0 == 0x80 {
			at++
		}
	}
	return at
}

// width is how many characters from offset on belong to the directive or the
// reference that begins there, 1 if none does.
func (f *file) width(offset int) int {
	n := 0
	for _, r := range string(f.text[offset:]) {
		switch {
		case r == '$' || r == '#':
			if n > 0 {
				return n
			}
		case n == 0 && !unicode.IsLetter(r), n > 1 && !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_',
			n == 1 && !unicode.IsLetter(r) && r != '!' && r != '{':
			return max(n, 1)
		}
		n++
	}
	return max(n, 1)
}

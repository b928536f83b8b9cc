package mapping

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/builtins/internal/vtl"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// Media types that are more than one.
const (
	defaultMediaType = "application/json" // of content that doesn't say
	anyMediaType     = "$default"         // of the template for all others
)

// maxTemplate is how long a template may be, in bytes. AWS: "Amazon API Gateway
// quotas": 300 KB.
const maxTemplate = 300 << 10

// Template is one compiled mapping template.
type Template struct {
	// Type is the Content-Type of what it makes.
	Type http1.Field
	// Literal is all of the text, if it has nothing to fill in; else it is nil.
	Literal []byte
	// Plugin stands for the template; nil for none. It runs when the message is
	// complete but for this, and changes it in place.
	Plugin proxy.Step
	// Made is the Content-Type of a request that the template makes, if it isn't the
	// client's.
	Made http1.Field

	mediaType string // lower case
	parsed    *vtl.Template
	xml       *xmlConversion // stands for the template
}

// Templates are the templates of one message: application/json first, the one
// for all others last, and the rest by name. Nil has none.
type Templates []Template

// CompileTemplates compiles templates; at is where they stand in the integration's table. What is
// wrong with them is given to report.
func CompileTemplates(all map[string]config.Template, side Side, b proxy.Build, report func(*config.KeyError), at ...string) Templates {
	var templates Templates
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		path := append(slices.Clone(at), name)
		fail := func(err *config.KeyError) {
			err.Path = append(slices.Clone(path), err.Path...)
			report(err)
		}
		mediaType := strings.ToLower(name)
		switch {
		case mediaType == anyMediaType && side == Response:
			fail(wrong(`"$default" is for request templates`, "for a response, application/json is what clients get that accept nothing of what there is"))
		case mediaType != anyMediaType && !goodMediaType(mediaType):
			fail(wrong(fmt.Sprintf("%q isn't a media type", name), `as in "application/json", without parameters`))
		}
		if slices.ContainsFunc(templates, func(t Template) bool { return t.mediaType == mediaType }) {
			fail(wrong(fmt.Sprintf("%s is there twice: case makes no difference", name), ""))
		}
		t := Template{mediaType: mediaType, Type: http1.NewField("Content-Type", name)}
		if mediaType == anyMediaType {
			t.Type.Value = defaultMediaType
		}
		t.compile(all[name], side, b, strings.Join(path, "."), fail)
		templates = append(templates, t)
	}
	slices.SortStableFunc(templates, func(x, y Template) int { return x.rank() - y.rank() })
	return templates
}

func (t *Template) rank() int {
	switch t.mediaType {
	case defaultMediaType:
		return -1
	case anyMediaType:
		return 1
	}
	return 0
}

func goodMediaType(s string) bool {
	kind, subtype, found := strings.Cut(s, "/")
	return found && http1.ValidFieldName(kind) && http1.ValidFieldName(subtype)
}

// compile fills t; name is for messages about the template's own text.
func (t *Template) compile(c config.Template, side Side, b proxy.Build, name string, fail func(*config.KeyError)) {
	set := 0
	for _, value := range []string{c.Text, c.File, c.Plugin} {
		if value != "" {
			set++
		}
	}
	if c.XML != nil {
		set++
	}
	if set > 1 {
		fail(wrong("a template is one of text, file, plugin and xml", "remove the others"))
		return
	}
	text := c.Text
	switch {
	case c.XML != nil:
		t.compileXML(c.XML, side, b, fail)
		return
	case c.Plugin != "":
		t.Plugin = plugin(c.Plugin, side, b, fail)
		return
	case c.File != "":
		content, err := os.ReadFile(c.File)
		if err != nil {
			fail(&config.KeyError{Path: []string{"file"}, Text: "read the template: " + err.Error()})
			return
		}
		text, name = string(content), c.File
	}
	if len(text) > maxTemplate {
		fail(wrong(fmt.Sprintf("the template has %d bytes; at most %d are allowed", len(text), maxTemplate), ""))
		return
	}
	parsed, err := vtl.Parse(name, text, vtl.Gateway())
	if err != nil {
		fail(syntax(err, c.File))
		return
	}
	if !hasReference(text) {
		t.Literal = []byte(text)
		return
	}
	t.parsed = parsed
}

// syntax makes an error of a template one of the configuration, with its place:
// in the file, or in the text that stands in the configuration.
func syntax(err error, file string) *config.KeyError {
	var e *vtl.Error
	if !errors.As(err, &e) {
		return wrong(err.Error(), "")
	}
	if file == "" {
		return wrong(fmt.Sprintf("line %d, column %d of the template: %s", e.Line, e.Column, e.Text), e.Hint)
	}
	return wrong(fmt.Sprintf("%s:%d:%d: %s", file, e.Line, e.Column, e.Text), e.Hint)
}

// plugin returns the step of a plugin that stands for a template.
func plugin(name string, side Side, b proxy.Build, fail func(*config.KeyError)) proxy.Step {
	role, phase := proxy.RequestMapperKind, proxy.IntegrationRequest
	if side == Response {
		role, phase = proxy.ResponseMapperKind, proxy.IntegrationResponse
	}
	if b.Plugin == nil {
		fail(&config.KeyError{Path: []string{"plugin"}, Text: "plugins can't be used here"})
		return nil
	}
	steps, err := b.Plugin(role, name)
	if err != nil {
		var key *config.KeyError
		if !errors.As(err, &key) {
			key = wrong(err.Error(), "")
		}
		fail(&config.KeyError{Path: []string{"plugin"}, Text: key.Text, Hint: key.Hint})
		return nil
	}
	return steps[phase]
}

// ForRequest returns the template for content of a type, nil if none fits. AWS:
// content that doesn't say is application/json.
func (all Templates) ForRequest(contentType string) *Template {
	mediaType := proxy.FirstMediaType(contentType)
	if mediaType == "" {
		mediaType = defaultMediaType
	}
	for i := range all {
		t := &all[i]
		if t.mediaType == anyMediaType || strings.EqualFold(t.mediaType, mediaType) {
			return t
		}
	}
	return nil
}

// ForResponse returns the template for a client that accepts accept, nil if there
// are none at all. AWS: the first media type of Accept decides; where it has no
// template, application/json has, or whatever there is.
func (all Templates) ForResponse(accept string) *Template {
	if len(all) == 0 {
		return nil
	}
	first := proxy.FirstMediaType(accept)
	for i := range all {
		if strings.EqualFold(all[i].mediaType, first) {
			return &all[i]
		}
	}
	return &all[0]
}

// Dynamic reports whether one of the templates is more than literal text.
func (all Templates) Dynamic() bool {
	return slices.ContainsFunc(all, func(t Template) bool { return t.Literal == nil })
}

// Render returns what the template, which isn't a plugin, makes of content. The
// result is valid as long as the exchange and mustn't be changed.
func (t *Template) Render(m *Memory, content []byte) ([]byte, error) {
	switch {
	case t.xml != nil:
		return t.xml.render(content)
	case t.parsed == nil:
		return t.Literal, nil
	}
	if m.ex.Explain != nil {
		return m.explained(t, content)
	}
	return m.render(t.parsed, content)
}

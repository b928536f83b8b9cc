package validation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/builtins/internal/schema"
	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// anyMediaType is the key of the model for what no other model is for.
const anyMediaType = "$default"

// Validator returns the kind of a route's validator with body or parameters.
func Validator() proxy.Kind {
	return proxy.Kind{Name: "model", Role: proxy.ValidatorKind, New: newValidator}
}

func newValidator(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	var wrong []error
	v := o.Route.Validator
	var required []parameter
	if v.Parameters {
		required = parameters(b.Route, o.Route.RequestParameters, &wrong)
	}
	var contents contents
	if v.Body {
		contents = newContents(modelsOf(b, o), o.Route.RequestModels, &wrong)
	}
	noModels, noParameters := v.Body && len(o.Route.RequestModels) == 0, v.Parameters && len(o.Route.RequestParameters) == 0
	if v.Plugin == "" && (noModels || !v.Body) && (noParameters || !v.Parameters) {
		wrong = append(wrong, &config.KeyError{Path: []string{"validator"}, Text: "nothing is validated",
			Hint: `add request_models = { "application/json" = "MODEL" }, request_parameters, or remove the validator`})
	}
	if len(wrong) > 0 {
		return proxy.Steps{}, errors.Join(wrong...)
	}
	var step proxy.Step
	switch {
	case len(contents) > 0:
		step = &bodyValidator{validator{required}, contents}
	case len(required) > 0:
		step = &validator{required}
	}
	return proxy.Steps{proxy.MethodRequest: step}, nil
}

// parameter is one that must be there.
type parameter struct {
	shown string // its name in the answer
	mapping.Source
}

// parameters returns the required ones, in the order in which AWS lists what is
// missing: by full name.
func parameters(route *proxy.Route, declared map[string]bool, wrong *[]error) []parameter {
	var all []parameter
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		if !declared[name] {
			continue
		}
		// AWS, recorded: a path parameter that the resource doesn't have counts as missing.
		anywhere := &proxy.Route{Stage: route.Stage, Resource: "/{" + strings.TrimPrefix(name, "method.request.path.") + "}"}
		source, err := mapping.ParseSource(name, mapping.Request, anywhere)
		if err != nil {
			*wrong = append(*wrong, &config.KeyError{Path: []string{"request_parameters", name}, Text: err.Text, Hint: err.Hint})
			continue
		}
		// method.request.header.X
		all = append(all, parameter{strings.SplitN(name, ".", 4)[3], source})
	}
	return all
}

// validator checks parameters.
type validator struct{ required []parameter }

// Run refuses requests that lack a required parameter, or have a blank one.
func (v *validator) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	var missing []string
	for i := range v.required {
		p := &v.required[i]
		value, found, err := p.RequestText(ex, nil)
		if !found || err != nil || strings.Trim(value, " \t\r\n") == "" {
			missing = append(missing, p.shown)
		}
	}
	if missing == nil {
		return proxy.Continue, nil
	}
	return proxy.Continue, proxy.Fault{
		Kind:    proxy.BadRequestParameters,
		Message: "Missing required request parameters: [" + strings.Join(missing, ", ") + "]",
	}
}

// contents are the models by media type.
type contents []content

type content struct {
	mediaType string // lower case, or anyMediaType, which is the last one
	model     *schema.Schema
}

func newContents(m *models, configured map[string]string, wrong *[]error) contents {
	var all contents
	var rest *schema.Schema
	for _, mediaType := range slices.Sorted(maps.Keys(configured)) {
		name := configured[mediaType]
		if !slices.Contains(m.names, name) {
			hint := "models: " + strings.Join(m.names, ", ")
			if meant := config.Closest(name, m.names); meant != "" {
				hint = fmt.Sprintf("did you mean %q?", meant)
			}
			*wrong = append(*wrong, &config.KeyError{Path: []string{"request_models", mediaType}, Text: fmt.Sprintf("the API has no model %q", name), Hint: hint})
			continue
		}
		if mediaType == anyMediaType {
			rest = m.byName[name]
			continue
		}
		lower := strings.ToLower(mediaType)
		if slices.ContainsFunc(all, func(c content) bool { return c.mediaType == lower }) {
			*wrong = append(*wrong, &config.KeyError{Path: []string{"request_models", mediaType}, Text: mediaType + " is there twice: case makes no difference"})
		}
		all = append(all, content{lower, m.byName[name]})
	}
	if rest != nil {
		all = append(all, content{anyMediaType, rest})
	}
	return all
}

// model returns the model for content of a type; nil for none. AWS: by media type
// alone; content without a type counts as application/json.
func (c contents) model(contentType string) *schema.Schema {
	mediaType := proxy.FirstMediaType(contentType)
	if mediaType == "" {
		mediaType = "application/json"
	}
	for i := range c {
		if c[i].mediaType == anyMediaType || strings.EqualFold(c[i].mediaType, mediaType) {
			return c[i].model
		}
	}
	return nil
}

// errNotAllowed is all that the log learns: violations quote the content.
var errNotAllowed = errors.New("the model doesn't allow the content")

// bodyValidator checks parameters, and then content.
type bodyValidator struct {
	validator
	contents contents
}

// NeedsDecodedBody has a Content-Encoding taken off first.
func (*bodyValidator) NeedsDecodedBody() {}

// Run refuses what the parameters or the model for the content don't allow. The
// content is read now and not earlier, so that nobody who isn't let in can have the
// gateway hold any. AWS, recorded: content that is empty counts as {}.
func (v *bodyValidator) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if verdict, err := v.validator.Run(ctx, ex); err != nil {
		return verdict, err
	}
	model := v.contents.model(ex.In.Fields.GetKnown(http1.ContentType))
	if model == nil {
		return proxy.Continue, nil
	}
	if err := ex.ReadWhole(ex.BodyLimit()); err != nil {
		return proxy.Continue, err
	}
	text := ex.In.Content
	if len(text) == 0 {
		text = []byte("{}")
	}
	if violations := model.Check(text); violations != "" {
		return proxy.Continue, proxy.Fault{Kind: proxy.BadRequestBody, Detail: violations, Cause: errNotAllowed}
	}
	return proxy.Continue, nil
}

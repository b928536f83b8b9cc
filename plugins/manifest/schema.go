package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// schema checks configurations. Safe for concurrent use.
type schema struct{ compiled *jsonschema.Schema }

// sealed lets no schema refer to anything outside of itself.
type sealed struct{}

// Load is jsonschema.URLLoader's.
func (sealed) Load(url string) (any, error) {
	return nil, fmt.Errorf("a manifest's schema can't refer to %s: nothing outside of it is read", url)
}

const schemaName = "urn:postern:config"

func compile(text []byte) (*schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(sealed{})
	if err := c.AddResource(schemaName, doc); err != nil {
		return nil, fmt.Errorf("not a JSON Schema: %w", err)
	}
	compiled, err := c.Compile(schemaName)
	if err != nil {
		return nil, fmt.Errorf("not a JSON Schema: %s", strings.ReplaceAll(err.Error(), schemaName, ""))
	}
	return &schema{compiled}, nil
}

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Path []string // of the value: keys, and indexes as digits
	Text string   // never has the value: it may be a secret
}

// CheckConfig returns what the manifest's schema has against config, the JSON
// text of a plugin's configuration, in the order of the places. Without a schema
// everything is right.
func (m *Manifest) CheckConfig(config []byte) []Problem {
	if m.schema == nil {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(config))
	if err != nil {
		return []Problem{{Text: "not JSON: " + err.Error()}}
	}
	err = m.schema.compiled.Validate(value)
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		if err != nil {
			return []Problem{{Text: err.Error()}}
		}
		return nil
	}
	var all []Problem
	collect(invalid, &all)
	slices.SortStableFunc(all, func(a, b Problem) int { return slices.Compare(a.Path, b.Path) })
	return all
}

// collect adds the innermost errors below e: the others only say that there are
// some.
func collect(e *jsonschema.ValidationError, all *[]Problem) {
	if len(e.Causes) > 0 {
		for _, c := range e.Causes {
			collect(c, all)
		}
		return
	}
	at := e.InstanceLocation
	add := func(path []string, text string) { *all = append(*all, Problem{slices.Clone(path), text}) }
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, key := range k.Properties {
			add(append(slices.Clone(at), key), "the plugin knows no such key")
		}
	case *kind.Required:
		add(at, "the plugin needs the key "+strings.Join(k.Missing, ", "))
	case *kind.Type:
		add(at, "the plugin wants "+strings.Join(k.Want, " or ")+", got "+k.Got)
	case *kind.Enum:
		add(at, fmt.Sprintf("the plugin wants one of %v", k.Want))
	case *kind.Const:
		add(at, fmt.Sprintf("the plugin wants %v", k.Want))
	case *kind.Pattern:
		add(at, "the plugin wants what fits the pattern "+k.Want)
	case *kind.Format:
		add(at, "the plugin wants the format "+k.Want)
	default:
		add(at, "the plugin's schema says: "+k.LocalizedString(message.NewPrinter(language.English)))
	}
}

// Package validation checks requests as AWS's request validators do: that required
// parameters are there, and that content is what a model, a JSON Schema, allows.
//
// AWS: "Request validation for REST APIs in API Gateway", "Data models for REST
// APIs". The texts of the answers are recorded ones.
package validation

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/postern-gateway/postern/builtins/internal/schema"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// Models returns the kind of [api.x.model.y]. It has no steps: it sees to it that
// all models are right, those that no route uses as well.
func Models() proxy.Kind {
	return proxy.Kind{Name: "model", Role: proxy.ModelKind, New: func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
		return proxy.Steps{}, errors.Join(modelsOf(b, o).wrong...)
	}}
}

// models are the compiled models of one API.
type models struct {
	byName map[string]*schema.Schema // nil if any is wrong
	names  []string
	wrong  []error
}

// modelsKey is the key under which the routes of an API share its models.
type modelsKey struct{ api string }

func modelsOf(b proxy.Build, o proxy.Options) *models {
	api := b.Route.Stage.API
	return b.Shared(modelsKey{api.Name}, func() any {
		return compileModels(api.ID, o.Config.API[api.Name].Model)
	}).(*models)
}

// standard are the models that every API has. AWS: CreateRestApi, as recorded.
var standard = map[string]string{
	"Empty": `{"$schema":"http://json-schema.org/draft-04/schema#","title":"Empty Schema","type":"object"}`,
	"Error": `{"$schema":"http://json-schema.org/draft-04/schema#","title":"Error Schema","type":"object","properties":{"message":{"type":"string"}}}`,
}

func compileModels(id string, configured map[string]config.Model) *models {
	m := &models{}
	var sources []schema.Source
	add := func(name, text string) {
		m.names = append(m.names, name)
		sources = append(sources, schema.Source{Name: name, URL: modelURL(id, name), Text: text})
	}
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		text, err := configured[name].Schema.Read()
		var key *config.KeyError
		if errors.As(err, &key) {
			key.Path = append([]string{"model", name, "schema"}, key.Path...)
			m.wrong = append(m.wrong, key)
			continue
		}
		add(name, text)
	}
	for _, name := range slices.Sorted(maps.Keys(standard)) {
		if _, own := configured[name]; !own {
			add(name, standard[name])
		}
	}
	compiled, wrong := schema.Compile(sources)
	for _, e := range wrong {
		name := m.names[e.Source]
		path := []string{"model", name, "schema"}
		if configured[name].Schema.File != "" {
			path = append(path, "file")
		}
		m.wrong = append(m.wrong, &config.KeyError{Path: path, Text: e.Error(), Hint: e.Hint})
	}
	if len(m.wrong) > 0 {
		return m
	}
	m.byName = map[string]*schema.Schema{}
	for i, name := range m.names {
		m.byName[name] = compiled[i]
	}
	return m
}

// modelURL is how models of the API id refer to the model called name.
func modelURL(id, name string) string {
	return fmt.Sprintf("https://apigateway.amazonaws.com/restapis/%s/models/%s", id, name)
}

package control

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// operation is what the document says of one request. Fields of its body and parameters
// of its query are strings unless a type follows the name: "limit integer".
type operation struct {
	summary string
	query   []string
	body    []string // of JSON; or "text/csv" alone
}

// operations are all requests that are answered, by method and path.
var operations = map[string]operation{
	"GET /health/live":                       {summary: "Whether the process lives"},
	"GET /health/ready":                      {summary: "Whether it serves, with reasons; 503 when it doesn't"},
	"GET /metrics":                           {summary: "Figures, as Prometheus reads them"},
	"GET /config":                            {summary: "The configuration in effect, without secrets"},
	"GET /openapi.json":                      {summary: "This document"},
	"GET /debug/pprof/":                      {summary: "Profiles of the process"},
	"GET /debug/pprof/cmdline":               {summary: "How the process was started"},
	"GET /debug/pprof/profile":               {summary: "A CPU profile", query: []string{"seconds integer"}},
	"GET /debug/pprof/symbol":                {summary: "Names of program counters"},
	"GET /debug/pprof/trace":                 {summary: "A trace of the runtime", query: []string{"seconds integer"}},
	"GET /keys":                              {summary: "API keys, in the order of ids", query: []string{"after", "limit integer"}},
	"POST /keys":                             {summary: "Make an API key", body: []string{"name", "description", "enabled boolean", "plans array", "value"}},
	"POST /keys/import":                      {summary: "Make API keys of a CSV file, all or none", body: []string{"text/csv"}},
	"GET /keys/{name}":                       {summary: "An API key, by id or name"},
	"PATCH /keys/{name}":                     {summary: "Enable or disable an API key", body: []string{"enabled boolean"}},
	"DELETE /keys/{name}":                    {summary: "Remove an API key"},
	"GET /usage":                             {summary: "What a plan's keys, or a key, used", query: []string{"plan", "key", "from", "to"}},
	"POST /usage/extend":                     {summary: "Grant requests in the present period", body: []string{"key", "plan", "requests integer"}},
	"GET /certificates":                      {summary: "The certificates of domains"},
	"GET /certificates/{name}":               {summary: "A domain's certificate"},
	"POST /certificates/{name}/renew":        {summary: "Renew a domain's certificate now"},
	"POST /certificates/{name}/revoke":       {summary: "Revoke a domain's certificate and get another", body: []string{"reason"}},
	"POST /authorities/{name}/rollover":      {summary: "Give the account at a certificate authority another key"},
	"GET /shadows":                           {summary: "How the answers of stages differ from those of their shadows"},
	"GET /caches":                            {summary: "The response caches of stages"},
	"POST /caches/flush":                     {summary: "Empty response caches", body: []string{"api", "stage"}},
	"GET /connections":                       {summary: "How many connections each stage of a WebSocket API has"},
	"GET /connections/{api}/{stage}/{id}":    {summary: "A connection of a WebSocket API: 410 for one that is gone"},
	"POST /connections/{api}/{stage}/{id}":   {summary: "Send a client a text", body: []string{"text/plain"}},
	"DELETE /connections/{api}/{stage}/{id}": {summary: "End a connection"},
	"POST /invoke":                           {summary: "Run a request, and say what becomes of it in each phase", body: []string{"api", "stage", "method", "path", "host", "headers array", "body", "source_ip"}},
	"GET /traces":                            {summary: "Which live requests were traced, the newest first"},
	"GET /traces/{id}":                       {summary: "What became of a live request, by its id"},
	"POST /traces/token":                     {summary: "Make a token that has live requests traced", body: []string{"api", "stage", "seconds integer"}},
	"GET /deployments":                       {summary: "The deployments of an API, and what its stages serve", query: []string{"api"}},
	"GET /deployments/{api}/{which}":         {summary: "What a deployment has, by number, stage or \"file\", without secrets"},
	"DELETE /deployments/{api}/{which}":      {summary: "Remove a deployment that no stage serves, by number"},
	"GET /diff":                              {summary: "What is different between two deployments, by number, stage or \"file\"", query: []string{"api", "from", "to"}},
	"POST /deploy":                           {summary: "Have a stage, or its canary, serve what the configuration's file says now", body: []string{"api", "stage", "message"}},
	"POST /rollback":                         {summary: "Have a stage serve an older deployment, 0 for the one before", body: []string{"api", "stage", "to integer"}},
	"POST /canary":                           {summary: "Give a stage's canary a share of the requests", body: []string{"api", "stage", "percent number"}},
	"POST /canary/disable":                   {summary: "Have all requests served by the stage itself", body: []string{"api", "stage"}},
	"POST /promote":                          {summary: "Have a whole stage serve what its canary does", body: []string{"api", "stage"}},
}

// openAPI answers with what this server answers, as a document of OpenAPI 3.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.document())
}

// requests returns all requests that s answers, as "GET /keys".
func (s *Server) requests() []string {
	var all []string
	for _, path := range s.paths {
		all = append(all, "GET "+path)
	}
	for path, methods := range s.methods {
		for _, method := range methods {
			all = append(all, method+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

type object = map[string]any

func (s *Server) document() object {
	paths := object{}
	for _, request := range s.requests() {
		method, path, _ := strings.Cut(request, " ")
		at, there := paths[path].(object)
		if !there {
			at = object{}
			paths[path] = at
		}
		at[strings.ToLower(method)] = describe(path, operations[request])
	}
	return object{
		"openapi":  "3.0.3",
		"info":     object{"title": "postern admin API", "version": "1"},
		"paths":    paths,
		"security": []any{object{"token": []any{}}},
		"components": object{
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "of [admin.token.…]; the unix socket needs none"}},
			"schemas":         object{"Problem": object{"type": "object", "required": []any{"message"}, "properties": object{"message": object{"type": "string"}}}},
		},
	}
}

// describe returns an operation's object.
func describe(path string, o operation) object {
	parameters := []any{}
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			parameters = append(parameters, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	for _, q := range o.query {
		name, schema := typed(q)
		parameters = append(parameters, object{"name": name, "in": "query", "schema": schema})
	}
	problem := object{"description": "What is wrong", "content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}}}
	described := object{
		"summary": o.summary, "parameters": parameters,
		"responses": object{"2XX": object{"description": "Done"}, "4XX": problem, "5XX": problem},
	}
	if len(o.body) == 1 && strings.Contains(o.body[0], "/") {
		described["requestBody"] = object{"required": true, "content": object{o.body[0]: object{"schema": object{"type": "string"}}}}
		return described
	}
	if len(o.body) > 0 {
		properties := object{}
		for _, field := range o.body {
			name, schema := typed(field)
			maps.Copy(properties, object{name: schema})
		}
		schema := object{"type": "object", "properties": properties, "additionalProperties": false}
		described["requestBody"] = object{"required": true, "content": object{jsonType: object{"schema": schema}}}
	}
	return described
}

// typed splits "limit integer".
func typed(field string) (name string, schema object) {
	name, kind, given := strings.Cut(field, " ")
	switch {
	case !given:
		return name, object{"type": "string"}
	case kind == "array":
		return name, object{"type": kind, "items": object{"type": "string"}}
	}
	return name, object{"type": kind}
}

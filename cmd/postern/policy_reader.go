package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/postern-gateway/postern/builtins/access"
	"github.com/postern-gateway/postern/builtins/authorizer"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/snapshot"
)

// policyReader explains requests that nobody sends.
type policyReader struct {
	cfg       *config.Config
	options   *policyOptions
	explainer *access.Explainer
	routes    *snapshot.Snapshot
	documents map[string][]access.Document // by principal
	answer    []access.Document
	tags      []proxy.Param
	headers   []proxy.Param
}

func newPolicyReader(cfg *config.Config, o *policyOptions) (*policyReader, error) {
	r := &policyReader{cfg: cfg, options: o, explainer: access.NewExplainer(cfg), documents: map[string][]access.Document{}}
	var err error
	if r.tags, err = pairs("--tag", "=", o.tags); err != nil {
		return nil, err
	}
	if r.headers, err = pairs("--header", ":", o.headers); err != nil {
		return nil, err
	}
	if o.principal != "" {
		if _, err := one("principal", "--principal", o.principal, sortedKeys(cfg.Principal)); err != nil {
			return nil, &failure{exitInvalid, err}
		}
	}
	for _, name := range sortedKeys(cfg.Principal) {
		documents, err := access.CompileDocuments(cfg, cfg.Principal[name].Policies, r.explainer.Networks(), "principal", name, "policies")
		if err != nil {
			return nil, r.invalid(err)
		}
		r.documents[name] = documents
	}
	if o.document != "" {
		text, err := readAnswer(o.document)
		if err != nil {
			return nil, err
		}
		p, err := access.Compile(text, access.Options{Networks: r.explainer.Networks(), MaxResource: access.MaxResource})
		if err != nil {
			return nil, &failure{exitInvalid, fmt.Errorf("%s: %w", o.document, err)}
		}
		r.answer = []access.Document{{Name: o.document, Policy: p}}
	}
	var findings config.Findings
	if r.routes, findings = snapshot.Compile(bare(cfg), snapshot.Options{Kinds: []proxy.Kind{
		{Name: nothing, Role: proxy.IntegrationKind, New: func(proxy.Build, proxy.Options) (proxy.Steps, error) { return proxy.Steps{}, nil }},
	}}); r.routes == nil {
		return nil, invalidFindings(findings)
	}
	return r, nil
}

// pairs takes "NAME=VALUE" apart.
func pairs(flag, separator string, texts []string) ([]proxy.Param, error) {
	var all []proxy.Param
	for _, text := range texts {
		name, value, found := strings.Cut(text, separator)
		if name = strings.TrimSpace(name); !found || name == "" {
			return nil, fmt.Errorf("%s: %q isn't NAME%sVALUE", flag, text, separator)
		}
		all = append(all, proxy.Param{Name: name, Value: strings.TrimSpace(value)})
	}
	return all, nil
}

// nothing is the integration of the routes that bare leaves.
const nothing = "nothing"

// bare returns what of cfg tells which route a request has. There are no domains:
// every API is found at its default host.
func bare(cfg *config.Config) *config.Config {
	b := &config.Config{Gateway: cfg.Gateway, API: map[string]config.API{}}
	b.Gateway.Suffix = nothing
	for name, api := range cfg.API {
		routes := map[string]config.Route{}
		for key := range api.Route {
			routes[key] = config.Route{Integration: config.Integration{Type: nothing}}
		}
		b.API[name] = config.API{Type: api.Type, ID: api.ID, AllowEncodedSlash: api.AllowEncodedSlash, AmbiguousPaths: api.AmbiguousPaths, Stage: api.Stage, Route: routes}
	}
	return b
}

// invalid is the error of findings about the configuration; the paths of err's keys
// begin at table.
func (r *policyReader) invalid(err error, table ...string) error {
	var findings config.Findings
	var add func(err error)
	add = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				add(e)
			}
			return
		}
		var key *config.KeyError
		if errors.As(err, &key) {
			findings = append(findings, r.cfg.Blame(table, key))
		}
	}
	add(err)
	return invalidFindings(findings)
}

// request explains 'VERB /PATH'.
func (r *policyReader) request(request string) (*access.Explanation, error) {
	verb, path, _ := strings.Cut(request, " ")
	api, err := one("API", "--api", r.options.api, sortedKeys(r.cfg.API))
	if err != nil {
		return nil, &failure{exitInvalid, err}
	}
	stage, err := one("stage", "--stage", r.options.stage, sortedKeys(r.cfg.API[api].Stage))
	if err != nil {
		return nil, &failure{exitInvalid, err}
	}
	x, err := r.explain(api, stage, verb, path, r.options.principal)
	if err == nil && r.answer != nil && !slices.ContainsFunc(x.Policies, func(j access.Judgment) bool { return j.Policy == r.answer[0].Name }) {
		return nil, fmt.Errorf("--answer: no function decides about %s", request)
	}
	return x, err
}

// explain explains what a principal, "" for none, comes to.
func (r *policyReader) explain(api, stage, verb, path, principal string) (*access.Explanation, error) {
	ex := r.exchange(api, stage, strings.ToUpper(verb), path)
	if m := r.routes.Messages(api, stage); m != nil {
		if ex.Route = m.Route(verb); ex.Route == nil {
			return nil, &failure{exitFailed, fmt.Errorf("API %s has no route %q", api, verb)}
		}
		ex.Socket = &proxy.Socket{}
	} else if f, found := r.routes.Match(ex); !found {
		return nil, &failure{exitFailed, fmt.Errorf("%s %s has no route in API %s: %w", verb, path, api, f)}
	}
	if p, found := r.cfg.Principal[principal]; found {
		ex.Caller.Identity = authorizer.Identity(principal, &p, r.cfg.Gateway)
		ex.Caller.Identity.Tags = slices.Concat(r.tags, ex.Caller.Identity.Tags) // the first one of a name counts
	}
	x, err := r.explainer.Explain(ex, r.documents[principal], r.answer)
	if err != nil {
		return nil, r.invalid(err, "api", api)
	}
	return x, nil
}

// exchange returns the request as the server would have it.
func (r *policyReader) exchange(api, stage, verb, path string) *proxy.Exchange {
	o, ex := r.options, &proxy.Exchange{}
	start := time.Now()
	if o.at != "" {
		start, _ = time.Parse(time.RFC3339, o.at) // checked
	}
	ex.Begin(start, nil)
	ex.In.Method, ex.In.Scheme, ex.In.Host = verb, o.scheme, api+"."+nothing
	path, ex.In.RawQuery, ex.In.HasQuery = strings.Cut(path, "?")
	ex.In.Path = stagePath(stage) + path
	if a, err := netip.ParseAddr(o.address); err == nil {
		ex.In.Client = netip.AddrPortFrom(a, 0)
	}
	for _, h := range r.headers {
		ex.In.Fields.Add(h.Name, h.Value)
	}
	return ex
}

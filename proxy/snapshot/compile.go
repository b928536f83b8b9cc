package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// Options are what a snapshot is made from besides the configuration.
type Options struct {
	Kinds  []proxy.Kind
	Logger *zap.Logger // nil logs nothing
	// Backend is lent to the kinds as Build.Backend. Nil has no backends.
	Backend func(url string, options *config.Backend) (proxy.Backend, error)
	// Function is lent to the kinds as Build.Function. Nil has no functions.
	Function func(b proxy.Build, name string) (proxy.Function, error)
	// Recorder returns who records a stage's exchanges. Nil records nothing.
	Recorder func(api, stage string) proxy.Recorder
	// CanaryRecorder is Recorder for a stage's canary. Nil: Recorder.
	CanaryRecorder func(api, stage string) proxy.Recorder
	// Mirror returns who copies the requests of a stage that has a shadow. Nil: nobody.
	Mirror func(api, stage string, c *config.Shadow) proxy.Mirror
	// Running returns what a stage runs. Nil: all run the configuration itself.
	Running func(api, stage string) Running
	// Undeployed has what stages don't run yet compiled, too, for what is wrong with it.
	Undeployed bool
	// Before is the snapshot that serves, nil for none. If it was made from the very same
	// configuration, what its stages run is used again where it is to be the same: kinds
	// and files count as they were then. The rest is built anew.
	Before *Snapshot
	// Keep is told of each backend that stages which are used again have. Nil: the snapshot
	// can't be another's Before, and none is its.
	Keep func(proxy.Backend)
}

// Deployed is a version of an API.
type Deployed struct {
	// Config is what the version is compiled from: config.Config.With's for the API.
	// Stages with the same one share what their routes share. Nil: the configuration.
	Config  *config.Config
	Number  int               // of the deployment; 0 for none
	Plugins map[string]string // what stands for plugins of other names than these, by them
}

// Compile builds cfg. It returns every finding in the order of their places and,
// unless one of them is an error, a snapshot, which the caller closes; else all that
// was built is given back.
//
// cfg must not change afterwards. Compile checks what it relies on by itself,
// so cfg may also come from elsewhere than config.Load.
func Compile(cfg *config.Config, o Options) (*Snapshot, config.Findings) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Backend == nil {
		o.Backend = func(string, *config.Backend) (proxy.Backend, error) {
			return nil, errors.New("no backends here")
		}
	}
	c := &compiler{
		cfg:      cfg,
		options:  o,
		snapshot: &Snapshot{},
		kinds:    map[kindName]proxy.Kind{},
		versions: map[*config.Config]*version{},
		reported: map[string]bool{},
		matched:  map[string]map[string]*stage{},
	}
	for _, k := range o.Kinds {
		c.kinds[kindName{k.Role, k.Name}] = k
	}
	c.backends = c.backend // one for all routes
	c.version = c.versionOf(Deployed{})
	c.snapshot.stages = c.matched
	defer c.open(o.Before)()
	c.principals()
	for _, name := range sortedKeys(cfg.API) {
		c.api(name)
	}
	c.hosts()
	slices.SortStableFunc(c.findings, func(a, b config.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if c.findings.Failed() {
		c.snapshot.Close()
		return nil, c.findings
	}
	return c.snapshot, c.findings
}

// compiler is the state of one Compile.
type compiler struct {
	cfg      *config.Config
	options  Options
	snapshot *Snapshot
	kinds    map[kindName]proxy.Kind
	matched  map[string]map[string]*stage // by API and stage
	findings config.Findings
	versions map[*config.Config]*version
	version  *version    // that is being compiled; its configuration is cfg
	lent     proxy.Build // what the kinds of one route got, in that version
	lentIn   *version
	parts    []proxy.Steps   // memory for those of one route
	number   int             // of its deployment, 0 for the configuration itself
	reported map[string]bool // findings so far: stages of one API share their mistakes

	own      *lease                       // of the stage that is being compiled; nil: none is
	sharing  int                          // above 0 while something is built for several stages
	before   map[string]map[string]*stage // what can be used again
	backends func(url string, options *config.Backend) (proxy.Backend, error)
}

type kindName struct {
	role proxy.Role
	name string
}

// discard records nothing.
type discard struct{}

func (discard) Record(*proxy.Exchange) {}

// method is one route of an API with what is the same in every stage.
type method struct {
	key        routeKey
	name       string
	route      config.Route
	resourceID string
}

func (c *compiler) api(name string) {
	c.matched[name] = map[string]*stage{}
	for _, stageName := range sortedKeys(c.cfg.API[name].Stage) {
		c.matched[name][stageName] = c.stages(name, stageName)
	}
	c.shadows(name)
}

// stage compiles a deployment for one side of a stage.
func (c *compiler) stage(apiName, name string, d Deployed, s side) *stage {
	defer c.enter(d)()
	own := &lease{}
	c.snapshot.take(own)
	c.own = own
	defer func() { c.own = nil }()
	api, methods := c.definition(apiName)
	configured := c.cfg.API[apiName]
	st := &stage{
		stage: &proxy.Stage{
			API:        api,
			Name:       name,
			Variables:  s.variables,
			Deployment: d.id(),
			Canaried:   s.canaried,
			Canary:     s.canary,
			Recorder:   c.recorder(apiName, name, s),
			Sampling:   c.sampling(configured.Stage[name].Trace),

			ClientCertificate: c.clientCertificate(configured.Stage[name].ClientCertificate),
		},
		origin:            origin{d, s, [2]*lease{own, c.version.lease}},
		root:              &node{path: "/"},
		http:              api.Type == config.HTTPType,
		allowEncodedSlash: configured.AllowEncodedSlash,
		ambiguous:         configured.AmbiguousPaths,
		mirror:            s.mirror,
		door:              c.door(configured.Endpoint, []string{"api", apiName, "endpoint"}),
	}
	c.gateway(st)
	st.stage.Messages = messagesOf(st.stage)
	for _, m := range methods {
		c.route(st, m)
	}
	if st.stage.Messages != nil {
		c.socketStage(st)
	}
	st.root.seal()
	return st
}

// methodRecorder is a stage's Recorder that has others for some of its routes.
type methodRecorder interface {
	// Method returns who records a route's exchanges, nil for the stage's Recorder.
	Method(route string, stage *config.Stage) proxy.Recorder
}

// witness is a recorder that sees content while it streams.
type witness interface {
	// Witness returns the steps that see it.
	Witness() proxy.Steps
}

// live returns what the configuration, whatever is deployed, says of a stage.
func (c *compiler) live(s *proxy.Stage) config.Stage { return c.cfg.API[s.API.Name].Stage[s.Name] }

// methods reads the route keys of an API. Wrong ones are reported and left out.
func (c *compiler) methods(api *proxy.API, routes map[string]config.Route) []method {
	methods := make([]method, 0, len(routes))
	paths := make([]string, 0, len(routes))
	for _, key := range sortedKeys(routes) {
		parsed, err := modelOf(api.Type).parse(key)
		if err != nil {
			c.wrong(err, "api", api.Name, "route", key)
			continue
		}
		paths = append(paths, parsed.path)
		methods = append(methods, method{key: parsed, name: key, route: routes[key]})
	}
	ids := resourceIDs(api.ID, paths)
	for i := range methods {
		methods[i].resourceID = ids[methods[i].key.path]
	}
	return methods
}

// route builds m for st and puts it into the stage's tree.
func (c *compiler) route(st *stage, m method) {
	at := []string{"api", st.stage.API.Name, "route", m.name}
	r := &proxy.Route{
		Stage:      st.stage,
		Key:        m.name,
		Verb:       m.key.word,
		Resource:   m.key.path,
		ResourceID: m.resourceID,
		Kind:       m.route.Integration.Type,
		Payload:    m.route.Integration.PayloadFormat,
		Scopes:     m.route.AuthorizationScopes,

		Authorizer:  m.route.Authorizer,
		KeyRequired: m.route.APIKeyRequired,
	}
	if r.Authorizer == noAuthorizer {
		r.Authorizer = ""
	}
	if stage, can := st.stage.Recorder.(methodRecorder); can {
		configured := c.live(st.stage)
		r.Recorder = stage.Method(m.name, &configured)
	}
	parts, after := c.filters(r, m.route.Filters, at)
	parts = append(c.parts[:0], parts...)
	api := modelOf(st.stage.API.Type)
	parts = api.steps(c, st, r, &m.route, at, parts)
	parts = append(parts, after...)
	if w, sees := r.Recorder.(witness); sees {
		parts = append(parts, w.Witness())
	}
	parts = c.coded(r, parts)
	r.Pipeline = proxy.NewPipeline(parts...)
	c.parts = parts
	if st.mirror != nil {
		r.Last = st.mirror.Watch(r.Last)
	}
	if err := api.place(st, m.key, r); err != nil {
		c.wrong(err, at...)
	}
}

// coded returns parts with the steps that take content codings off and put them
// on: what is nearest to the client, but for those who need content as it was sent.
// Requests are decoded where the API says so, and for steps that read content and
// know nothing of codings. Where such a one stands before one that needs it as it was
// sent, the latter finds coded content changed, and must refuse it.
func (c *compiler) coded(r *proxy.Route, parts []proxy.Steps) []proxy.Steps {
	kind, found := c.kinds[kindName{proxy.CodingKind, codingKind}]
	if !found {
		return parts
	}
	api := r.Stage.API.Name
	steps, err := kind.New(c.build(r), proxy.Options{Config: c.cfg})
	c.kindErrors(err, []string{"api", api}, nil)
	var first, last proxy.Steps
	if c.cfg.API[api].MinimumCompressionSize != nil || slices.ContainsFunc(parts, readsDecoded) {
		first[proxy.MethodRequest] = steps[proxy.MethodRequest]
	}
	last[proxy.MethodResponse] = steps[proxy.MethodResponse]
	before := 1 + slices.IndexFunc(parts, readsCoded)
	if slices.ContainsFunc(parts[:before], readsDecoded) {
		before = 0
	}
	return append(slices.Insert(parts, before, first), last)
}

func readsCoded(part proxy.Steps) bool {
	_, reads := part[proxy.MethodRequest].(proxy.CodedBody)
	return reads
}

func readsDecoded(part proxy.Steps) bool {
	return slices.ContainsFunc(part[:], func(s proxy.Step) bool {
		_, reads := s.(proxy.DecodedBody)
		return reads
	})
}

// codingKind is the name of the kind that codes content.
const codingKind = "coding"

// noAuthorizer is the name that stands for nobody.
const noAuthorizer = "none"

// authorizer returns the steps of the authorizer called name: of the API, else
// of the whole gateway. "" and "none" are nobody.
func (c *compiler) authorizer(r *proxy.Route, name string, at []string) proxy.Steps {
	if name == "" || name == noAuthorizer {
		return proxy.Steps{}
	}
	api := r.Stage.API.Name
	table := []string{"api", api, "authorizer", name}
	configured, found := c.cfg.API[api].Authorizer[name]
	if !found {
		table = table[2:]
		configured, found = c.cfg.Authorizer[name]
	}
	if !found {
		c.find(under(at, "authorizer"), fmt.Sprintf("no authorizer %q", name),
			listed("authorizers", slices.Concat(sortedKeys(c.cfg.API[api].Authorizer), sortedKeys(c.cfg.Authorizer))))
		return proxy.Steps{}
	}
	kind, found := c.kinds[kindName{proxy.AuthorizerKind, configured.Type}]
	if !found {
		c.noKind(proxy.AuthorizerKind, configured.Type, under(table, "type"))
		return proxy.Steps{}
	}
	steps, err := kind.New(c.build(r), proxy.Options{Config: c.cfg, Authorizer: &configured, Name: name})
	c.kindErrors(err, table, nil)
	return steps
}

// principals has all [principal.x] built, so that what is wrong with them is found
// though no route may need them.
func (c *compiler) principals() {
	kind, found := c.kinds[kindName{proxy.PrincipalKind, principalKind}]
	if !found || len(c.cfg.Principal) == 0 {
		return
	}
	_, err := kind.New(c.build(nil), proxy.Options{Config: c.cfg})
	c.kindErrors(err, nil, nil)
}

// principalKind is the name of the kind that knows principals.
const principalKind = "principal"

// all adds to parts the steps of all kinds of a role, in the order of the list of kinds.
// The paths of their errors begin at the API's table.
func (c *compiler) all(parts []proxy.Steps, role proxy.Role, r *proxy.Route, configured *config.Route) []proxy.Steps {
	for _, kind := range c.options.Kinds {
		if kind.Role != role {
			continue
		}
		steps, err := kind.New(c.build(r), proxy.Options{Config: c.cfg, Route: configured})
		c.kindErrors(err, []string{"api", r.Stage.API.Name}, nil)
		parts = append(parts, steps)
	}
	return parts
}

// filters returns the steps of the API's filters and of the route's own: first
// those that go before all other steps, in order, then those that go after them,
// in reverse order.
func (c *compiler) filters(r *proxy.Route, own []string, at []string) (before, after []proxy.Steps) {
	api := r.Stage.API.Name
	add := func(name string, at []string) {
		steps := c.plugin(r, proxy.FilterKind, name, at)
		last := proxy.Steps{proxy.MethodResponse: steps[proxy.MethodResponse]}
		steps[proxy.MethodResponse] = nil
		before, after = append(before, steps), append(after, last)
	}
	for i, name := range c.cfg.API[api].Filters {
		add(name, []string{"api", api, "filters", strconv.Itoa(i)})
	}
	for i, name := range own {
		add(name, under(at, "filters", strconv.Itoa(i)))
	}
	slices.Reverse(after)
	return before, after
}

// plugin returns the steps of a plugin in a role; none for "".
func (c *compiler) plugin(r *proxy.Route, role proxy.Role, name string, at []string) proxy.Steps {
	if name == "" {
		return proxy.Steps{}
	}
	steps, err := c.pluginSteps(r, role, name)
	var key *config.KeyError
	switch {
	case errors.As(err, &key):
		c.find(at, key.Text, key.Hint) // the whole of at is what key names
	case err != nil:
		c.find(at, err.Error(), "")
	}
	return steps
}

// pluginSteps is plugin for those who report an error themselves.
func (c *compiler) pluginSteps(r *proxy.Route, role proxy.Role, name string) (proxy.Steps, error) {
	kind, found := c.kinds[kindName{role, pluginKind}]
	if !found {
		return proxy.Steps{}, &config.KeyError{Text: "plugins can't be used here"}
	}
	o := proxy.Options{Config: c.cfg, Plugin: name}
	if role == proxy.IntegrationKind { // the type a plugin has by itself
		in := c.cfg.API[r.Stage.API.Name].Route[r.Key].Integration
		in.Type, in.Plugin = pluginKind, name
		o.Integration = &in
	}
	return kind.New(c.build(r), o)
}

// pluginKind is the name of the kinds that are plugins.
const pluginKind = "wasm"

// integration returns the steps of a route's integration.
func (c *compiler) integration(r *proxy.Route, configured config.Route, at []string) proxy.Steps {
	table := under(at, "integration")
	kind, found := c.kinds[kindName{proxy.IntegrationKind, configured.Integration.Type}]
	if !found {
		c.noKind(proxy.IntegrationKind, configured.Integration.Type, under(table, "type"))
		return proxy.Steps{}
	}
	steps, err := kind.New(c.build(r), proxy.Options{
		Config:      c.cfg,
		Integration: &configured.Integration,
		Responses:   configured.Response,
	})
	c.kindErrors(err, table, at)
	return steps
}

// build returns what kinds are lent; the many of one route get the same.
func (c *compiler) build(r *proxy.Route) proxy.Build {
	v := c.version
	if c.lentIn == v && c.lent.Route == r {
		return c.lent
	}
	b := proxy.Build{
		Pinned:  v.plugins,
		Logger:  c.options.Logger,
		Route:   r,
		Backend: c.backends,
		Plugin:  func(role proxy.Role, name string) (proxy.Steps, error) { return c.pluginSteps(r, role, name) },
		OnClose: func(f func()) { l := c.lease(v); l.onClose = append(l.onClose, f) },
		Shared:  func(key any, build func() any) any { return c.shared(v, key, build) },
	}
	b.Function = func(name string) (proxy.Function, error) {
		if c.options.Function == nil {
			return nil, &config.KeyError{Path: []string{"plugin"}, Text: "plugins can't be used here"}
		}
		return c.options.Function(b, name)
	}
	c.lent, c.lentIn = b, v
	return b
}

func (c *compiler) noKind(role proxy.Role, name string, at []string) {
	var names []string
	for k := range c.kinds {
		if k.role == role {
			names = append(names, k.name)
		}
	}
	c.find(at, fmt.Sprintf("no type %q", name), listed("types", names))
}

// kindErrors reports what a kind found wrong. A key of an integration whose
// path starts with "response" is one of the route's, at.
func (c *compiler) kindErrors(err error, table, at []string) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			c.kindErrors(e, table, at)
		}
		return
	}
	var key *config.KeyError
	if !errors.As(err, &key) {
		c.find(table, err.Error(), "")
		return
	}
	if at != nil && len(key.Path) > 0 && key.Path[0] == "response" {
		table = at
	}
	c.blame(config.SeverityError, table, key)
}

// wrong reports err with its hint, if it has one.
func (c *compiler) wrong(err error, at ...string) {
	var key *keyError
	if errors.As(err, &key) {
		c.find(at, key.text, key.hint)
		return
	}
	c.find(at, err.Error(), "")
}

// find adds an error, once.
func (c *compiler) find(at []string, text, hint string) {
	c.findAs(config.SeverityError, at, text, hint)
}

// findAs adds a finding, once.
func (c *compiler) findAs(severity string, at []string, text, hint string) {
	c.blame(severity, at, &config.KeyError{Text: text, Hint: hint})
}

// blame adds err, whose path is below table, as a finding, once.
func (c *compiler) blame(severity string, table []string, err *config.KeyError) {
	own := *err
	if c.number != 0 && c.version.deployed {
		own.Text = fmt.Sprintf("deployment %d: %s", c.number, own.Text)
	}
	id := strings.Join(under(table, own.Path...), "\x00") + "\x00" + own.Error()
	if c.reported[id] {
		return
	}
	c.reported[id] = true
	f := c.cfg.Blame(table, &own)
	f.Severity = severity
	c.findings = append(c.findings, f)
}

// under returns at with further keys, in memory of its own.
func under(at []string, further ...string) []string {
	return slices.Concat(at, further)
}

// listed is a hint that names what there is.
func listed(what string, names []string) string {
	if len(names) == 0 {
		return "there are no " + what
	}
	slices.Sort(names)
	return what + ": " + strings.Join(slices.Compact(names), ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

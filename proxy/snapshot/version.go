package snapshot

import (
	"strconv"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// version is what the stages have in common that run one configuration: the whole
// one, or one with another definition of an API.
type version struct {
	cfg      *config.Config
	deployed bool              // it isn't the configuration itself
	plugins  map[string]string // what stands for plugins
	shared   map[any]any       // what kinds share
	apis     map[string]*definition
	lease    *lease // of what its stages share
}

// id returns what $context.deploymentId says.
func (d Deployed) id() string {
	if d.Number == 0 {
		return ""
	}
	return strconv.Itoa(d.Number)
}

// definition is what the stages of an API share.
type definition struct {
	api     *proxy.API
	methods []method
}

// versionOf returns the version that d is of.
func (c *compiler) versionOf(d Deployed) *version {
	cfg := d.Config
	if cfg == nil {
		cfg = c.cfg
	}
	v := c.versions[cfg]
	if v == nil {
		v = &version{cfg: cfg, deployed: d.Config != nil, plugins: d.Plugins, shared: map[any]any{}, apis: map[string]*definition{}, lease: &lease{}}
		c.versions[cfg] = v
		c.snapshot.take(v.lease)
	}
	return v
}

// enter makes d what is being compiled, until the function it returns is called.
func (c *compiler) enter(d Deployed) (leave func()) {
	version, number := c.version, c.number
	c.version, c.number = c.versionOf(d), d.Number
	c.cfg = c.version.cfg
	return func() { c.version, c.number, c.cfg = version, number, version.cfg }
}

// definition returns what the stages of an API share in the version that is being
// compiled.
func (c *compiler) definition(name string) (*proxy.API, []method) {
	if d := c.version.apis[name]; d != nil {
		return d.api, d.methods
	}
	configured := c.cfg.API[name]
	api := &proxy.API{
		Name:      name,
		ID:        configured.ID,
		Type:      configured.Type,
		Region:    c.cfg.Gateway.Region,
		AccountID: c.cfg.Gateway.AccountID,
		Binary:    proxy.NewMediaTypes(configured.BinaryMediaTypes),
	}
	if api.ID == "" {
		api.ID = name
	}
	d := &definition{api, c.methods(api, configured.Route)}
	c.version.apis[name] = d
	return d.api, d.methods
}

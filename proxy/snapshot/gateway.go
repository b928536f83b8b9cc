package snapshot

import (
	"fmt"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// Names of the kinds that only one of is in their roles.
const (
	modelKind           = "model"
	gatewayResponseKind = "gateway_response"
	corsKind            = "cors"
)

// gateway builds what an API says of a stage as a whole: its models, its gateway
// responses, and CORS where no route takes the request.
func (c *compiler) gateway(st *stage) {
	api := st.stage.API.Name
	configured := c.cfg.API[api]
	nowhere := &proxy.Route{Stage: st.stage, Key: "OPTIONS", Verb: "OPTIONS", Kind: corsKind}
	at := []string{"api", api}
	if len(configured.Model) > 0 {
		c.only(proxy.ModelKind, modelKind, nowhere, proxy.Options{Config: c.cfg}, at)
	}
	if len(configured.GatewayResponse) > 0 {
		c.only(proxy.GatewayResponseKind, gatewayResponseKind, nowhere, proxy.Options{Config: c.cfg}, at)
	}
	if configured.CORS == nil {
		return
	}
	before, after := c.filters(nowhere, nil, at)
	parts := c.cors(nowhere, configured.CORS, under(at, "cors"), before)
	nowhere.Pipeline = proxy.NewPipeline(append(parts, after...)...)
	st.stage.Last, st.nowhere, st.preflights = nowhere.Last, nowhere, true
}

// only returns the steps of a kind that is the only one of its role.
func (c *compiler) only(role proxy.Role, name string, r *proxy.Route, o proxy.Options, at []string) proxy.Steps {
	kind, found := c.kinds[kindName{role, name}]
	if !found {
		c.find(at, fmt.Sprintf("%q can't be used here", name), "")
		return proxy.Steps{}
	}
	steps, err := kind.New(c.build(r), o)
	c.kindErrors(err, at, nil)
	return steps
}

// cors adds to parts the step that answers preflights, and makes the one for
// replies r's last.
func (c *compiler) cors(r *proxy.Route, configured *config.CORS, at []string, parts []proxy.Steps) []proxy.Steps {
	steps := c.only(proxy.CORSKind, corsKind, r, proxy.Options{Config: c.cfg, CORS: configured}, at)
	r.Last, r.Preflights = steps[proxy.MethodResponse], true
	return append(parts, proxy.Steps{proxy.MethodRequest: steps[proxy.MethodRequest]})
}

// routeCORS adds r's own CORS to parts, or the API's. A route for OPTIONS answers
// preflights itself, with headers of its own.
func (c *compiler) routeCORS(st *stage, r *proxy.Route, own *config.CORS, at []string, parts []proxy.Steps) []proxy.Steps {
	api := r.Stage.API.Name
	shared := c.cfg.API[api].CORS
	switch {
	case own != nil && r.Verb == "OPTIONS":
		c.find(under(at, "cors"), "a route for OPTIONS answers preflights itself", "give cors to the routes of the other methods, or remove this route")
	case own != nil && own.Off:
		if len(own.AllowOrigins) > 0 {
			c.find(under(at, "cors", "off"), "off, and origins all the same", "remove one of the two")
		}
	case own != nil:
		st.preflights = true
		return c.cors(r, own, under(at, "cors"), parts)
	case shared != nil && r.Verb != "OPTIONS":
		return c.cors(r, shared, []string{"api", api, "cors"}, parts)
	}
	return parts
}

// validator returns the steps that judge requests: first the builtin one, then
// the plugin.
func (c *compiler) validator(r *proxy.Route, configured *config.Route, at []string) []proxy.Steps {
	v := configured.Validator
	if v == nil {
		return nil
	}
	var parts []proxy.Steps
	if v.Body || v.Parameters {
		kind, found := c.kinds[kindName{proxy.ValidatorKind, modelKind}]
		if !found {
			c.noKind(proxy.ValidatorKind, modelKind, under(at, "validator"))
			return nil
		}
		steps, err := kind.New(c.build(r), proxy.Options{Config: c.cfg, Route: configured})
		c.kindErrors(err, at, nil)
		parts = append(parts, steps)
	} else if v.Plugin == "" {
		c.find(under(at, "validator"), "nothing is validated", "write body = true, parameters = true, or both, or name a plugin")
	}
	return append(parts, c.plugin(r, proxy.ValidatorKind, v.Plugin, under(at, "validator", "plugin")))
}

// preflight returns the route that answers a preflight for ex.Path, and fills
// ex.Params for it: the route that the request to come would take. found is the
// route for OPTIONS itself, which comes first where it is one for nothing else.
func (st *stage) preflight(ex *proxy.Exchange, escaped bool, found *proxy.Route) *proxy.Route {
	asked, isPreflight := ex.Preflight()
	if !isPreflight || found != nil && found.Verb == "OPTIONS" {
		return found
	}
	ex.Params, ex.Method = ex.Params[:0], asked
	meant := st.route(ex, escaped)
	ex.Method = "OPTIONS"
	if meant != nil && (meant == found || meant.Preflights) {
		return meant
	}
	ex.Params = ex.Params[:0]
	switch {
	case found != nil: // ANY; its parameters were replaced
		return st.route(ex, escaped)
	case meant != nil: // it has no CORS, so nobody answers for it
		return nil
	}
	return st.nowhere
}

package control

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/postern-gateway/postern/proxy/deployment"
)

// Deployments is who deploys, and shows what is deployed.
type Deployments interface {
	// Deploy has a stage run what the configuration's file says now; its canary, if it
	// has one and runs something already.
	Deploy(ctx context.Context, api, stage, message, by string) (Outcome, error)
	// Rollback has a stage run an older deployment, 0 for the one that it ran before.
	Rollback(ctx context.Context, api, stage string, to int, by string) (Outcome, error)
	// Promote has a stage run what its canary runs.
	Promote(ctx context.Context, api, stage, by string) (Outcome, error)
	// SetShare has that many percent of a stage's requests go to its canary.
	SetShare(ctx context.Context, api, stage string, percent float64, by string) (Outcome, error)
	// Disable takes its deployment and all requests from a canary.
	Disable(ctx context.Context, api, stage, by string) (Outcome, error)
	// Remove deletes a deployment that no stage runs.
	Remove(ctx context.Context, api string, number int, by string) error
	// History returns an API's deployments and stages.
	History(ctx context.Context, api string) (*deployment.History, error)
	// Document returns what a deployment, a stage's by name, or TheFile has.
	Document(ctx context.Context, api, which string) (*deployment.Document, error)
	// Diff compares two of what Document returns.
	Diff(ctx context.Context, api, from, to string) ([]deployment.Difference, error)
}

// TheFile stands for what would be deployed now, beside numbers and stages.
const TheFile = "file"

// Outcome is what came of a change.
type Outcome struct {
	API        string                 `json:"api"`
	Stage      string                 `json:"stage"`
	Deployment *deployment.Deployment `json:"deployment"`       // that it runs now
	Before     int                    `json:"before,omitempty"` // what it ran before
	Canary     bool                   `json:"canary,omitempty"` // it is the stage's canary that does
	// Percent of the requests go to the canary, if there is one.
	Percent *float64 `json:"percent,omitempty"`
}

// Paths of deployments.
//
//	GET    /deployments?api=NAME         {"api", "deployments": […], "stages": {…}}
//	GET    /deployments/API/WHICH        the document of a deployment, by number, stage or "file"
//	DELETE /deployments/API/NUMBER
//	GET    /diff?api=NAME&from=WHICH&to=WHICH  {"differences": […]}
//	POST   /deploy                       {"api", "stage", "message"}: what became of it
//	POST   /rollback                     {"api", "stage", "to"}
//	POST   /promote                      {"api", "stage"}
//	POST   /canary                       {"api", "stage", "percent"}
//	POST   /canary/disable               {"api", "stage"}
const (
	deploymentsPath = "/deployments"
	documentPath    = "/deployments/{api}/{which}"
	diffPath        = "/diff"
	deployPath      = "/deploy"
	rollbackPath    = "/rollback"
	promotePath     = "/promote"
	canaryPath      = "/canary"
	disablePath     = "/canary/disable"
)

// order is what is asked for of a stage.
type order struct {
	API     string  `json:"api"`
	Stage   string  `json:"stage"`
	Message string  `json:"message,omitempty"` // of a deployment
	To      int     `json:"to,omitempty"`      // of a rollback: a deployment's number
	Percent float64 `json:"percent,omitempty"` // of the requests, to a canary
}

// maxMessage is the length of the longest message of a deployment, in bytes.
const maxMessage = 1024

// differences is an answer.
type differences struct {
	Differences []deployment.Difference `json:"differences"`
}

// offerDeployments adds the paths of deployments.
func (s *Server) offerDeployments() {
	d := s.options.Deployments
	s.offer(deploymentsPath, told(func(r *http.Request) (any, error) { return d.History(r.Context(), r.FormValue("api")) }))
	s.offer(documentPath, told(func(r *http.Request) (any, error) {
		doc, err := d.Document(r.Context(), r.PathValue("api"), r.PathValue("which"))
		if err != nil {
			return nil, err
		}
		return doc.Masked(), nil
	}))
	s.offer(diffPath, told(func(r *http.Request) (any, error) {
		all, err := d.Diff(r.Context(), r.FormValue("api"), r.FormValue("from"), r.FormValue("to"))
		if all == nil {
			all = []deployment.Difference{} // an empty list, not null
		}
		return differences{all}, err
	}))
	s.guarded("DELETE", documentPath, jsonType, told(func(r *http.Request) (any, error) {
		number, err := strconv.Atoi(r.PathValue("which"))
		if err != nil {
			return nil, fmt.Errorf("%w: a deployment is named by its number", deployment.ErrInvalid)
		}
		return struct{}{}, d.Remove(context.WithoutCancel(r.Context()), r.PathValue("api"), number, peer(r))
	}))
	s.ordered(deployPath, func(ctx context.Context, o order, by string) (Outcome, error) {
		if len(o.Message) > maxMessage {
			return Outcome{}, fmt.Errorf("%w: the message has more than %d bytes", deployment.ErrInvalid, maxMessage)
		}
		return d.Deploy(ctx, o.API, o.Stage, o.Message, by)
	})
	s.ordered(rollbackPath, func(ctx context.Context, o order, by string) (Outcome, error) {
		return d.Rollback(ctx, o.API, o.Stage, o.To, by)
	})
	s.ordered(promotePath, func(ctx context.Context, o order, by string) (Outcome, error) {
		return d.Promote(ctx, o.API, o.Stage, by)
	})
	s.ordered(canaryPath, func(ctx context.Context, o order, by string) (Outcome, error) {
		return d.SetShare(ctx, o.API, o.Stage, o.Percent, by)
	})
	s.ordered(disablePath, func(ctx context.Context, o order, by string) (Outcome, error) {
		return d.Disable(ctx, o.API, o.Stage, by)
	})
}

// told answers with what f returns, as JSON.
func told(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := f(r)
		if err != nil {
			writeJSON(w, statusOf(err), map[string]any{"message": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, answer)
	}
}

// ordered adds a path that changes what a stage runs. Whoever asked may leave: what has
// begun is brought to its end.
func (s *Server) ordered(path string, do func(ctx context.Context, o order, by string) (Outcome, error)) {
	s.guarded("POST", path, jsonType, told(func(r *http.Request) (any, error) {
		var o order
		if err := read(r, &o); err != nil {
			return nil, err
		}
		return do(context.WithoutCancel(r.Context()), o, peer(r))
	}))
}

// Deploy implements Deployments.
func (c *Client) Deploy(_ context.Context, api, stage, message, _ string) (out Outcome, err error) {
	return out, c.send(http.MethodPost, deployPath, order{API: api, Stage: stage, Message: message}, &out)
}

// Rollback implements Deployments.
func (c *Client) Rollback(_ context.Context, api, stage string, to int, _ string) (out Outcome, err error) {
	return out, c.send(http.MethodPost, rollbackPath, order{API: api, Stage: stage, To: to}, &out)
}

// Promote implements Deployments.
func (c *Client) Promote(_ context.Context, api, stage, _ string) (out Outcome, err error) {
	return out, c.send(http.MethodPost, promotePath, order{API: api, Stage: stage}, &out)
}

// SetShare implements Deployments.
func (c *Client) SetShare(_ context.Context, api, stage string, percent float64, _ string) (out Outcome, err error) {
	return out, c.send(http.MethodPost, canaryPath, order{API: api, Stage: stage, Percent: percent}, &out)
}

// Disable implements Deployments.
func (c *Client) Disable(_ context.Context, api, stage, _ string) (out Outcome, err error) {
	return out, c.send(http.MethodPost, disablePath, order{API: api, Stage: stage}, &out)
}

// Remove implements Deployments.
func (c *Client) Remove(ctx context.Context, api string, number int, _ string) error {
	return c.ask(ctx, http.MethodDelete, deploymentsPath+"/"+url.PathEscape(api)+"/"+strconv.Itoa(number), "", nil, nil)
}

// History implements Deployments.
func (c *Client) History(_ context.Context, api string) (h *deployment.History, err error) {
	h = &deployment.History{}
	return h, c.get(deploymentsPath, url.Values{"api": {api}}, h)
}

// Document implements Deployments; secrets are masked.
func (c *Client) Document(_ context.Context, api, which string) (d *deployment.Document, err error) {
	d = &deployment.Document{}
	return d, c.get(deploymentsPath+"/"+url.PathEscape(api)+"/"+url.PathEscape(which), nil, d)
}

// Diff implements Deployments.
func (c *Client) Diff(_ context.Context, api, from, to string) ([]deployment.Difference, error) {
	var found differences
	err := c.get(diffPath, url.Values{"api": {api}, "from": {from}, "to": {to}}, &found)
	return found.Differences, err
}

var _ Deployments = (*Client)(nil)

package control

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"
)

// Paths of the authorities that certificates are from.
//
//	POST /authorities/NAME/rollover   {} gives our account another key; an Authority
const rolloverPath = "/authorities/{name}/rollover"

// Authority is an authority by its name in the configuration.
type Authority struct {
	Name string `json:"name"`
}

// offerAuthorities adds the paths of authorities.
func (s *Server) offerAuthorities() {
	s.guarded("POST", rolloverPath, jsonType, answered(func(r *http.Request) (any, error) {
		if err := read(r, &struct{}{}); err != nil {
			return nil, err
		}
		name := r.PathValue("name")
		s.options.Logger.Info("an account is to have another key", zap.String("authority", name), zap.String("by", peer(r)))
		return Authority{Name: name}, s.options.Domains.RollOver(r.Context(), name)
	}))
}

// RollOver gives the account at the authority called name in the configuration
// another key, and waits for it.
func (c *Client) RollOver(ctx context.Context, name string) error {
	return c.patient().ask(ctx, http.MethodPost, "/authorities/"+url.PathEscape(name)+"/rollover", jsonType, strings.NewReader("{}"), &Authority{})
}

package snapshot

import (
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// sampling returns which of a stage's exchanges are traced, nil if tracing is off.
func (c *compiler) sampling(own *config.StageTrace) *proxy.Sampling {
	if c.cfg.OTLP == nil || c.cfg.OTLP.Traces == nil || own != nil && !own.Enabled {
		return nil
	}
	all := c.cfg.OTLP.Traces
	ratio := all.Ratio
	if own != nil && own.Ratio != nil {
		ratio = *own.Ratio
	}
	s := &proxy.Sampling{Below: proxy.Ratio(float64(ratio))}
	switch all.Parent {
	case "trusted":
		s.Follow = proxy.FollowTrusted
	case "never":
		s.Follow = proxy.FollowNobody
	}
	return s
}

package control

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-gateway/postern/proxy/shadow"
)

// shadowsPath shows what became of the copies that stages' shadows got:
//
//	GET /shadows  {"shadows": […]}, in the order of APIs and stages
const shadowsPath = "/shadows"

// shadowList is an answer.
type shadowList struct {
	Shadows []shadow.Report `json:"shadows"`
}

// offerShadows adds the path of shadows.
func (s *Server) offerShadows() {
	s.offer(shadowsPath, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, shadowList{s.options.Shadows()})
	})
}

// Shadows asks for what GET /shadows answers.
func (c *Client) Shadows(ctx context.Context) ([]shadow.Report, error) {
	var found shadowList
	return found.Shadows, c.ask(ctx, http.MethodGet, shadowsPath, "", nil, &found)
}

// shadowCollector has the shadows' metrics, whenever somebody asks.
type shadowCollector struct {
	reports func() []shadow.Report
	desc    *prometheus.Desc
}

func newShadowCollector(reports func() []shadow.Report) *shadowCollector {
	return &shadowCollector{reports, prometheus.NewDesc("postern_shadow_requests_total",
		"Requests of a stage with a shadow: whose copies were answered the same or different, that were dropped because too many copies were under way, or skipped because they can't be compared.",
		[]string{"api", "stage", "result"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *shadowCollector) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect implements prometheus.Collector.
func (c *shadowCollector) Collect(to chan<- prometheus.Metric) {
	for _, r := range c.reports() {
		for _, one := range []struct {
			result string
			count  uint64
		}{{"same", r.Counts.Same}, {"different", r.Counts.Different}, {"dropped", r.Counts.Dropped}, {"skipped", r.Counts.Skipped}} {
			to <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(one.count), r.API, r.Stage, one.result)
		}
	}
}

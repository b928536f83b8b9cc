package control

import "github.com/prometheus/client_golang/prometheus"

// Tag is a tag of a stage.
type Tag struct{ API, Stage, Name, Value string }

// tagCollector has the stages' tags, for queries to join figures with.
type tagCollector struct {
	tags func() []Tag
	desc *prometheus.Desc
}

func newTagCollector(tags func() []Tag) *tagCollector {
	return &tagCollector{tags, prometheus.NewDesc("postern_stage_tag", "A tag of a stage; always 1.", []string{"api", "stage", "tag", "value"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *tagCollector) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect implements prometheus.Collector.
func (c *tagCollector) Collect(to chan<- prometheus.Metric) {
	for _, t := range c.tags() {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, 1, t.API, t.Stage, t.Name, t.Value)
	}
}

package control

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// Paths of the stages' caches.
//
//	GET  /caches        {"caches": […]}, in the order of APIs and stages
//	POST /caches/flush  {"api", "stage"} has a stage's cache forget its answers; without a
//	                    stage those of all of the API's: {"caches": […]}, which they were
const (
	cachesPath = "/caches"
	flushPath  = "/caches/flush"
)

// Cache is what there is to say of a stage's cache.
type Cache struct {
	API    string `json:"api"`
	Stage  string `json:"stage"`
	Canary bool   `json:"canary,omitempty"` // it is the one of the stage's canary
	Size   int64  `json:"size"`             // bytes that it may take
	Used   int64  `json:"used"`             // bytes that it takes
	Hits   uint64 `json:"hits"`             // requests that were answered from it
	Misses uint64 `json:"misses"`
}

// Caches are the stages' caches.
type Caches interface {
	// Caches returns those that there are.
	Caches(ctx context.Context) ([]Cache, error)
	// Flush has those of a stage, of all of an API's for "", forget all answers, and returns
	// which they were. None is no error.
	Flush(ctx context.Context, api, stage string) ([]Cache, error)
}

// cacheList is an answer.
type cacheList struct {
	Caches []Cache `json:"caches"`
}

// cacheName is a question.
type cacheName struct {
	API   string `json:"api"`
	Stage string `json:"stage,omitempty"`
}

// offerCaches adds the paths of caches.
func (s *Server) offerCaches() {
	c := s.options.Caches
	s.offer(cachesPath, func(w http.ResponseWriter, r *http.Request) {
		all, err := c.Caches(r.Context())
		writeCaches(w, all, err)
	})
	s.guarded(http.MethodPost, flushPath, jsonType, func(w http.ResponseWriter, r *http.Request) {
		var name cacheName
		err := read(r, &name)
		var flushed []Cache
		if err == nil {
			flushed, err = c.Flush(r.Context(), name.API, name.Stage)
		}
		if err == nil && len(flushed) == 0 {
			writeJSON(w, http.StatusNotFound, map[string]any{"message": fmt.Sprintf("no cache of API %q and stage %q", name.API, name.Stage)})
			return
		}
		writeCaches(w, flushed, err)
	})
}

func writeCaches(w http.ResponseWriter, all []Cache, err error) {
	if err != nil {
		writeJSON(w, statusOf(err), map[string]any{"message": err.Error()})
		return
	}
	if all == nil {
		all = []Cache{} // an empty list, not null
	}
	writeJSON(w, http.StatusOK, cacheList{all})
}

// Caches asks for what GET /caches answers.
func (c *Client) Caches(ctx context.Context) ([]Cache, error) {
	var found cacheList
	return found.Caches, c.ask(ctx, http.MethodGet, cachesPath, "", nil, &found)
}

// Flush has caches forget their answers, and returns which they were. Here none is an error.
func (c *Client) Flush(_ context.Context, api, stage string) ([]Cache, error) {
	var flushed cacheList
	err := c.send(http.MethodPost, flushPath, cacheName{api, stage}, &flushed)
	return flushed.Caches, err
}

var _ Caches = (*Client)(nil)

// cacheCollector has the caches' metrics, whenever somebody asks.
type cacheCollector struct {
	caches Caches

	size, used *prometheus.Desc
}

func newCacheCollector(caches Caches) *cacheCollector {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"api", "stage", "canary"}, nil)
	}
	return &cacheCollector{
		caches: caches,
		size:   describe("postern_cache_size_bytes", "Bytes that a stage's cache may take."),
		used:   describe("postern_cache_used_bytes", "Bytes that a stage's cache takes."),
	}
}

// Describe implements prometheus.Collector.
func (c *cacheCollector) Describe(to chan<- *prometheus.Desc) { to <- c.size; to <- c.used }

// Collect implements prometheus.Collector.
func (c *cacheCollector) Collect(to chan<- prometheus.Metric) {
	all, err := c.caches.Caches(context.Background())
	if err != nil {
		return
	}
	for _, one := range all {
		canary := "false"
		if one.Canary {
			canary = "true"
		}
		to <- prometheus.MustNewConstMetric(c.size, prometheus.GaugeValue, float64(one.Size), one.API, one.Stage, canary)
		to <- prometheus.MustNewConstMetric(c.used, prometheus.GaugeValue, float64(one.Used), one.API, one.Stage, canary)
	}
}

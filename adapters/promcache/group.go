package promcache

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tiercache/tiercache/adapters/internal/cachemetrics"
)

// group has the caches whose statistics are an S.
type group[S any] struct {
	metrics []statsMetric[S]
	caches  map[string]func() S
}

// statsMetric is a metric of the statistics S.
type statsMetric[S any] struct {
	cachemetrics.Metric[S]
	desc   *prometheus.Desc
	labels []string // after the cache's name
}

func newGroup[S any](subsystem string, metrics []cachemetrics.Metric[S]) group[S] {
	g := group[S]{caches: make(map[string]func() S)}
	for _, m := range metrics {
		name, labels, values := m.Name, []string{"cache"}, []string(nil)
		if !m.Present {
			name += "_total"
		}
		if m.Tier != "" {
			labels, values = append(labels, "tier"), []string{m.Tier}
		}
		desc := prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), m.Help, labels, nil)
		g.metrics = append(g.metrics, statsMetric[S]{m, desc, values})
	}
	return g
}

func (g *group[S]) describe(to chan<- *prometheus.Desc) {
	for i, m := range g.metrics {
		if i == 0 || g.metrics[i-1].Name != m.Name { // the tiers of a metric share a description
			to <- m.desc
		}
	}
}

func (g *group[S]) collect(to chan<- prometheus.Metric) {
	for cache, stats := range g.caches {
		s := stats()
		for _, m := range g.metrics {
			kind := prometheus.CounterValue
			if m.Present {
				kind = prometheus.GaugeValue
			}
			to <- prometheus.MustNewConstMetric(m.desc, kind, float64(m.Value(&s)), append([]string{cache}, m.labels...)...)
		}
	}
}

package stages

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dukcapil.go.id/sifilma/pkg/stage"
)

// gauges are the stage clock as an operator watches it: by stage and status, never
// by request.
type gauges struct {
	requests *prometheus.GaugeVec
	days     *prometheus.GaugeVec
	late     prometheus.Gauge
	readers  *prometheus.GaugeVec
	swept    prometheus.Gauge
}

func newGauges(reg prometheus.Registerer) *gauges {
	g := &gauges{
		requests: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sifilma_stage_requests", Help: "Open requests by the stage that they are in, and how they stand against its limit and that of all stages.",
		}, []string{"stage", "status"}),
		days: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sifilma_stage_working_days", Help: "Most hari kerja on the office's clock that an open request has been in its present stage, of those whose clock runs.",
		}, []string{"stage"}),
		late: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sifilma_sla_late_requests", Help: "Open requests over the limit of their stage or of all stages.",
		}),
		readers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sifilma_activation_letters", Help: "Letters for activation of readers that the office works on, by how the slowest reader stands against the limits of the procedure.",
		}, []string{"status"}),
		swept: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sifilma_stage_swept_timestamp_seconds", Help: "When the stage clocks were last reckoned, on the machine clock.",
		}),
	}
	reg.MustRegister(g.requests, g.days, g.late, g.readers, g.swept)
	return g
}

// set measures the clocks as they were swept at a moment. Every stage and status has
// a value, also 0: an alarm on a missing one would be silent.
func (g *gauges) set(tallies []stage.Tally, readers map[stage.Status]int, at time.Time) {
	for _, status := range []stage.Status{stage.OnTime, stage.Warning, stage.Late} {
		g.readers.WithLabelValues(string(status)).Set(float64(readers[status]))
	}
	requests, days, late := map[[2]string]int{}, map[stage.Stage]int{}, 0
	for _, t := range tallies {
		requests[[2]string{string(t.Stage), string(t.Status)}] = t.Requests
		days[t.Stage] = max(days[t.Stage], t.Most)
		if t.Status == stage.Late {
			late += t.Requests
		}
	}
	for _, s := range stage.All {
		for _, status := range []stage.Status{stage.OnTime, stage.Warning, stage.Late} {
			g.requests.WithLabelValues(string(s), string(status)).Set(float64(requests[[2]string{string(s), string(status)}]))
		}
		g.days.WithLabelValues(string(s)).Set(float64(days[s]))
	}
	g.late.Set(float64(late))
	g.swept.Set(float64(at.UnixNano()) / 1e9)
}

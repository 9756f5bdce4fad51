package rabbit

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var (
	sessionUp = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sifilma_rabbit_session_up", Help: "1 while the session with the broker is up.",
	}, []string{"link"})
	sessionsLost = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "sifilma_rabbit_sessions_lost_total", Help: "Sessions with the broker that ended by themselves.",
	}, []string{"link"})
	sessionBlocked = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sifilma_rabbit_blocked", Help: "1 while the broker takes no messages because it is short of memory or disk.",
	}, []string{"link"})
	published = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "sifilma_rabbit_published_total", Help: "Published messages by what became of them.",
	}, []string{"outcome"})
	handled = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "sifilma_rabbit_handled_total", Help: "Consumed messages by what became of them: done, failed (an attempt), shelved.",
	}, []string{"queue", "result"})
	holding = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sifilma_rabbit_holding", Help: "1 while a consumer holds its messages because something it needs is away.",
	}, []string{"queue"})
)

package up

import (
	"context"
	"time"

	"dukcapil.go.id/sifilma/deploy/local"
)

// watchEvery is how often the services are looked at.
const watchEvery = time.Second

// watchServices says when a service dies and when it is back, until ctx ends. It
// starts none: the daemons bear its absence, and why it died is for a person to
// see.
func (of *office) watchServices(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	dead := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := local.Load(of.Dir) // whoever starts a service again writes its pid there
		if err != nil {
			continue
		}
		for name, p := range map[string]local.Process{"PostgreSQL": now.Postgres.Process, "RabbitMQ": now.Rabbit.Process} {
			if gone := !p.Alive(); gone != dead[name] {
				dead[name] = gone
				say(transition(name, gone, of.Dir))
			}
		}
	}
}

func transition(name string, gone bool, dir string) string {
	if gone {
		return "  " + name + " berhenti. Nyalakan lagi dengan: bin/services start -dir " + dir
	}
	return "  " + name + " berjalan lagi."
}

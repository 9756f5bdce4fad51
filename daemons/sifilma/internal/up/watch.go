package up

import (
	"context"
	"time"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/clock"
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
	unread := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := clock.OpenOffice("file:" + of.clockPath()); (err != nil) != unread {
			unread = err != nil
			say(clockWords(unread, of.clockPath()))
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

// clockWords says that nobody can read what somebody wrote into the office clock: the
// daemons keep the last time that they read.
func clockWords(unread bool, path string) string {
	if unread {
		return "  Jam kantor tidak terbaca dan tetap pada waktu terakhir. Isi " + path + " satu waktu RFC 3339, seperti 2026-12-01T02:00:00Z."
	}
	return "  Jam kantor terbaca lagi."
}

func transition(name string, gone bool, dir string) string {
	if gone {
		return "  " + name + " berhenti. Nyalakan lagi dengan: bin/services start -dir " + dir
	}
	return "  " + name + " berjalan lagi."
}

package chaos

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	"dukcapil.go.id/sifilma/test/crash/office"
)

// Kind of a blow.
type Kind string

// Kinds of blows.
const (
	Kill      Kind = "SIGKILL"
	Stop      Kind = "SIGTERM"          // and started again
	Hasten    Kind = "SIGTERM dua kali" // the second soon after
	Freeze    Kind = "SIGSTOP"
	Drop      Kind = "putus sekali"
	Cut       Kind = "putus"
	Blackhole Kind = "lubang hitam" // what it held arrives later
	Swallow   Kind = "tertelan"     // what it held is gone, and the connections with it
	Delay     Kind = "lambat"
	Fill      Kind = "disk penuh"
	Restart   Kind = "mati"   // a service
	Empty     Kind = "kosong" // RabbitMQ comes back without anything
	Days      Kind = "hari dilewati"
)

// Blow is one of them, planned.
type Blow struct {
	At     time.Duration // from the beginning
	Kind   Kind
	Target string         // an instance or a service
	Line   office.Service // that is cut
	Signal int            // to a service
	Long   time.Duration  // it lasts
	Days   int            // working days that pass at once
}

func (b Blow) String() string {
	switch b.Kind {
	case Drop, Cut, Blackhole, Swallow, Delay:
		return fmt.Sprintf("%s: %s - %s", b.Kind, b.Target, b.Line)
	case Days:
		return fmt.Sprintf("%d hari dilewati", b.Days)
	case Restart:
		return fmt.Sprintf("%s mati selama %s (sinyal %d)", b.Target, b.Long, b.Signal)
	}
	return fmt.Sprintf("%s %s", b.Kind, b.Target)
}

// A service restart costs the office many seconds: one at a time, not too often.
const serviceEvery = 25 * time.Second

const (
	sigKill = 9
	sigQuit = 3 // PostgreSQL's immediate shutdown
	sigTerm = 15
)

// Plan is the schedule of blows that a seed gives for so long.
func Plan(seed uint64, long time.Duration) (all []Blow) {
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable
	names := office.Instances()
	var at, service time.Duration
	for {
		at += time.Duration(600+r.IntN(2600)) * time.Millisecond
		if at >= long {
			return all
		}
		// Every blow draws all its dice, whatever it becomes.
		b := Blow{At: at, Kind: Kill, Target: names[r.IntN(len(names))], Line: office.Postgres, Long: time.Duration(1000+r.IntN(6000)) * time.Millisecond}
		kind, which, days := r.IntN(100), r.IntN(5), 1+r.IntN(4)
		if which%2 == 1 {
			b.Line = office.RabbitMQ
		}
		switch {
		case kind < 36:
		case kind < 41:
			b.Kind = Stop
		case kind < 46:
			b.Kind = Hasten
		case kind < 57:
			b.Kind = Freeze
		case kind < 80:
			b.Kind = []Kind{Drop, Cut, Blackhole, Swallow, Delay}[kind%5]
		case kind < 87:
			b.Kind = Fill
		case kind < 91:
			b.Kind, b.Days = Days, days
		case at-service >= serviceEvery:
			service = at
			b = broken(b, which)
		}
		all = append(all, b)
	}
}

// broken makes a blow one against a service.
func broken(b Blow, which int) Blow {
	b.Kind, b.Target, b.Signal = Restart, string(office.Postgres), sigKill
	switch which {
	case 1:
		b.Signal = sigQuit
	case 2:
		b.Target = string(office.RabbitMQ)
	case 3:
		b.Target, b.Signal = string(office.RabbitMQ), sigTerm
	case 4:
		b.Kind, b.Target = Empty, string(office.RabbitMQ)
	}
	return b
}

// Hash names a schedule: the same seed gives the same.
func Hash(plan []Blow) string {
	sum := sha256.New()
	for _, b := range plan {
		_, _ = fmt.Fprintln(sum, b.At, b.Kind, b.Target, b.Line, b.Signal, b.Long, b.Days)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

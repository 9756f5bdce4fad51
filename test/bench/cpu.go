package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of the times in /proc/PID/stat (proc(5), USER_HZ).
const tick = 10 * time.Millisecond

// spent is the processor time that the services and this process have used.
// Unlike the rate it hardly depends on what else the machine does.
type spent struct {
	postgres, broker, own time.Duration
	look                  time.Duration // own time for looking
}

func (g *ground) spent() spent {
	own := ownTime()
	s := spent{own: own, postgres: familyTime(g.services.Postgres.Process.PID), broker: familyTime(g.services.Rabbit.Process.PID)}
	s.look = ownTime() - own
	return s
}

func ownTime() time.Duration {
	var self syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &self) != nil {
		return 0
	}
	return time.Duration(self.Utime.Nano() + self.Stime.Nano())
}

// tell prints what was spent since before, for each of n messages.
func (s spent) tell(bench string, before spent, n int) {
	each := func(after, before time.Duration) float64 {
		return float64((after - before).Microseconds()) / float64(n)
	}
	fmt.Printf("note %s cpu_us_per_message postgres=%.0f broker=%.0f go=%.0f\n", bench,
		each(s.postgres, before.postgres), each(s.broker, before.broker), each(s.own, before.own+before.look))
}

// familyTime is the time of a process and its descendants, dead ones too.
func familyTime(root int) (total time.Duration) {
	type process struct{ parent, ticks int }
	all := map[int]process{}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well formed
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest) // from the third on
		if len(fields) < 15 {
			continue
		}
		number := func(field int) int { n, _ := strconv.Atoi(fields[field-3]); return n }
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		all[pid] = process{parent: number(4), ticks: number(14) + number(15) + number(16) + number(17)}
	}
	for pid, p := range all {
		for up := pid; up > 1; up = all[up].parent {
			if up == root {
				total += time.Duration(p.ticks) * tick
				break
			}
		}
	}
	return total
}

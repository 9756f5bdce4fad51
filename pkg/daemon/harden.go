package daemon

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Harden keeps the process's memory out of core dumps and out of the hands of other
// processes of the same user, for programs that have secrets in it. A program that it
// starts does so for itself, but has no core dumps either. Swap is the machine's own
// business: such a machine has none, or an encrypted one.
func Harden() error {
	var none unix.Rlimit
	return errors.Join(unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0), unix.Setrlimit(unix.RLIMIT_CORE, &none))
}

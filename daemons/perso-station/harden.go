package main

import (
	"fmt"
	"os"

	"dukcapil.go.id/sifilma/pkg/daemon"
)

// harden keeps what passes through this process, the keys and the CONF of the card in
// hand among it, out of core dumps; it does not go on without.
func harden() {
	if err := daemon.Harden(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "perso-station: ingatan proses ini tidak dapat dilindungi:", err)
		os.Exit(1)
	}
}

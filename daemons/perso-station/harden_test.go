package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The keys of the card in hand pass through the station and through the children of its
// readers: neither leaves a core dump, whoever started it.
func TestNoCoreDump(t *testing.T) {
	t.Parallel()
	child := exec.CommandContext(t.Context(), os.Args[0], "-reader", "Pembaca Tidak Ada")
	child.Env = append(os.Environ(), roleVariable+"=station", "PCSCLITE_CSOCK_NAME=/nonexistent")
	in, err := child.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	limit := regexp.MustCompile(`Max core file size +0 +0 `)
	require.Eventually(t, func() bool {
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", child.Process.Pid))
		return err == nil && limit.Match(limits)
	}, patience, patienceStep)
	require.NoError(t, in.Close())
	require.NoError(t, child.Wait())
}

package daemon_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/pkg/daemon"
)

// The process that hardens itself is another one: there is no way back.
func TestHarden(t *testing.T) {
	const asked = "SIFILMA_TEST_HARDEN"
	if os.Getenv(asked) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHarden$", "-test.v")
		cmd.Env = append(os.Environ(), asked+"=1")
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", said)
		require.Contains(t, string(said), "dumpable 0, core 0 0")
		return
	}
	require.NoError(t, daemon.Harden())
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	require.NoError(t, err)
	var core unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_CORE, &core))
	fmt.Printf("dumpable %d, core %d %d\n", dumpable, core.Cur, core.Max)
}

package main

import (
	"context"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// TestReadersAreJudgedLineByLine: the bell of a letter has each of its readers checked by
// itself, under the daemon's own role.
func TestReadersAreJudgedLineByLine(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 2})
	d := &harness.Daemon{Postgres: o.Database.Config(t, "sifilma_validator"), Rabbit: harness.NewVhost(t).Config("validator")}
	d.Start(t, paperoffice.At, func(args []string, log io.Writer, signals <-chan os.Signal) int {
		return daemon.Run("validator", args, io.Discard, log, signals, defaults, wire)
	})
	r := o.Done(t)
	o.HandOver(t, r)
	lines := o.ReaderLines(t, r)
	o.Pair(t, lines)
	lines[1].PCID = lines[0].PCID
	l := o.Asks(t, o.Lembaga(t), "1", lines)
	var states []machine.State
	require.Eventually(t, func() bool {
		all, err := activation.Lines(context.Background(), o.DB, l.ID)
		if err != nil || len(all) != 2 {
			return false
		}
		states = []machine.State{all[0].State, all[1].State}
		return all[0].State != activation.Submitted && all[1].State != activation.Submitted
	}, time.Minute, 20*time.Millisecond)
	require.Equal(t, []machine.State{activation.Validated, activation.Returned}, states)
	found, err := activation.Findings(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	require.Len(t, found, 1)
}

package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/trial"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/control"
)

// try runs the program on a card that is in a reader.
func (h *hall) try(edition, serial string) (report trial.Report, code int) {
	h.t.Helper()
	reader := h.lease.Readers[0].Name
	require.NoError(h.t, h.sam.Insert(h.t.Context(), reader, serial))
	cmd := exec.Command(os.Args[0], tryFlag, edition, "-in", reader, "-by", "teknisi", "-config", h.config)
	cmd.Env = append(os.Environ(), roleVariable+"=station")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, h.log
	err := cmd.Run()
	code = cmd.ProcessState.ExitCode()
	require.NoError(h.t, h.sam.Remove(h.t.Context(), reader))
	require.NoError(h.t, json.Unmarshal(out.Bytes(), &report), "%v: %s\n%s", err, out.String(), h.log.String())
	return report, code
}

// A profile that nobody has approved yet is run on a test card through the station's
// own program, reader and HSM; the office keeps what came of it. A card that is
// somebody's is left alone.
func TestAProfileIsTriedOnATestCard(t *testing.T) {
	h := newHall(t, 1, 1)
	file, err := configs.Profile("gp-scp03-sam")
	require.NoError(t, err)
	persotest.Draft(t, h.DB, recipe.Profile, strings.Replace(string(file), `"version": 1`, `"version": 2`, 1))
	h.make("UJI00000001", card.Fault{})
	report, code := h.try("gp-scp03-sam/2", "UJI00000001")
	require.Zero(t, code, "%+v", report)
	require.True(t, report.Passed)
	require.Len(t, report.Steps, 10)
	require.Equal(t, "UJI00000001", report.Serial)
	all, err := recipe.Editions(t.Context(), h.DB, recipe.Profile, "gp-scp03-sam")
	require.NoError(t, err)
	require.Equal(t, recipe.Draft, all[0].State)
	trials, err := recipe.Trials(t.Context(), h.DB, all[0].ID)
	require.NoError(t, err)
	require.Len(t, trials, 1)
	require.True(t, trials[0].Passed)
	require.Equal(t, "uji-1", trials[0].Station)
	require.Equal(t, "teknisi", trials[0].TriedBy)
	require.True(t, trials[0].Current)
	require.Equal(t, report.ChipID, trials[0].ChipID)

	report, code = h.try("gp-scp03-sam/2", "UJI00000001")
	require.Equal(t, 1, code)
	require.Contains(t, report.Problem, "bukan blangko baru")

	h.make(h.Serials[0], card.Fault{})
	report, code = h.try("gp-scp03-sam/2", h.Serials[0])
	require.Equal(t, 1, code)
	require.Contains(t, report.Problem, "sudah dikenal kantor")
	require.Empty(t, report.Steps, "nothing was written to a card that is somebody's")

	h.make("UJI00000002", card.Fault{WrongKCV: true})
	report, code = h.try("gp-scp03-sam/2", "UJI00000002")
	require.Equal(t, 1, code)
	require.False(t, report.Passed)
	require.Contains(t, report.Problem, "langkah keys")

	trials, err = recipe.Trials(t.Context(), h.DB, all[0].ID)
	require.NoError(t, err)
	require.Len(t, trials, 4)
}

// The shipped profile of bare commands passes its trial on a card of that kind, on real
// PC/SC; a card that a list names by its chip is somebody's.
func TestAPlainProfileIsTried(t *testing.T) {
	h := newHall(t, 1, 1)
	plain := func(serial string) {
		require.NoError(t, h.sam.Make(t.Context(), control.Make{ID: serial, Serial: serial, Seed: serial, Protocol: "FF"}))
	}
	plain("UJI00000003")
	report, code := h.try("iso7816-raw/2", "UJI00000003")
	require.Zero(t, code, "%+v", report)
	require.Len(t, report.Steps, 8)
	require.Equal(t, []profile.Sight{profile.MarkerSeen}, report.Steps[0].Shows)

	plain(h.Serials[0])
	h.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE listed_card SET uid = $1`, strings.ToUpper(hex.EncodeToString(card.SeedChipID(h.Serials[0]))))
	})
	report, code = h.try("iso7816-raw/2", h.Serials[0])
	require.Equal(t, 1, code)
	require.Contains(t, report.Problem, "sudah dikenal kantor")
	require.Empty(t, report.Steps)
}

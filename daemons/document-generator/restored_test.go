package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/request/evidence"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// lost is a list that the office's own key signed and its database knows nothing of: it was
// published after the moment that was restored to.
func (o signingOffice) lost(t *testing.T, number int64, entries ...manifest.Entry) []byte {
	t.Helper()
	token, err := pkcs11.Open(pkcs11.Config{Module: o.token.Module, TokenLabel: o.token.Label, PINFile: o.token.PINFile})
	require.NoError(t, err)
	defer func() { require.NoError(t, token.Close()) }()
	pair, err := token.FindSigning(t.Context(), "manifest-signing")
	require.NoError(t, err)
	s, err := sealed.NewSigner(pair.Public(), pair.Sign)
	require.NoError(t, err)
	list, err := manifest.List{Number: number, IssuedAt: paperoffice.At, NextUpdate: paperoffice.At.AddDate(0, 1, 0), Entries: entries}.Sign(t.Context(), s)
	require.NoError(t, err)
	return list
}

// proven waits until evidence that is ordered now is made: by then the seal has looked at
// everything.
func (o signingOffice) proven(t *testing.T, requestID string) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := evidence.Order(ctx, tx, requestID, "operator", paperoffice.At)
		return err
	})
	require.Eventually(t, func() bool {
		e, err := evidence.Latest(context.Background(), o.DB, requestID)
		return err == nil && e.Bundle != nil
	}, patience, 50*time.Millisecond)
}

// entries are the states on the list in force, by number.
func (o signingOffice) entries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, e := range o.list(t).Entries {
		all[e.Number] = e.State
	}
	return all
}

// After a restore nothing that readers know to be revoked is let go: no list is published
// and no bundle made until the last list was given; what it names and the database does
// not stays on every list until people have repeated it. Manifests and evidence are signed
// meanwhile.
func TestARestoreDoesNotUnrevoke(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	l, lines := o.Readers(t)
	run(t, o.Office, o.config()+"\nlibreoffice: {soffice: /bin/false}\npress: {retry: 1m}", "")
	o.becomes(t, l, activation.ManifestReady)
	require.Eventually(t, func() bool { _, err := release.Latest(t.Context(), o.DB); return err == nil }, patience, 50*time.Millisecond)
	before := o.list(t)
	stolen, held, free := *lines[0].ManifestSerial, *lines[1].ManifestSerial, *lines[2].ManifestSerial
	const unknown = "MF-2026-900001-3"
	since := paperoffice.At.Unix()
	last := o.lost(t, before.Number+1000,
		manifest.Entry{Number: stolen, State: manifest.Revoked, At: since, Reason: "Reader dicuri"},
		manifest.Entry{Number: held, State: manifest.Suspended, At: since}, manifest.Entry{Number: unknown, State: manifest.Revoked, At: since})
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO restoration (id, restored_to, raised_by, reason, epoch, tickets_from, tickets_to, papers_gap, papers)
			VALUES ($1, $2, 'uji', 'gladi', 2, 1, 2, 1, '[]')`, uuid.Must(uuid.NewV7()).String(), paperoffice.At.UTC())
		return err
	})
	require.ErrorIs(t, release.Recovered(t.Context(), o.DB), release.ErrUnrecovered)

	suspend := func(n int) func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
			return activation.Suspend(ctx, tx, l, []int{n}, c)
		}
	}
	r, err := o.release(t, request.Kasubdit, l.ProdusenID, 3)
	require.NoError(t, err)
	o.OnLetter(t, l, request.Kasubdit, "PKS berakhir", suspend(3))
	var requestID string
	require.NoError(t, o.DB.Get(t.Context(), &requestID, `SELECT id FROM request LIMIT 1`))
	o.proven(t, requestID)
	require.Equal(t, before.Number, o.list(t).Number, "the last list stays")
	waiting, err := release.Get(t.Context(), o.DB, r.Number, "")
	require.NoError(t, err)
	require.Equal(t, release.Released, waiting.State)
	require.ErrorIs(t, o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return release.Publish(ctx, tx, release.PublishedList{Number: before.Number + 1, KeyID: "k", Token: "t", Sum: release.Sum(nil), IssuedAt: paperoffice.At, NextUpdate: paperoffice.At.Add(time.Hour)}, before.Number)
	}), release.ErrUnrecovered)

	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		got, err := release.Recover(ctx, tx, last, o.keys(t), release.Statement{By: "operator uji", At: paperoffice.At})
		require.Len(t, got.Carried, 3)
		require.Equal(t, []string{free}, got.Lifted)
		return err
	})
	require.Eventually(t, func() bool { return o.list(t).Number > before.Number+1000 }, patience, 50*time.Millisecond)
	require.Equal(t, map[string]string{stolen: manifest.Revoked, held: manifest.Suspended, unknown: manifest.Revoked, free: manifest.Suspended}, o.entries(t))
	zip := o.bundled(t, r.Number)
	got, err := manifest.Verifier{Keys: o.keys(t)}.OpenDelivery(bytes.NewReader(zip), int64(len(zip)), paperoffice.At)
	require.NoError(t, err)
	require.Greater(t, got.List.Number, before.Number+1000)

	// People repeat them; what they let go afterwards is free.
	o.OnLetter(t, l, request.Kasubdit, "reader dicuri", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.End(ctx, tx, l, []int{1}, activation.VerbStolen, c)
	})
	o.OnLetter(t, l, request.Kasubdit, "seperti semula", suspend(2))
	require.Eventually(t, func() bool {
		carried, err := release.CarriedRevocations(context.Background(), o.DB)
		return err == nil && len(carried) == 1 && carried[0].Number == unknown && carried[0].Ticket == ""
	}, patience, 50*time.Millisecond)
	require.Len(t, o.entries(t), 4)
	o.OnLetter(t, l, request.Kasubdit, "selesai", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Resume(ctx, tx, l, []int{2, 3}, c)
	})
	require.Eventually(t, func() bool { return len(o.entries(t)) == 2 }, patience, 50*time.Millisecond)
	require.Equal(t, map[string]string{stolen: manifest.Revoked, unknown: manifest.Revoked}, o.entries(t))
}

// Whoever restored may have forgotten to say so: a line that was numbered on an earlier
// timeline may have been signed after the moment, and its serial is not signed again.
func TestASerialOfAnEarlierTimelineIsNotSigned(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	l, lines := o.Readers(t)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `CREATE OR REPLACE FUNCTION wal_timeline() RETURNS int LANGUAGE sql STABLE AS 'SELECT 2'`)
		return err
	})
	run(t, o.Office, o.config(), "")
	o.becomes(t, l, activation.ManifestReady)
	now, err := activation.Lines(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	for i, a := range now {
		require.NotEqual(t, *lines[i].ManifestSerial, *a.ManifestSerial)
		require.Contains(t, *a.ManifestSerial, "-1000000", "numbers of the second timeline")
		kept, err := activation.Manifest(t.Context(), o.DB, a.ID)
		require.NoError(t, err)
		h, err := sealed.Peek([]byte(kept.JWS))
		require.NoError(t, err)
		require.Equal(t, *a.ManifestSerial, h.Number)
	}
}

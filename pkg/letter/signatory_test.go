package letter_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

func appoint(t *testing.T, db *postgres.DB, s letter.Signatory) (made letter.Signatory, err error) {
	t.Helper()
	err = db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		made, err = letter.AppointSignatory(ctx, tx, s)
		return err
	})
	return made, err
}

func official(name, form, from, to string) letter.Signatory {
	s := letter.Signatory{PostCode: letter.Dirjen, Form: form, Name: name, Post: "Direktur Jenderal", ValidFrom: clock.MustParseDate(from)}
	if to != "" {
		last := clock.MustParseDate(to)
		s.ValidTo = &last
	}
	return s
}

// One holds a post at a time; who acts for the holder goes first while that lasts, and
// the holder signs again afterwards.
func TestWhoSignsOnADay(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	first, err := appoint(t, db, official("Pejabat Satu", letter.Definitif, "2026-01-01", ""))
	require.NoError(t, err)
	_, err = appoint(t, db, official("Pejabat Dua", letter.Definitif, "2026-06-01", ""))
	var wrong form.Faults
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "/valid_from", wrong[0].Pointer)
	require.Contains(t, wrong[0].Detail, "Pejabat Satu")
	_, err = appoint(t, db, official("Pejabat Harian", letter.Plh, "2026-03-02", "2026-03-04"))
	require.NoError(t, err, "the holder stays")
	_, err = appoint(t, db, official("Pejabat Lain", letter.Plt, "2026-03-04", "2026-03-09"))
	require.ErrorAs(t, err, &wrong, "two do not act at once")
	for day, name := range map[string]string{"2026-03-01": "Pejabat Satu", "2026-03-02": "Pejabat Harian", "2026-03-04": "Pejabat Harian", "2026-03-05": "Pejabat Satu"} {
		s, err := letter.SignatoryOn(t.Context(), db, letter.Dirjen, clock.MustParseDate(day))
		require.NoError(t, err)
		require.Equal(t, name, s.Name, day)
	}
	_, err = letter.SignatoryOn(t.Context(), db, letter.KasubditKI, clock.MustParseDate("2026-03-01"))
	require.ErrorIs(t, err, letter.ErrNoSignatory)

	end := func(version int64, last string) (s letter.Signatory, err error) {
		err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
			s, err = letter.EndTerm(ctx, tx, first.ID, version, clock.MustParseDate(last), clock.MustParseDate("2026-05-31"))
			return err
		})
		return s, err
	}
	_, err = end(7, "2026-05-31")
	require.ErrorIs(t, err, postgres.ErrStale)
	_, err = end(1, "2025-12-31")
	require.ErrorAs(t, err, &wrong)
	_, err = end(1, "2026-05-31")
	require.NoError(t, err)
	_, err = end(2, "2026-06-30")
	require.ErrorAs(t, err, &wrong, "what ended is not stretched")
	_, err = appoint(t, db, official("Pejabat Dua", letter.Definitif, "2026-06-01", ""))
	require.NoError(t, err)
	s, err := letter.SignatoryOn(t.Context(), db, letter.Dirjen, clock.MustParseDate("2026-06-01"))
	require.NoError(t, err)
	require.Equal(t, "Pejabat Dua", s.Name)
}

// Two who appoint at once do not both hold the post.
func TestAppointedAtOnce(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	var all sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		all.Go(func() { _, errs[i] = appoint(t, db, official("Pejabat", letter.Definitif, "2026-01-01", "")) })
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		var wrong form.Faults
		if err == nil {
			made++
		} else {
			require.True(t, errors.As(err, &wrong), "%v", err)
		}
	}
	require.Equal(t, 1, made)
}

// What stands above a signature follows from its form (users.md C.2).
func TestPrintedPosts(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]string{
		letter.Definitif: "Direktur FPDDK", letter.Plt: "Plt. Direktur FPDDK", letter.Plh: "Plh. Direktur FPDDK",
		letter.AtasNama: "a.n. Direktur Jenderal\nDirektur FPDDK", letter.UntukBel: "a.n. Direktur Jenderal\nSekretaris\nu.b.\nDirektur FPDDK",
		"": "Direktur FPDDK", // of papers of before
	} {
		s := letter.Signatory{Form: form, Post: "Direktur FPDDK", Principal: "Direktur Jenderal", Through: "Sekretaris"}
		require.Equal(t, want, s.Printed())
	}
}

func TestAnOfficialIsChecked(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	for pointer, spoil := range map[string]func(s *letter.Signatory){
		"/post_code": func(s *letter.Signatory) { s.PostCode = "x" }, "/form": func(s *letter.Signatory) { s.Form = "" },
		"/name": func(s *letter.Signatory) { s.Name = " " }, "/nip": func(s *letter.Signatory) { s.NIP = "1234" }, "/post": func(s *letter.Signatory) { s.Post = "" },
		"/principal": func(s *letter.Signatory) { s.Form = letter.AtasNama }, "/through": func(s *letter.Signatory) { s.Through = "x" },
		"/valid_to":   func(s *letter.Signatory) { s.Form = letter.Plh },
		"/valid_from": func(s *letter.Signatory) { s.ValidFrom = clock.Date{} },
	} {
		s := official("Pejabat", letter.Definitif, "2026-01-01", "")
		spoil(&s)
		_, err := appoint(t, db, s)
		var wrong form.Faults
		require.ErrorAs(t, err, &wrong, pointer)
		require.Equal(t, pointer, wrong[0].Pointer)
		require.Len(t, wrong, 1, pointer)
	}
}

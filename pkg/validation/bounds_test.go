package validation_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/validation"
)

// TestFindingsAreInOurWords: an error of Excel in a cell can be any text in the file,
// and equal ones are one finding however they differ in it.
func TestFindingsAreInOurWords(t *testing.T) {
	t.Parallel()
	s := good(t, 400)
	for row := 2; row <= 401; row++ {
		for _, column := range []string{"D", "E"} {
			s.set(t, fmt.Sprintf("%s%d", column, row), fmt.Sprintf("#UJI%d", row))
		}
	}
	b, err := s.book.WriteToBuffer()
	require.NoError(t, err)
	file := rewritten(t, b.Bytes(), "xl/worksheets/sheet", func(text string) string {
		return regexp.MustCompile(`<c r="([DE])([2-9]|[0-9]{2,})"([^>]*?) t="[a-zA-Z]+">.*?</c>`).ReplaceAllString(text, `<c r="$1$2"$3 t="e"><v>#UJI$2</v></c>`)
	})
	list, err := validation.ReadList(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	var told []string
	for _, f := range list.Faults {
		told = append(told, f.Code+" "+f.Detail)
	}
	require.Equal(t, []string{"cell_error 400 sel (D2:D401): berisi galat Excel.", "cell_error 400 sel (E2:E401): berisi galat Excel."}, told)
}

// rewritten is a workbook with the parts whose names begin so changed.
func rewritten(t *testing.T, file []byte, part string, change func(text string) string) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	for _, f := range in.File {
		r, err := f.Open()
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		if strings.HasPrefix(f.Name, part) {
			text = []byte(change(string(text)))
		}
		w, err := out.Create(f.Name)
		require.NoError(t, err)
		_, err = w.Write(text)
		require.NoError(t, err)
	}
	require.NoError(t, out.Close())
	return b.Bytes()
}

// panicking is a database whose comparison of cards panics.
type panicking struct{ postgres.Reader }

func (p panicking) Select(ctx context.Context, dest any, query string, args ...any) error {
	if strings.Contains(query, "live_reader") {
		panic("uji")
	}
	return p.Reader.Select(ctx, dest, query, args...)
}

// TestAPanicBesideTheRulesIsAnError: it ends no process, as a panic in the rules
// does not.
func TestAPanicBesideTheRulesIsAnError(t *testing.T) {
	t.Parallel()
	db := office(t)
	s := good(t, 3)
	_, err := validation.Check(t.Context(), panicking{db}, s.r, s.list(t), clock.DateOf(morning))
	require.ErrorContains(t, err, "validation: panic: uji")
}

// TestAFaultyPatternIsTheDatasOwn: it is no fault of the database, which would be
// waited for.
func TestAFaultyPatternIsTheDatasOwn(t *testing.T) {
	t.Parallel()
	db := office(t)
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return institution.SeedMachineType(ctx, tx, institution.MachineType{Code: "RUSAK", Name: "Rusak", UsesReader: true, SAMPattern: "[0-9", ReaderPattern: "x"})
	}))
	s := good(t, 2000)
	s.r.MachineType = "RUSAK"
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := validation.Check(ctx, tx, s.r, s.list(t), clock.DateOf(morning))
		return err
	})
	require.Error(t, err)
	require.False(t, postgres.Foreign(err), "%v", err)
	require.False(t, errors.Is(err, context.Canceled))
}

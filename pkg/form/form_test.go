package form_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/form"
)

func TestFields(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		check func(f *form.Faults, text *string)
		text  string
		want  string // code, or empty
		kept  string
	}{
		"spaces are taken away": {func(f *form.Faults, s *string) { f.Need("/x", "Nama", s, 5) }, "  abc ", "", "abc"},
		"only spaces":           {func(f *form.Faults, s *string) { f.Need("/x", "Nama", s, 5) }, "  ", "missing", ""},
		"characters, not bytes": {func(f *form.Faults, s *string) { f.Need("/x", "Nama", s, 5) }, "ééééé", "", "ééééé"},
		"too long":              {func(f *form.Faults, s *string) { f.May("/x", "Nama", s, 5) }, "abcdef", "too_long", "abcdef"},
		"line break":            {func(f *form.Faults, s *string) { f.May("/x", "Nama", s, 5) }, "a\nb", "bad_character", "a\nb"},
		"invisible":             {func(f *form.Faults, s *string) { f.May("/x", "Nama", s, 5) }, "a\u200bb", "bad_character", "a\u200bb"},
		"not UTF-8":             {func(f *form.Faults, s *string) { f.May("/x", "Nama", s, 5) }, "a\xff", "bad_character", "a\xff"},
		"lines":                 {func(f *form.Faults, s *string) { f.Lines("/x", "Alamat", s, 5) }, "a\r\nb", "", "a\nb"},
		"NUL in lines":          {func(f *form.Faults, s *string) { f.Lines("/x", "Alamat", s, 5) }, "a\x00b", "bad_character", "a\x00b"},
		"mail":                  {func(f *form.Faults, s *string) { f.Mail("/x", "Surel", s) }, "a@contoh.go.id", "", "a@contoh.go.id"},
		"no mail":               {func(f *form.Faults, s *string) { f.Mail("/x", "Surel", s) }, "", "", ""},
		"mail with a name":      {func(f *form.Faults, s *string) { f.Mail("/x", "Surel", s) }, "A <a@b.id>", "wrong_form", "A <a@b.id>"},
		"phone":                 {func(f *form.Faults, s *string) { f.Phone("/x", "Telepon", s) }, "(021) 765-432", "", "(021) 765-432"},
		"phone too short":       {func(f *form.Faults, s *string) { f.Phone("/x", "Telepon", s) }, "+62 1", "too_short", "+62 1"},
		"phone in words":        {func(f *form.Faults, s *string) { f.Phone("/x", "Telepon", s) }, "nol dua 12345", "wrong_form", "nol dua 12345"},
	} {
		var faults form.Faults
		text := c.text
		c.check(&faults, &text)
		require.Equal(t, c.kept, text, name)
		if c.want == "" {
			require.NoError(t, faults.Err(), name)
			continue
		}
		require.Len(t, faults, 1, name)
		require.Equal(t, c.want, faults[0].Code, name)
		require.True(t, strings.HasSuffix(faults[0].Detail, "."), name)
		require.ErrorContains(t, faults.Err(), "/x "+c.want, name)
	}
}

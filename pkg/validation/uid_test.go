package validation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardlist"
)

// A list may say which chip each card has. A UID is compared without what people put
// between its bytes; one that is none, or stands twice, is a finding.
func TestAListMayNameTheChips(t *testing.T) {
	t.Parallel()
	db := office(t)
	s := good(t, 4)
	require.Empty(t, s.list(t).Row(0).UID, "without the column nothing is said")
	s.set(t, "F1", "UID")
	s.set(t, "F2", " 4b:54 60-15A1B2C3D4E5F6 ")
	s.set(t, "F3", "4B546015A1B2C3D4E5F7")
	require.Empty(t, s.check(t, db))
	require.Equal(t, "4B546015A1B2C3D4E5F6", s.list(t).Row(0).UID)
	require.Empty(t, s.list(t).Row(2).UID)

	s.set(t, "F4", "4B54 6015 A1B2 C3D4 E5F6")
	s.set(t, "F5", "bukan UID")
	found := s.check(t, db)
	require.Len(t, found, 2)
	require.ElementsMatch(t, []string{"uid_form", "uid_repeated"}, []string{found[0].Code, found[1].Code})
	for _, f := range found {
		require.Contains(t, []string{"daftar!" + cardlist.Sheet + "!F4", "daftar!" + cardlist.Sheet + "!F5"}, f.Pointer)
	}
}

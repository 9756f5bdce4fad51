package cardsecret_test

import (
	"bytes"
	"io"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardsecret"
)

// TestBothPartsAreNeeded: together they open what was made for the escrow key; one with
// anything else, and one mistyped, do not.
func TestBothPartsAreNeeded(t *testing.T) {
	t.Parallel()
	for range 50 {
		first, second, recipient, err := cardsecret.NewParts()
		require.NoError(t, err)
		require.Equal(t, recipient, joined(t, first, second))
		require.Equal(t, recipient, joined(t, second, first))
		require.NotEqual(t, recipient, joined(t, first, cardsecret.Part{}))
		require.NotEqual(t, recipient, joined(t, cardsecret.Part{}, second))
		wrong := second
		wrong[31] ^= 0x01
		require.NotEqual(t, second.Check(), wrong.Check())
		require.NotEqual(t, recipient, joined(t, first, wrong))
		_, err = cardsecret.Join(&first, &first)
		require.Error(t, err)
	}
	first, second, recipient, err := cardsecret.NewParts()
	require.NoError(t, err)
	key, err := age.ParseX25519Recipient(recipient)
	require.NoError(t, err)
	var file bytes.Buffer
	w, err := age.Encrypt(&file, key)
	require.NoError(t, err)
	_, err = io.WriteString(w, "isi")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	id, err := cardsecret.Join(&first, &second)
	require.NoError(t, err)
	r, err := age.Decrypt(&file, id)
	require.NoError(t, err)
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "isi", string(text))
}

func joined(t *testing.T, first, second cardsecret.Part) string {
	t.Helper()
	id, err := cardsecret.Join(&first, &second)
	require.NoError(t, err)
	return id.Recipient().String()
}

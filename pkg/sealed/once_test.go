package sealed_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/sealed"
)

// A life that is written twice, in another case, or as nothing does not bring a key back.
func TestALifeIsToldOnce(t *testing.T) {
	t.Parallel()
	s, _, _ := signer(t)
	j, err := sealed.NewJWK(s.Public())
	require.NoError(t, err)
	one, err := json.Marshal(j)
	require.NoError(t, err)
	for _, life := range []string{
		`"exp":null`, `"revoked":null`, `"exp":1.5`, `"exp":1e9`, `"exp":1e400`, `"exp":"0"`,
		`"revoked":{"revoked_at":5,"reason":"bocor"},"revoked":null`, `"revoked":{"revoked_at":5},"Revoked":null`,
		`"exp":5,"exp":9`, `"exp":5,"EXP":0`, `"revoked":{"revoked_at":5},"revo\u212Aed":null`, `"revoked":{"revoked_at":5,"revoked_at":6}`, `"revoked":[]`, `"revoked":false`,
	} {
		key := bytes.Replace(one, []byte(`{`), []byte(`{`+life+`,`), 1)
		for name, file := range map[string][]byte{"key": key, "set": append(append([]byte(`{"keys":[`), key...), `]}`...)} {
			_, err := sealed.ParseKeys(file)
			require.ErrorIs(t, err, sealed.ErrForm, "%s: %s", name, life)
		}
	}
	for _, life := range []string{`"exp":0`, `"EXP":5`, `"Revoked":{}`, `"x5t":null,"exp":0,"ext":1,"ext":2`} {
		keys, err := sealed.ParseKeys(bytes.Replace(one, []byte(`{`), []byte(`{`+life+`,`), 1))
		require.NoError(t, err, life)
		k := keys[s.KeyID()]
		require.True(t, !k.Ends.IsZero() || k.Revoked != nil, "%s: it is not in use", life)
		again, err := keys.File()
		require.NoError(t, err)
		keys, err = sealed.ParseKeys(again)
		require.NoError(t, err)
		require.Equal(t, k, keys[s.KeyID()], life)
	}
}

// A key that is none opens nothing, and harms nobody who has others.
func TestNoKeyIsNoKey(t *testing.T) {
	t.Parallel()
	s, _, keys := signer(t)
	token, err := s.Sign(t.Context(), header(), nil)
	require.NoError(t, err)
	_, _, err = sealed.Keys{s.KeyID(): {}}.Open(purpose, token)
	require.ErrorIs(t, err, sealed.ErrKey)
	_, _, err = sealed.Keys(nil).Open(purpose, token)
	require.ErrorIs(t, err, sealed.ErrKey)
	_, err = sealed.Collect(sealed.Key{})
	require.ErrorIs(t, err, sealed.ErrForm)
	require.Empty(t, sealed.Keys(nil).Revoke(map[string]sealed.Revocation{s.KeyID(): {}}))
	_, err = sealed.Keys{"": {}}.File()
	require.ErrorIs(t, err, sealed.ErrForm)
	keys.Add(sealed.Keys{"": {}})
	_, _, err = keys.Open(purpose, token)
	require.NoError(t, err)
}

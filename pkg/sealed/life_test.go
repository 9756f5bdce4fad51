package sealed_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/sealed"
)

// A key that has ended signs nothing more, and what it signed before holds; one that was
// revoked is believed for nothing, whatever the time that stands in what it signed.
func TestTheLifeOfAKey(t *testing.T) {
	t.Parallel()
	s, _, keys := signer(t)
	id := s.KeyID()
	token, err := s.Sign(t.Context(), header(), []byte("isi"))
	require.NoError(t, err)
	zip := bundle(t, s, sealed.File{Name: "a.txt", Data: []byte("a")})
	lived := func(ends time.Time, r *sealed.Revocation) sealed.Keys {
		k, err := sealed.Collect(sealed.Key{Public: keys[id].Public, Ends: ends, Revoked: r})
		require.NoError(t, err)
		return k
	}
	for name, c := range map[string]struct {
		keys sealed.Keys
		want error
	}{
		"in use":       {lived(time.Time{}, nil), nil},
		"ended after":  {lived(moment.Add(time.Second), nil), nil},
		"ended then":   {lived(moment, nil), sealed.ErrKeyEnded},
		"ended before": {lived(moment.Add(-time.Hour), nil), sealed.ErrKeyEnded},
		// Who has the key writes any time.
		"revoked later": {lived(time.Time{}, &sealed.Revocation{At: moment.AddDate(1, 0, 0)}), sealed.ErrKeyRevoked},
		"both":          {lived(moment, &sealed.Revocation{At: moment}), sealed.ErrKeyRevoked},
		"by a list":     {keys.Revoke(map[string]sealed.Revocation{id: {At: moment}, "another": {}}), sealed.ErrKeyRevoked},
		"only known":    {lived(moment, &sealed.Revocation{At: moment}).Known(), nil},
	} {
		_, _, err := c.keys.Open(purpose, token)
		require.ErrorIs(t, err, c.want, name)
		_, errBundle := open(c.keys, zip)
		require.ErrorIs(t, errBundle, c.want, name)
		require.Len(t, c.keys, 1, name)

		// It is the same after the key was written to a file and read again.
		file, err := c.keys.File()
		require.NoError(t, err, name)
		again, err := sealed.ParseKeys(file)
		require.NoError(t, err, name)
		require.Equal(t, c.keys[id], again[id], name)

	}
	require.NoError(t, func() error { _, _, err := keys.Open(purpose, token); return err }(), "Revoke leaves the reader's own keys alone")
}

// The stricter of two files counts, in either order.
func TestAnOldKeyFileBringsNoKeyBack(t *testing.T) {
	t.Parallel()
	_, _, keys := signer(t)
	_, _, others := signer(t)
	public := keys[keys.IDs()[0]].Public
	var all []sealed.Key
	for _, ends := range []time.Time{{}, moment, moment.Add(time.Hour)} {
		for _, r := range []*sealed.Revocation{nil, {At: moment, Reason: "bocor"}, {At: moment.Add(time.Hour)}} {
			all = append(all, sealed.Key{Public: public, Ends: ends, Revoked: r})
		}
	}
	for i, a := range all {
		for j, b := range all {
			one, err := sealed.Collect(a, b)
			require.NoError(t, err)
			got := one[keys.IDs()[0]]
			at := fmt.Sprint(i, j)
			require.Equal(t, a.Ends.IsZero() && b.Ends.IsZero(), got.Ends.IsZero(), at)
			require.Equal(t, a.Revoked == nil && b.Revoked == nil, got.Revoked == nil, at)
			if !got.Ends.IsZero() {
				require.False(t, !a.Ends.IsZero() && a.Ends.Before(got.Ends) || !b.Ends.IsZero() && b.Ends.Before(got.Ends), at)
			}
		}
	}
	both := maps.Clone(keys)
	both.Add(others)
	require.Len(t, both, 2)
}

// A life that cannot be read makes no key: it may have said that the key is not to be used.
func TestAKeyWhoseLifeIsUnreadable(t *testing.T) {
	t.Parallel()
	s, _, _ := signer(t)
	j, err := sealed.NewJWK(s.Public())
	require.NoError(t, err)
	one, err := json.Marshal(j)
	require.NoError(t, err)
	for _, life := range []string{
		`"exp":-1`, `"exp":"besok"`, `"exp":99999999999999`, `"revoked":"ya"`, `"revoked":true`, `"revoked":{"revoked_at":-5}`, `"revoked":{"revoked_at":"kemarin"}`,
		`"revoked":{"revoked_at":999999999999999}`,
	} {
		_, err := sealed.ParseKeys(bytes.Replace(one, []byte(`{`), []byte(`{`+life+`,`), 1))
		require.ErrorIs(t, err, sealed.ErrForm, life)
	}
	keys, err := sealed.ParseKeys(bytes.Replace(one, []byte(`{`), []byte(`{"revoked":{},`), 1))
	require.NoError(t, err)
	require.NotNil(t, keys[s.KeyID()].Revoked, "a revocation without a time is one")
	token, err := s.Sign(t.Context(), header(), nil)
	require.NoError(t, err)
	_, _, err = keys.Open(purpose, token)
	var revoked *sealed.KeyRevokedError
	require.True(t, errors.As(err, &revoked))
	require.Equal(t, s.KeyID(), revoked.KeyID)
}

package manifest_test

import (
	"bytes"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// naming is a list of a key that revokes others.
func naming(t testing.TB, s *sealed.Signer, number int64, keys ...manifest.KeyEntry) []byte {
	t.Helper()
	token, err := manifest.List{Number: number, IssuedAt: issued, NextUpdate: issued.AddDate(0, 6, 0), Keys: keys}.Sign(t.Context(), s)
	require.NoError(t, err)
	return token
}

// What a revoked key has signed does not count, manifest by manifest, list and delivery:
// the reader learns of it from his key file or from a list of the next key.
func TestWhatARevokedKeyHasSigned(t *testing.T) {
	t.Parallel()
	lost, keys := signer(t)
	next, others := signer(t)
	keys.Add(others)
	m, good := issue(t, lost, 1), issue(t, next, 2)
	entry := manifest.KeyEntry{KeyID: lost.KeyID(), At: inUse.Unix(), Reason: "token hilang"}
	l, err := manifest.OpenList(keys, naming(t, next, 9, entry), 0)
	require.NoError(t, err)
	require.Equal(t, []manifest.KeyEntry{entry}, l.Keys)
	marked := keys.Revoke(l.RevokedKeys())

	for name, v := range map[string]manifest.Verifier{
		"list": {Keys: keys, List: l}, "key file": {Keys: marked}, "both": {Keys: marked, List: l},
	} {
		for _, at := range []time.Time{inUse, inUse.AddDate(0, 0, -1), inUse.AddDate(1, 0, 0)} {
			_, err := v.Verify(m.Payload, m.JWS, at)
			require.ErrorIs(t, err, sealed.ErrKeyRevoked, name)
			require.ErrorContains(t, err, "token hilang")
		}
		_, err = v.Verify(good.Payload, good.JWS, inUse)
		require.NoError(t, err, name)
		old := delivery(t, lost, keys, 1)
		_, err = v.OpenDelivery(bytes.NewReader(old), int64(len(old)), inUse)
		require.ErrorIs(t, err, sealed.ErrKeyRevoked, name)
	}
	_, err = manifest.OpenList(marked, list(t, lost, 99), 0)
	require.ErrorIs(t, err, sealed.ErrKeyRevoked, "whoever has the key makes lists of any number")

	// A delivery of the next key may hold a manifest of the lost one: that one does not count.
	d := manifest.Delivery{Number: "SM-2", Issued: issued, List: naming(t, next, 9, entry), Keys: keys, Manifests: []manifest.Manifest{m, good}}
	var out bytes.Buffer
	require.NoError(t, d.Write(t.Context(), &out, next))
	got, err := manifest.Verifier{Keys: keys}.OpenDelivery(bytes.NewReader(out.Bytes()), int64(out.Len()), inUse)
	require.NoError(t, err)
	require.ErrorIs(t, got.Manifests[0].Err, sealed.ErrKeyRevoked)
	require.NoError(t, got.Manifests[1].Err)

	// The list inside tells of the key that signed the delivery, too.
	out.Reset()
	require.NoError(t, manifest.Delivery{Number: "SM-3", Issued: issued, List: naming(t, next, 9, entry), Keys: keys}.Write(t.Context(), &out, lost))
	_, err = manifest.Verifier{Keys: keys}.OpenDelivery(bytes.NewReader(out.Bytes()), int64(out.Len()), inUse)
	require.ErrorIs(t, err, sealed.ErrKeyRevoked)
}

func TestAListOfRevokedKeysHasOneForm(t *testing.T) {
	t.Parallel()
	s, keys := signer(t)
	token := naming(t, s, 3, manifest.KeyEntry{KeyID: "b", At: 5, Reason: "bocor"}, manifest.KeyEntry{KeyID: "a"})
	l, err := manifest.OpenList(keys, token, 0)
	require.NoError(t, err)
	require.Equal(t, "a", l.Keys[0].KeyID, "sorted")
	require.Len(t, maps.Clone(l.RevokedKeys()), 2)
	flips(token, func(changed []byte, at int) {
		_, err := manifest.OpenList(keys, changed, 0)
		requireKnown(t, err, at)
	})
	without, err := manifest.List{}.Says()
	require.NoError(t, err)
	require.JSONEq(t, `{"revoked":[]}`, string(without), "a list without keys is what it was before there were any")
	with, err := l.Says()
	require.NoError(t, err)
	require.NotEqual(t, without, with, "a revoked key is news")
	for name, bad := range map[string][]manifest.KeyEntry{
		"its own key": {{KeyID: s.KeyID()}}, "twice": {{KeyID: "a"}, {KeyID: "a"}}, "nameless": {{}}, "before 1970": {{KeyID: "a", At: -1}},
	} {
		_, err := manifest.List{Number: 1, IssuedAt: issued, NextUpdate: issued.Add(time.Hour), Keys: bad}.Sign(t.Context(), s)
		require.ErrorIs(t, err, sealed.ErrForm, name)
	}
	// A list that revokes the key it is signed with is refused, however it came to be.
	h := sealed.Header{Type: manifest.ListPurpose, Number: "4", Format: manifest.ListFormat, IssuedAt: 1, NotBefore: 1, Expires: 2}
	own, err := s.Sign(t.Context(), h, []byte(`{"revoked":[],"keys":[{"kid":"`+s.KeyID()+`","at":0,"reason":""}]}`))
	require.NoError(t, err)
	_, err = manifest.OpenList(keys, own, 0)
	require.ErrorIs(t, err, sealed.ErrKeyRevoked)
}

// A key that one list has revoked stays so, whichever list is newer, and for a bundle that
// was opened before the list came.
func TestANewerListBringsNoKeyBack(t *testing.T) {
	t.Parallel()
	lost, keys := signer(t)
	next, others := signer(t)
	keys.Add(others)
	l, err := manifest.OpenList(keys, naming(t, next, 5, manifest.KeyEntry{KeyID: lost.KeyID(), At: inUse.Unix(), Reason: "token hilang"}), 0)
	require.NoError(t, err)
	v := manifest.Verifier{Keys: keys, List: l}

	// After a restore, say, the registry forgot.
	d := manifest.Delivery{Number: "SM-1", Issued: issued, List: list(t, next, 9), Keys: keys, Manifests: []manifest.Manifest{issue(t, lost, 1), issue(t, next, 2)}}
	var out bytes.Buffer
	require.NoError(t, d.Write(t.Context(), &out, next))
	got, err := v.OpenDelivery(bytes.NewReader(out.Bytes()), int64(out.Len()), inUse)
	require.NoError(t, err)
	require.ErrorIs(t, got.Manifests[0].Err, sealed.ErrKeyRevoked)
	require.NoError(t, got.Manifests[1].Err)

	out.Reset()
	require.NoError(t, d.Write(t.Context(), &out, lost))
	b, err := keys.OpenBundle(bytes.NewReader(out.Bytes()), int64(out.Len()))
	require.NoError(t, err)
	_, err = v.Deliver(b, inUse)
	require.ErrorIs(t, err, sealed.ErrKeyRevoked)
	_, is := keys[lost.KeyID()]
	require.True(t, is)
	require.Nil(t, keys[lost.KeyID()].Revoked, "the reader's own keys are left alone")
}

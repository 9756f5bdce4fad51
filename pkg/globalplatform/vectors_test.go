package globalplatform_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/test/vectors"
)

func TestPublishedSCP03(t *testing.T) {
	t.Parallel()
	for _, v := range vectors.Load[vectors.SCP03](t, "scp03.json") {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			keys, err := globalplatform.SoftwareKeys(v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
			require.NoError(t, err)
			vectors.Replay(t, v, keys)
		})
	}
}

func TestPublishedCMAC(t *testing.T) {
	t.Parallel()
	for _, v := range vectors.Load[vectors.CMAC](t, "aes-cmac.json") {
		key, err := globalplatform.NewSoftwareKey(v.Key)
		require.NoError(t, err)
		for _, c := range v.Cases {
			got, err := key.CMAC(t.Context(), c.Message)
			require.NoError(t, err)
			require.Equal(t, c.MAC.String(), vectors.Hex(got).String(), "%s, %d bytes", v.ID, c.Len)
		}
	}
}

func TestPublishedKCV(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, c := range vectors.Load[vectors.KCV](t, "kcv.json")[0].Cases {
		if c.Alg != "AES" {
			continue
		}
		seen++
		key, err := globalplatform.NewSoftwareKey(c.Key)
		require.NoError(t, err)
		got, err := key.KCV(t.Context())
		require.NoError(t, err)
		require.Equal(t, c.KCV.String(), vectors.Hex(got).String())
	}
	require.Equal(t, 4, seen)
}

package harness_test

import (
	"testing"

	"github.com/miekg/pkcs11"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/harness"
)

func TestEachTestHasItsOwnToken(t *testing.T) {
	t.Parallel()
	one, two := harness.HSM(t), harness.HSM(t)
	require.NotEqual(t, one.Label, two.Label)

	lib := pkcs11.New(one.Module)
	require.NotNil(t, lib)
	require.NoError(t, lib.Initialize())
	t.Cleanup(func() {
		_ = lib.Finalize()
		lib.Destroy()
	})
	later := harness.HSM(t) // made after the library was loaded
	slots := map[string]uint{}
	all, err := lib.GetSlotList(true)
	require.NoError(t, err)
	for _, s := range all {
		info, err := lib.GetTokenInfo(s)
		require.NoError(t, err)
		slots[info.Label] = s
	}
	for _, token := range []harness.Token{one, two, later} {
		require.Contains(t, slots, token.Label)
		session, err := lib.OpenSession(slots[token.Label], pkcs11.CKF_SERIAL_SESSION)
		require.NoError(t, err)
		require.NoError(t, lib.Login(session, pkcs11.CKU_USER, token.PIN))
		require.NoError(t, lib.CloseSession(session))
	}
}

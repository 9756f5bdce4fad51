package globalplatform_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	gp "dukcapil.go.id/sifilma/pkg/globalplatform"
	chip "dukcapil.go.id/sifilma/test/virtualsam/card"
)

// dialogue is a card's way from its transport keys to SECURED.
func dialogue(ctx context.Context, t gp.Transmitter, o gp.OpenOptions, before, after gp.StaticKeys) error {
	if _, err := gp.Select(ctx, t, nil); err != nil {
		return err
	}
	o.KeyVersion = 0x20
	s, err := gp.OpenSession(ctx, t, before, o)
	if err != nil {
		return err
	}
	defer s.Close()
	secret := bytes.Repeat([]byte{0x5E}, 32)
	if _, err := gp.SetStatus(ctx, s, gp.Initialized); err != nil {
		return err
	}
	if err := s.StoreData(ctx, gp.DGI{ID: 0xDF02, Value: secret[:16]}, gp.DGI{ID: 0xDF03, Value: secret, Encrypt: true}); err != nil {
		return err
	}
	if _, err := s.PutKeys(ctx, 0x20, 0x21, after); err != nil {
		return err
	}
	o.KeyVersion = 0x21
	proof, err := gp.OpenSession(ctx, t, after, o)
	if err != nil {
		return err
	}
	defer proof.Close()
	_, err = gp.SetStatus(ctx, proof, gp.Secured)
	return err
}

// Whatever happens to whichever answer, the host says that the outcome is
// unknown, sends nothing more, and has not cost the card an attempt.
func TestTearAtEveryAPDU(t *testing.T) {
	t.Parallel()
	value := []byte("0123456789ABCDEFghijklmnopqrstuvwxyzABCDEFGHIJKLM")
	for name, one := range map[string]struct {
		cfg  chip.Config
		o    gp.OpenOptions
		make func(enc, mac, dek []byte) (gp.StaticKeys, error)
	}{
		"SCP03": {chip.Config{}, gp.OpenOptions{SecurityLevel: gp.LevelFull, AID: isd}, gp.SoftwareKeys},
		"SCP02": {chip.Config{Protocol: chip.SCP02, I: 0x75},
			gp.OpenOptions{Protocol: gp.SCP02, Options: 0x75, SecurityLevel: gp.LevelCMACCDECRMAC, AID: isd}, gp.SoftwareDESKeys},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := chipKeys(16)
			before, err := one.make(old.ENC, old.MAC, old.DEK)
			require.NoError(t, err)
			after, err := one.make(value[:16], value[16:32], value[32:48])
			require.NoError(t, err)
			whole := newSAM(t, one.cfg)
			require.NoError(t, dialogue(t.Context(), whole, one.o, before, after))
			require.Equal(t, "0F", whole.sam.State().LifeCycle)
			require.Equal(t, "21", whole.sam.State().KVN)
			require.Greater(t, len(whole.heard), 10)

			for n := 1; n <= len(whole.heard); n++ {
				for _, executed := range []bool{false, true} {
					for what, fault := range map[string]chip.Fault{
						"vanishes": {VanishAtAPDU: n, Executed: executed},
						"is mute":  {MuteAtAPDU: n, Executed: executed},
						"is empty": {EmptyAtAPDU: n, Executed: executed},
					} {
						s := newSAM(t, one.cfg)
						s.sam.SetFault(fault)
						err := dialogue(t.Context(), s, one.o, before, after)
						says := fmt.Sprintf("APDU %d %s, executed %v", n, what, executed)
						require.ErrorIs(t, err, gp.ErrOutcomeUnknown, says)
						require.False(t, gp.IsAuthenticationFailure(err), says)
						require.Len(t, s.heard, n, says)
						require.Zero(t, s.sam.State().AuthFailures, says)
					}
				}
			}
		})
	}
}

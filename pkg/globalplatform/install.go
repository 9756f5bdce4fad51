package globalplatform

import (
	"context"
	"fmt"
)

// InstallForPersonalization is INSTALL [for personalization] (GPC 2.3.1
// 11.5.2.3.6): the STORE DATA that follow go to the application with this AID,
// until the last block, an error that ends the session, or the next SELECT.
func InstallForPersonalization(ctx context.Context, ch Channel, aid []byte) error {
	const name = "INSTALL [for personalization]"
	if err := checkAID(aid); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	data := append([]byte{0x00, 0x00, byte(len(aid))}, aid...)
	data = append(data, 0x00, 0x00, 0x00)
	_, err := ch.Send(ctx, Command{Name: name, CLA: 0x80, INS: 0xE6, P1: 0x20, Data: data, Ne: MaxNe})
	return err
}

func checkAID(aid []byte) error {
	if len(aid) < 5 || len(aid) > 16 {
		return fmt.Errorf("%w: AID of %d bytes", ErrCommand, len(aid))
	}
	return nil
}

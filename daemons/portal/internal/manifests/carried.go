package manifests

import (
	"context"
	"errors"

	"dukcapil.go.id/sifilma/pkg/activation/release"
)

// afterRestore tells of a restore what concerns revocations: whether new lists wait for the
// last one that was published, and what people have to revoke again.
func (d Desk) afterRestore(ctx context.Context) (waits bool, carried []release.Carried, err error) {
	if err = release.Recovered(ctx, d.DB); errors.Is(err, release.ErrUnrecovered) {
		waits, err = true, nil
	}
	if err != nil {
		return waits, nil, err
	}
	carried, err = release.CarriedRevocations(ctx, d.DB)
	return waits, carried, err
}

package line

import (
	"context"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// giveUp fails a card that may not or cannot be tried any more, so that it can
// be replaced.
func (t *task) giveUp(ctx context.Context, id perso.Identity, place perso.Place, why string) verdict {
	err := t.line.DB.InTx(context.WithoutCancel(ctx), func(ctx context.Context, tx *postgres.Tx) (err error) {
		if err := t.line.same(ctx, tx); err != nil {
			return err
		}
		h, err := perso.Claim(ctx, tx, id, place, t.line.change(""))
		if err != nil {
			return err
		}
		if h, err = perso.Fail(ctx, tx, h, t.line.change(why)); err != nil {
			return err
		}
		return perso.Lay(ctx, tx, h, t.blame(causeOf(why), false), t.line.change(why))
	})
	if err != nil {
		return t.refusedBy(err)
	}
	t.line.count(outcomeFailed)
	return verdict{view: t.show(view{State: setAside, Outcome: outcomeFailed, Reason: why})}
}

// blame is why the card failed, with what its profile says of lots.
func (t *task) blame(cause string, lot bool) perso.Blame {
	return perso.Blame{Cause: cause, Limit: t.kit.profile.Lot.StopAfter, Lot: lot}
}

// causeKeys is the cause of cards whose keys are not those of the HSM.
const causeKeys = "Kunci kartu tidak cocok"

// causeOf is the cause that a reason of a failed card stands for.
func causeOf(text string) string {
	switch text {
	case stoppedText:
		return causeKeys
	case forgottenText:
		return "" // nothing is wrong with the lot
	}
	return text
}

const stoppedText = "Autentikasi kartu gagal berulang; chip tidak boleh dicoba lagi"

// unfittingText is the cause of cards whose profile has no room for their numbers.
const unfittingText = "Nomor manifest tidak muat pada tempatnya menurut profil"

// unfitting gives a claimed card back whose numbers do not fit, and stops its lot: the
// others' will not, either.
func (t *task) unfitting(ctx context.Context, err error) verdict {
	t.log.Error().Err(err).Msg("the numbers of a card do not fit its profile")
	if v, ok := t.releaseFor(ctx, unfittingText, true, t.blame(unfittingText, true)); !ok {
		return v
	}
	return verdict{view: t.show(view{State: refused, Outcome: outcomeRefused, Reason: unfittingText})}
}

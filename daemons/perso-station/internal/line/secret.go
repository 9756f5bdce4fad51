package line

import (
	"context"
	"errors"

	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// keepSecret makes the file by which the produsen will use the card, for the keys of this
// moment, in the transaction of the intent: what the station dies of afterwards, the file
// is there, and however the card gets clear, it does so by this attempt. Its hash and the
// fingerprints of its keys go into the intent. The error of a card that is nobody's is a
// *perso.Refusal.
func (t *task) keepSecret(ctx context.Context, tx *postgres.Tx, public map[string]any) error {
	c := t.hand.Card
	kept, err := cardsecret.Keep(ctx, tx, cardsecret.Target{RequestID: c.RequestID, CardID: c.ID, AttemptID: t.hand.Attempt.ID},
		cardsecret.Content{Serial: c.Serial, ChipID: t.look.ChipID, PCID: c.PCID, ManifestNo: c.ManifestNo, Secret: t.secret})
	if err != nil {
		return nobodys(err, c)
	}
	public["secret_file_sha256"], public["secret_file_key"], public["secret_file_escrow"] = kept.SHA256, kept.Fingerprint, kept.Escrow
	return nil
}

// nobodys makes a *perso.Refusal of an error that says that nobody could use the card.
func nobodys(err error, c perso.Card) error {
	switch {
	case errors.Is(err, cardsecret.ErrNoKey):
		return &perso.Refusal{Why: perso.NoRecipient, CardID: c.ID}
	case errors.Is(err, cardsecret.ErrNoEscrow):
		return &perso.Refusal{Why: perso.NoEscrow, CardID: c.ID}
	}
	return err
}

// ownerless gives a claimed card back whose key was given up after the claim: nothing was
// written.
func (t *task) ownerless(ctx context.Context, err error) verdict {
	if v, ok := t.release(ctx, "kunci penerima rahasia kartu berakhir", false); !ok {
		return v
	}
	return t.refusedBy(err)
}

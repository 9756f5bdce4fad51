package readers

import (
	"bytes"
	"context"
	"fmt"

	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/readersheet"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// MaySeePairs says whether an account may look at pairs: a produsen and the office. The error
// is a *machine.RoleError.
func MaySeePairs(who identity.Account) error {
	if report.Outside(who) && who.Role != request.Produsen {
		return &machine.RoleError{Machine: activation.Machine.Name, Verb: activation.VerbPair, Role: who.Role}
	}
	return nil
}

// PairsTemplate is the empty workbook of pairs.
func (d Desk) PairsTemplate() ([]byte, error) {
	var b bytes.Buffer
	err := readersheet.WritePairs(&b, nil)
	return b.Bytes(), err
}

// ReadPairs reads pairs from a workbook; what is wrong with it is returned as faults.
func (d Desk) ReadPairs(ctx context.Context, file *upload.File) (readersheet.Content, form.Faults, error) {
	done, err := d.Spool.Turn(ctx)
	if err != nil {
		return readersheet.Content{}, nil, err
	}
	defer done()
	return readersheet.ReadPairs(file.Content(), file.Content().Size())
}

// tidyPairs brings pairs into the shape in which they are kept.
func tidyPairs(pairs []activation.Pair) error {
	var wrong form.Faults
	switch {
	case len(pairs) == 0:
		wrong.Add("/pairs", "missing", "Isi sekurangnya satu pasangan kartu dan reader.")
	case len(pairs) > activation.MostPairs:
		return form.One("/pairs", "too_many", fmt.Sprintf("Paling banyak %d pasangan sekaligus.", activation.MostPairs))
	}
	for i := range pairs {
		at := fmt.Sprintf("/pairs/%d", i)
		wrong.Need(at+"/sam_serial", "Nomor seri kartu SAM", &pairs[i].SAM, 64)
		wrong.Need(at+"/reader_serial", "Nomor seri reader", &pairs[i].Reader, 64)
		pairs[i].SAM, pairs[i].Reader = cardlist.Normalise(pairs[i].SAM), cardlist.Normalise(pairs[i].Reader)
	}
	return wrong.Err()
}

// LookAtPairs judges pairs without recording them, and returns which reader each card is
// recorded with now. Errors: those of Pair.
func (d Desk) LookAtPairs(ctx context.Context, who identity.Account, pairs []activation.Pair) (before []string, err error) {
	if err := activation.MayPair(who.Role); err != nil {
		return nil, err
	}
	if err := tidyPairs(pairs); err != nil {
		return nil, err
	}
	return activation.LookAtPairs(ctx, d.DB, report.Scope(who), pairs)
}

// Pair records into which readers cards went whose list did not say. Errors:
// *machine.RoleError, form.Faults.
func (d Desk) Pair(ctx context.Context, who identity.Account, pairs []activation.Pair, from activation.Source) error {
	if err := activation.MayPair(who.Role); err != nil {
		return err
	}
	if err := tidyPairs(pairs); err != nil {
		return err
	}
	c := d.change(who, "")
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := activation.RecordPairs(ctx, tx, report.Scope(who), pairs, from, c); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: "activation.pair", Subject: who.ID, Detail: map[string]any{"pairs": pairs, "source": from}})
	})
}

package commit

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// activationReference keeps letters of readers apart from requests and needs.
const activationReference = "activation "

// Activation writes a surat permohonan aktivasi and closes the drop. Errors: those of
// Submit, activation.ErrNumberUsed, activation.ErrUnknownProdusen.
func (w *Writer) Activation(ctx context.Context, e Entry, n activation.New) (Answer, error) {
	defer e.Drop.Close()
	e.Drop.Form.Reference = activationReference + n.Number
	return w.alone(ctx, e, func(ctx context.Context, tx *postgres.Tx) (Answer, error) {
		stored, err := store(ctx, tx, e)
		if err != nil {
			return Answer{}, err
		}
		action, hash := "activation.submit", ""
		if n.Draft {
			action = "activation.draft"
		}
		for i, s := range stored {
			n.Scan, hash = s.BlobID, hex.EncodeToString(e.Drop.Files[i].SHA256[:])
		}
		made, err := activation.Create(ctx, tx, n, request.Change{Actor: e.Actor, OfficeAt: w.office.Now()})
		if err != nil {
			return Answer{}, err
		}
		if err := audit.Record(ctx, tx, audit.Entry{Actor: "api-key:" + e.Client.KeyID, Action: action, Subject: made.ID, Detail: map[string]any{
			"ticket": made.Ticket, "number": made.Form.Number, "lines": len(n.Lines), "letter_sha256": hash,
		}}); err != nil {
			return Answer{}, err
		}
		v, err := report.SeeActivation(ctx, tx, made.Ticket, e.Client.Account())
		if err != nil {
			return Answer{}, err
		}
		body, err := json.Marshal(v)
		if err != nil {
			return Answer{}, fmt.Errorf("intake: answer: %w", err)
		}
		return Answer{Status: http.StatusCreated, Location: "/api/v1/activations/" + made.Ticket, Body: body}, nil
	})
}

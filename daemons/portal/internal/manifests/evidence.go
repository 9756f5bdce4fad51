package manifests

import (
	"context"
	"errors"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/request/evidence"
)

var (
	// ErrOfficeOnly says that evidence holds the office's internals.
	ErrOfficeOnly = errors.New("manifests: evidence is the office's")
	// ErrNotMade says that a bundle was ordered and is still to be made.
	ErrNotMade = errors.New("manifests: the bundle is not made yet")
)

// mine is a request as the office knows it. Errors: request.ErrNotFound, ErrOfficeOnly.
func (d Desk) mine(ctx context.Context, who identity.Account, ticket string) (request.Request, error) {
	r, err := request.ByTicket(ctx, d.DB, ticket, report.Scope(who))
	if err == nil && report.Outside(who) {
		err = ErrOfficeOnly
	}
	return r, err
}

// OrderEvidence has a bundle of evidence made of a request as it stands now.
func (d Desk) OrderEvidence(ctx context.Context, who identity.Account, ticket string) error {
	r, err := d.mine(ctx, who, ticket)
	if err != nil {
		return err
	}
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		added, err := evidence.Order(ctx, tx, r.ID, who.Username, d.Office.Now())
		if err != nil || !added {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: "evidence.ordered", Subject: r.ID, Request: r.ID})
	})
}

// Evidence is the newest order of a request. Errors: those of mine, evidence.ErrNotFound.
func (d Desk) Evidence(ctx context.Context, who identity.Account, ticket string) (evidence.Evidence, error) {
	r, err := d.mine(ctx, who, ticket)
	if err != nil {
		return evidence.Evidence{}, err
	}
	return evidence.Latest(ctx, d.DB, r.ID)
}

// FetchEvidence is the file of the newest bundle, which is noted. Errors: those of
// Evidence, ErrNotMade, ErrEvidenceRevoked.
func (d Desk) FetchEvidence(ctx context.Context, who identity.Account, ticket string) (blobID, name string, err error) {
	e, err := d.Evidence(ctx, who, ticket)
	if err != nil {
		return "", "", err
	}
	if e.Bundle == nil {
		return "", "", ErrNotMade
	}
	if e.KeyRevoked {
		return "", "", ErrEvidenceRevoked
	}
	return *e.Bundle, "bukti-" + manifest.FileName(e.Ticket) + ".zip", d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: "evidence.fetched", Subject: e.ID, Request: e.RequestID})
	})
}

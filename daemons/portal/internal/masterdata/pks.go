package masterdata

import (
	"context"
	"strings"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// PKS is an agreement as it is shown.
type PKS struct {
	institution.PKS
	Status      string `json:"status"` // in_force, withdrawn, expired or not_yet, on the office's day
	StatusLabel string `json:"status_label"`
	// ToDecide are the requests that were accepted under an agreement that is no
	// longer in force and are not finished: Kasubdit KI holds each, or lets it go on.
	ToDecide []report.Affected `json:"to_decide"`
	History  []audit.Told      `json:"history,omitempty"`
	// SuspendedReaders are the readers of the lembaga that a withdrawn agreement keeps
	// suspended, while this one is in force; told with the agreement alone.
	SuspendedReaders int `json:"suspended_readers,omitempty"`
}

func (d *Desk) showPKS(p institution.PKS) PKS {
	status := p.On(d.Today())
	return PKS{PKS: p, Status: status, StatusLabel: institution.PKSLabels[status], ToDecide: []report.Affected{}}
}

// full adds what an agreement's own page shows.
func (d *Desk) full(ctx context.Context, rd postgres.Reader, who identity.Account, p institution.PKS) (PKS, error) {
	v := d.showPKS(p)
	if report.Outside(who) {
		v.WithdrawnBy = ""
		return v, nil
	}
	var err error
	if v.Status == institution.PKSWithdrawn || v.Status == institution.PKSExpired {
		if v.ToDecide, err = report.UnderPKS(ctx, rd, p.Number); err != nil {
			return v, err
		}
	}
	if v.Status == institution.PKSInForce {
		if v.SuspendedReaders, err = activation.SuspendedWithPKS(ctx, rd, p.InstitutionID); err != nil {
			return v, err
		}
	}
	v.History, err = audit.About(ctx, rd, p.ID, historyShown)
	return v, err
}

// PKS reads one: the office's people any, others their institution's. Error:
// institution.ErrNotFound.
func (d *Desk) PKS(ctx context.Context, who identity.Account, id string) (PKS, error) {
	p, err := institution.GetPKS(ctx, d.db, id, report.Scope(who))
	if err != nil {
		return PKS{}, err
	}
	return d.full(ctx, d.db, who, p)
}

// ListPKS lists them: for the office's people all, for others their institution's.
func (d *Desk) ListPKS(ctx context.Context, who identity.Account, f institution.PKSFilter) ([]PKS, error) {
	if scope := report.Scope(who); scope != "" {
		f.InstitutionID = scope
	}
	f.Day = d.Today()
	list, err := institution.ListPKS(ctx, d.db, f)
	out := make([]PKS, len(list))
	for i, p := range list {
		if out[i] = d.showPKS(p); report.Outside(who) {
			out[i].WithdrawnBy = ""
		}
	}
	return out, err
}

// CreatePKS writes a new agreement. Errors: ErrForbidden, form.Faults.
func (d *Desk) CreatePKS(ctx context.Context, who identity.Account, p institution.PKS) (PKS, error) {
	return d.changePKS(ctx, who, "pks.create", func(ctx context.Context, tx *postgres.Tx) (institution.PKS, map[string]any, error) {
		made, err := institution.CreatePKS(ctx, tx, p)
		return made, map[string]any{"pks": made}, err
	})
}

// ChangePKS corrects number and dates as of the version in p. A number that
// requests name stays. Errors: ErrForbidden, form.Faults, institution.ErrNotFound,
// postgres.ErrStale.
func (d *Desk) ChangePKS(ctx context.Context, who identity.Account, p institution.PKS) (PKS, error) {
	return d.changePKS(ctx, who, "pks.change", func(ctx context.Context, tx *postgres.Tx) (institution.PKS, map[string]any, error) {
		before, err := institution.GetPKS(ctx, tx, p.ID, "")
		if err != nil {
			return before, nil, err
		}
		made, err := institution.ChangePKS(ctx, tx, p)
		if err != nil {
			return before, nil, err
		}
		if made.Number != before.Number {
			used, err := report.PKSNamed(ctx, tx, before.Number)
			if err != nil {
				return made, nil, err
			}
			if used {
				return made, nil, form.One("/number", "in_use", "Nomor ini disebut pada permohonan, jadi tidak dapat diubah. Daftarkan PKS baru dengan nomor yang benar.")
			}
		}
		return made, map[string]any{"from": before, "to": made}, nil
	})
}

// WithdrawPKS ends an agreement; the answer says which requests are to be decided
// about. Errors: ErrForbidden, form.Faults, institution.ErrNotFound,
// institution.ErrAlready, postgres.ErrStale.
func (d *Desk) WithdrawPKS(ctx context.Context, who identity.Account, id string, version int64, on clock.Date, reason string) (PKS, error) {
	return d.changePKS(ctx, who, "pks.withdraw", func(ctx context.Context, tx *postgres.Tx) (institution.PKS, map[string]any, error) {
		made, err := institution.WithdrawPKS(ctx, tx, id, version, on, d.Today(), reason, who.Username)
		if err != nil {
			return made, nil, err
		}
		suspended, err := d.readersOf(ctx, tx, who, made, false, "PKS "+made.Number+" dicabut: "+made.WithdrawnReason)
		return made, map[string]any{"date": made.WithdrawnOn, "reason": made.WithdrawnReason, "readers_suspended": suspended}, err
	})
}

// ReinstatePKS takes a withdrawal back. Errors: as WithdrawPKS.
func (d *Desk) ReinstatePKS(ctx context.Context, who identity.Account, id string, version int64, reason string) (PKS, error) {
	return d.changePKS(ctx, who, "pks.reinstate", func(ctx context.Context, tx *postgres.Tx) (institution.PKS, map[string]any, error) {
		made, err := institution.ReinstatePKS(ctx, tx, id, version, reason)
		if err != nil {
			return made, nil, err
		}
		resumed, err := d.readersOf(ctx, tx, who, made, true, "PKS "+made.Number+" berlaku kembali: "+strings.TrimSpace(reason))
		return made, map[string]any{"reason": reason, "readers_resumed": resumed}, err
	})
}

// ResumeReaders resumes all readers of a lembaga that a withdrawn agreement keeps suspended,
// under this one, which must be in force: one act, with a reason. Errors: ErrForbidden,
// activation.ErrReasonMissing, activation.ErrNoLines, *institution.NotInForceError,
// institution.ErrNotFound, postgres.ErrStale.
func (d *Desk) ResumeReaders(ctx context.Context, who identity.Account, id string, version int64, reason string) (PKS, error) {
	return d.changePKS(ctx, who, "pks.resume_readers", func(ctx context.Context, tx *postgres.Tx) (institution.PKS, map[string]any, error) {
		var wrong form.Faults
		wrong.Lines("/reason", "Alasan", &reason, 2000)
		if reason = strings.TrimSpace(reason); reason == "" && len(wrong) == 0 {
			return institution.PKS{}, nil, activation.ErrReasonMissing
		}
		if err := wrong.Err(); err != nil {
			return institution.PKS{}, nil, err
		}
		p, err := institution.GetPKS(ctx, tx, id, "")
		if err != nil {
			return p, nil, err
		}
		if err := institution.HoldPKS(ctx, tx, p.Number, d.Today()); err != nil {
			return p, nil, err
		}
		if p, err = institution.GetPKS(ctx, tx, id, ""); err != nil { // as it is held now
			return p, nil, err
		}
		if p.Version != version {
			return p, nil, postgres.ErrStale
		}
		n, err := activation.ResumeLembaga(ctx, tx, p.InstitutionID, request.Change{
			Actor: who.Actor(), Reason: "PKS " + p.Number + " berlaku: " + reason, OfficeAt: d.office.Now(),
		})
		if err == nil && n == 0 {
			err = activation.ErrNoLines
		}
		return p, map[string]any{"reason": reason, "readers_resumed": n}, err
	})
}

// readersOf suspends the activations of a lembaga that has no agreement in force any more,
// or resumes them when it has one again: in one act with the agreement itself.
func (d *Desk) readersOf(ctx context.Context, tx *postgres.Tx, who identity.Account, p institution.PKS, wantCovered bool, reason string) (int, error) {
	covered, err := institution.Covered(ctx, tx, []string{p.InstitutionID}, d.Today())
	if err != nil || covered[p.InstitutionID] != wantCovered {
		return 0, err
	}
	do := activation.SuspendLembaga
	if wantCovered {
		do = activation.ResumeLembaga
	}
	return do(ctx, tx, p.InstitutionID, request.Change{Actor: who.Actor(), Reason: reason, OfficeAt: d.office.Now()})
}

func (d *Desk) changePKS(ctx context.Context, who identity.Account, action string,
	do func(ctx context.Context, tx *postgres.Tx) (institution.PKS, map[string]any, error)) (v PKS, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		p, detail, err := do(ctx, tx)
		if err != nil {
			return audit.Entry{}, err
		}
		v, err = d.full(ctx, tx, who, p)
		return audit.Entry{Action: action, Subject: p.ID, Detail: detail}, err
	})
	return v, err
}

package institution

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// States of a PKS. That one has expired, or has not begun, is derived from its
// dates.
const (
	PKSInForce   = "in_force"
	PKSWithdrawn = "withdrawn"
	PKSExpired   = "expired"
	PKSNotYet    = "not_yet"
)

// PKSLabels are the Indonesian names of what a PKS can be on a day.
var PKSLabels = map[string]string{
	PKSInForce: "Berlaku", PKSWithdrawn: "Dicabut", PKSExpired: "Berakhir", PKSNotYet: "Belum berlaku",
}

// PKS is the agreement between a lembaga pengguna and Ditjen Dukcapil
// (features.md I08, users.md A.5).
type PKS struct {
	ID              string      `db:"id" json:"id"`
	Number          string      `db:"number" json:"number"`
	InstitutionID   string      `db:"institution_id" json:"institution_id"`
	Institution     string      `db:"institution" json:"institution"`
	ValidFrom       clock.Date  `db:"valid_from" json:"valid_from"`
	ValidTo         clock.Date  `db:"valid_to" json:"valid_to"` // the last day
	State           string      `db:"state" json:"state"`       // in_force or withdrawn
	WithdrawnOn     *clock.Date `db:"withdrawn_on" json:"withdrawn_on"`
	WithdrawnReason string      `db:"withdrawn_reason" json:"withdrawn_reason"`
	WithdrawnBy     string      `db:"withdrawn_by" json:"withdrawn_by"`
	Version         int64       `db:"version" json:"version"`

	LembagaActive bool `db:"lembaga_active" json:"-"` // whether the lembaga takes part still
}

// InForce says whether the agreement is in force on a day.
func (p PKS) InForce(day clock.Date) bool { return p.On(day) == PKSInForce }

// On is what the agreement is on a day.
func (p PKS) On(day clock.Date) string {
	switch {
	case p.State != PKSInForce:
		return PKSWithdrawn
	case day.Before(p.ValidFrom):
		return PKSNotYet
	case day.After(p.ValidTo):
		return PKSExpired
	}
	return PKSInForce
}

const selectPKS = `
	SELECT p.id, p.number, p.institution_id, i.name AS institution, p.valid_from, p.valid_to, p.state, p.withdrawn_on,
	       p.withdrawn_reason, p.withdrawn_by, p.version, i.active AS lembaga_active
	FROM pks p JOIN institution i ON i.id = p.institution_id `

// EnsurePKS writes an agreement by its number, new or changed. One that was
// withdrawn stays so.
func EnsurePKS(ctx context.Context, tx *postgres.Tx, p PKS) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("institution: id: %w", err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO pks (id, number, institution_id, valid_from, valid_to, state) VALUES ($1,$2,$3,$4,$5,$6)
		ON CONFLICT (number) DO UPDATE SET institution_id=excluded.institution_id, valid_from=excluded.valid_from,
		            valid_to=excluded.valid_to, version=pks.version+1,
		            state=CASE pks.state WHEN 'withdrawn' THEN pks.state ELSE excluded.state END`,
		id.String(), p.Number, p.InstitutionID, p.ValidFrom, p.ValidTo, p.State)
	if err != nil {
		return fmt.Errorf("institution: writing PKS %q: %w", p.Number, err)
	}
	return nil
}

// PKSByNumber returns the agreement with this number.
func PKSByNumber(ctx context.Context, rd postgres.Reader, number string) (PKS, error) {
	return one[PKS](ctx, rd, selectPKS+`WHERE p.number = $1`, number)
}

// GetPKS returns the agreement with this id. A non-empty institutionID limits the
// answer to that institution's.
func GetPKS(ctx context.Context, rd postgres.Reader, id, institutionID string) (PKS, error) {
	return one[PKS](ctx, rd, selectPKS+`WHERE p.id = $1 AND ($2 = '' OR p.institution_id::text = $2)`, id, institutionID)
}

// NotInForceError says that an agreement does not carry new work on a day, or that
// its lembaga takes no part any more. PKS is nil when there is none of that number.
type NotInForceError struct {
	Number  string
	PKS     *PKS
	Lembaga string // instead of Number: it has no agreement in force at all
	Day     clock.Date
}

func (e *NotInForceError) Error() string {
	if e.Lembaga != "" {
		return fmt.Sprintf("institution: no PKS of %q is in force on %s", e.Lembaga, e.Day)
	}
	return fmt.Sprintf("institution: PKS %q is not in force on %s", e.Number, e.Day)
}

// HoldPKS demands that an agreement is in force on a day and its lembaga active,
// and keeps both so until the transaction ends: whoever withdraws or deactivates
// afterwards sees what was done under it. Error: *NotInForceError.
func HoldPKS(ctx context.Context, tx *postgres.Tx, number string, day clock.Date) error {
	p, err := one[PKS](ctx, tx, selectPKS+`WHERE p.number = $1 FOR SHARE OF p, i`, number)
	if errors.Is(err, ErrNotFound) {
		return &NotInForceError{Number: number, Day: day}
	}
	if err != nil {
		return err
	}
	if !p.LembagaActive || !p.InForce(day) {
		return &NotInForceError{Number: number, PKS: &p, Day: day}
	}
	return nil
}

// Covered tells which of the institutions are active and have an agreement that is
// in force on all of the days.
func Covered(ctx context.Context, rd postgres.Reader, institutionIDs []string, days ...clock.Date) (map[string]bool, error) {
	var held []string
	if err := rd.Select(ctx, &held, `
		SELECT DISTINCT p.institution_id FROM pks p JOIN institution i ON i.id = p.institution_id
		WHERE p.institution_id = ANY ($1::uuid[]) AND i.active AND p.state = 'in_force'
		  AND p.valid_from <= $2 AND p.valid_to >= $3`,
		pq.Array(institutionIDs), slices.MinFunc(days, clock.Date.Compare), slices.MaxFunc(days, clock.Date.Compare)); err != nil {
		return nil, fmt.Errorf("institution: whose PKS are in force: %w", err)
	}
	covered := make(map[string]bool, len(held))
	for _, id := range held {
		covered[id] = true
	}
	return covered, nil
}

// HoldLembaga demands that each lembaga, by the name in the request, is active and
// has an agreement in force on a day, and keeps it so until the transaction ends, as
// HoldPKS does. Error: *NotInForceError.
func HoldLembaga(ctx context.Context, tx *postgres.Tx, names []string, day clock.Date) error {
	known, err := Known(ctx, tx, names)
	if err != nil {
		return err
	}
	var ids []string
	for _, id := range known {
		ids = append(ids, id)
	}
	if err := tx.Select(ctx, &[]string{}, `
		SELECT p.id FROM pks p JOIN institution i ON i.id = p.institution_id
		WHERE p.institution_id = ANY ($1::uuid[]) ORDER BY p.id FOR SHARE OF p, i`, pq.Array(ids)); err != nil {
		return fmt.Errorf("institution: holding the PKS of lembaga: %w", err)
	}
	covered, err := Covered(ctx, tx, ids, day)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !covered[known[name]] {
			return &NotInForceError{Lembaga: name, Day: day}
		}
	}
	return nil
}

// PKSFilter narrows a list of agreements. Zero values do not narrow.
type PKSFilter struct {
	InstitutionID string
	On            string     // what it is on Day
	Day           clock.Date // always given
	Search        string     // in its number and the institution's name
	After         string     // the id of an agreement: only those behind it in the list
	Limit         int
}

// ListPKS returns agreements, newest entry first.
func ListPKS(ctx context.Context, rd postgres.Reader, f PKSFilter) ([]PKS, error) {
	list := []PKS{}
	err := rd.Select(ctx, &list, selectPKS+`
		WHERE ($1 = '' OR p.institution_id::text = $1)
		  AND ($2 = '' OR $2 = CASE WHEN p.state <> 'in_force' THEN 'withdrawn' WHEN $3::date < p.valid_from THEN 'not_yet'
		                            WHEN $3::date > p.valid_to THEN 'expired' ELSE 'in_force' END)
		  AND ($4 = '' OR strpos(lower(p.number || ' ' || i.name), lower($4)) > 0)
		  AND ($5 = '' OR p.id < nullif($5, '')::uuid)
		ORDER BY p.id DESC LIMIT $6`, f.InstitutionID, f.On, f.Day, f.Search, f.After, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("institution: list of PKS: %w", err)
	}
	return list, nil
}

// CreatePKS writes a new agreement of a lembaga. Errors: form.Faults.
func CreatePKS(ctx context.Context, tx *postgres.Tx, p PKS) (PKS, error) {
	var faults form.Faults
	switch owner, err := Get(ctx, tx, p.InstitutionID); {
	case errors.Is(err, ErrNotFound):
		faults.Add("/institution_id", "unknown_value", "Pilih lembaga pengguna yang terdaftar.")
	case err != nil:
		return p, err
	case owner.Kind != Lembaga:
		faults.Add("/institution_id", "wrong_kind", "PKS hanya dengan lembaga pengguna; %s terdaftar sebagai %s.", owner.Name, KindLabels[owner.Kind])
	case !owner.Active:
		faults.Add("/institution_id", "inactive", "%s sudah dinonaktifkan. Aktifkan kembali lembaganya dahulu.", owner.Name)
	}
	p.check(&faults)
	if err := faults.Err(); err != nil {
		return p, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return p, fmt.Errorf("institution: id: %w", err)
	}
	if _, err = tx.Exec(ctx, `
		INSERT INTO pks (id, number, institution_id, valid_from, valid_to, state) VALUES ($1,$2,$3,$4,$5,$6)`,
		id.String(), p.Number, p.InstitutionID, p.ValidFrom, p.ValidTo, PKSInForce); err != nil {
		return p, numbered(err)
	}
	return GetPKS(ctx, tx, id.String(), "")
}

// ChangePKS corrects number and dates; whose agreement it is stays. Errors:
// form.Faults, ErrNotFound, postgres.ErrStale when its version is not p.Version.
func ChangePKS(ctx context.Context, tx *postgres.Tx, p PKS) (PKS, error) {
	now, err := lockedPKS(ctx, tx, p.ID, p.Version)
	if err != nil {
		return p, err
	}
	var faults form.Faults
	if p.InstitutionID != now.InstitutionID {
		faults.Add("/institution_id", "fixed", "Lembaga pada PKS tidak dapat diubah. Daftarkan PKS baru bila lembaganya lain.")
	}
	p.check(&faults)
	if err := faults.Err(); err != nil {
		return p, err
	}
	if err := tx.ExecOne(ctx, `UPDATE pks SET number=$2, valid_from=$3, valid_to=$4, version=version+1 WHERE id=$1`,
		p.ID, p.Number, p.ValidFrom, p.ValidTo); err != nil {
		return p, numbered(err)
	}
	return GetPKS(ctx, tx, p.ID, "")
}

// WithdrawPKS ends an agreement before its time, as of a day not after today.
// Acceptances under it that were under way are over when it returns. Errors:
// form.Faults, ErrNotFound, ErrAlready, postgres.ErrStale.
func WithdrawPKS(ctx context.Context, tx *postgres.Tx, id string, version int64, on, today clock.Date, reason, by string) (PKS, error) {
	now, err := lockedPKS(ctx, tx, id, version)
	if err != nil {
		return now, err
	}
	if now.State == PKSWithdrawn {
		return now, ErrAlready
	}
	var faults form.Faults
	switch {
	case on.IsZero():
		faults.Add("/date", "missing", "Tanggal pencabutan wajib diisi.")
	case on.After(today):
		faults.Add("/date", "in_future", "Tanggal pencabutan tidak boleh setelah hari ini.")
	case on.Before(now.ValidFrom) && today.Before(now.ValidFrom): // it never carries anything
	case on.Before(now.ValidFrom):
		faults.Add("/date", "before_start", "Tanggal pencabutan tidak boleh sebelum PKS mulai berlaku (%s).", now.ValidFrom)
	}
	faults.Need("/reason", "Alasan pencabutan", &reason, longestText)
	if err := faults.Err(); err != nil {
		return now, err
	}
	if err := tx.ExecOne(ctx, `
		UPDATE pks SET state='withdrawn', withdrawn_on=$2, withdrawn_reason=$3, withdrawn_by=$4, version=version+1 WHERE id=$1`,
		id, on, reason, by); err != nil {
		return now, fmt.Errorf("institution: withdrawing: %w", err)
	}
	return GetPKS(ctx, tx, id, "")
}

// ReinstatePKS takes a withdrawal back. Errors: form.Faults, ErrNotFound,
// ErrAlready, postgres.ErrStale.
func ReinstatePKS(ctx context.Context, tx *postgres.Tx, id string, version int64, reason string) (PKS, error) {
	now, err := lockedPKS(ctx, tx, id, version)
	if err != nil {
		return now, err
	}
	if now.State != PKSWithdrawn {
		return now, ErrAlready
	}
	var faults form.Faults
	if faults.Need("/reason", "Alasan pemberlakuan kembali", &reason, longestText); len(faults) > 0 {
		return now, faults
	}
	if err := tx.ExecOne(ctx, `
		UPDATE pks SET state='in_force', withdrawn_on=NULL, withdrawn_reason='', withdrawn_by='', version=version+1 WHERE id=$1`, id); err != nil {
		return now, fmt.Errorf("institution: reinstating: %w", err)
	}
	return GetPKS(ctx, tx, id, "")
}

func lockedPKS(ctx context.Context, tx *postgres.Tx, id string, version int64) (PKS, error) {
	// With its lembaga: of two who end its last two agreements at once, the second sees that
	// none is left.
	p, err := one[PKS](ctx, tx, selectPKS+`WHERE p.id = $1 FOR UPDATE OF p FOR NO KEY UPDATE OF i`, id)
	if err == nil && p.Version != version {
		err = postgres.ErrStale
	}
	return p, err
}

func (p *PKS) check(faults *form.Faults) {
	faults.Need("/number", "Nomor PKS", &p.Number, 100)
	if p.ValidFrom.IsZero() {
		faults.Add("/valid_from", "missing", "Tanggal mulai berlaku wajib diisi.")
	}
	switch {
	case p.ValidTo.IsZero():
		faults.Add("/valid_to", "missing", "Tanggal berakhir wajib diisi.")
	case p.ValidTo.Before(p.ValidFrom):
		faults.Add("/valid_to", "before_start", "Tanggal berakhir tidak boleh sebelum tanggal mulai berlaku.")
	}
}

func numbered(err error) error {
	if postgres.IsUnique(err, "pks_number_key") {
		return form.One("/number", "used", "PKS dengan nomor ini sudah terdaftar.")
	}
	return fmt.Errorf("institution: writing PKS: %w", err)
}

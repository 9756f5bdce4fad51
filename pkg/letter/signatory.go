package letter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Posts that sign papers.
const (
	Dirjen        = "dirjen"
	DirekturFPDDK = "direktur_fpddk"
	KasubditKI    = "kasubdit_ki"
)

// Posts are the posts that sign papers, in the users' words.
var Posts = []struct{ Code, Label string }{
	{Dirjen, "Direktur Jenderal"}, {DirekturFPDDK, "Direktur FPDDK"}, {KasubditKI, "Kasubdit KI"},
}

// Forms in which an official signs (users.md C.2).
const (
	Definitif = "definitif" // holds the post
	Plt       = "plt"       // pelaksana tugas: the post is vacant
	Plh       = "plh"       // pelaksana harian: the holder is away
	AtasNama  = "an"        // on behalf of the holder, by delegation
	UntukBel  = "ub"        // untuk beliau: the delegation is passed on
)

// Forms are the forms in the users' words.
var Forms = []struct{ Code, Label string }{
	{Definitif, "Definitif"}, {Plt, "Plt. (pelaksana tugas)"}, {Plh, "Plh. (pelaksana harian)"}, {AtasNama, "a.n. (atas nama)"}, {UntukBel, "u.b. (untuk beliau)"},
}

// Signatory is an official in a period of office (features.md L16).
type Signatory struct {
	ID        string      `db:"id" json:"id,omitempty"`
	Version   int64       `db:"version" json:"version,omitempty"`
	PostCode  string      `db:"post_code" json:"post_code"` // whose signature it stands for
	Form      string      `db:"form" json:"form,omitempty"`
	Name      string      `db:"name" json:"name"`
	NIP       string      `db:"nip" json:"nip"`
	Rank      string      `db:"rank" json:"rank,omitempty"` // pangkat dan golongan
	Post      string      `db:"post" json:"post"`           // as it is printed: see Printed
	Principal string      `db:"principal" json:"principal,omitempty"`
	Through   string      `db:"through" json:"through,omitempty"`
	Address   string      `db:"address" json:"address"`
	ValidFrom clock.Date  `db:"valid_from" json:"valid_from"`
	ValidTo   *clock.Date `db:"valid_to" json:"valid_to,omitempty"`
}

// Printed is what stands above the signature: the post, for an acting official after
// Plt. or Plh., by delegation under the principal's (users.md C.2). Lines are apart by
// line feeds.
func (s Signatory) Printed() string {
	switch s.Form {
	case Plt:
		return "Plt. " + s.Post
	case Plh:
		return "Plh. " + s.Post
	case AtasNama:
		return "a.n. " + s.Principal + "\n" + s.Post
	case UntukBel:
		return "a.n. " + s.Principal + "\n" + s.Through + "\nu.b.\n" + s.Post
	}
	return s.Post
}

var (
	// ErrNoSuchSignatory says that there is no such period of office.
	ErrNoSuchSignatory = errors.New("letter: no such period of office")
	// ErrTermOver says that a period of office has ended already.
	ErrTermOver = errors.New("letter: period of office over")
)

const selectSignatory = `SELECT id, version, post_code, form, name, nip, rank, post, principal, through, address, valid_from, valid_to FROM signatory `

// SeedSignatory writes the first official of a post; a post that has one is
// left alone.
func SeedSignatory(ctx context.Context, tx *postgres.Tx, s Signatory) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("letter: id: %w", err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO signatory (id, post_code, name, nip, rank, post, address, valid_from, valid_to)
		SELECT $1,$2,$3,$4,$5,$6,$7,$8,$9 WHERE NOT EXISTS (SELECT FROM signatory WHERE post_code = $2)`,
		id.String(), s.PostCode, s.Name, s.NIP, s.Rank, s.Post, s.Address, s.ValidFrom, s.ValidTo)
	if err != nil {
		return fmt.Errorf("letter: writing signatory %s: %w", s.PostCode, err)
	}
	return nil
}

// SignatoryOn returns who signs for a post on a day: whoever acts for its holder, or the
// holder. Error: ErrNoSignatory.
func SignatoryOn(ctx context.Context, rd postgres.Reader, postCode string, day clock.Date) (Signatory, error) {
	var s Signatory
	err := rd.Get(ctx, &s, selectSignatory+`
		WHERE post_code = $1 AND daterange(valid_from, valid_to, '[]') @> $2::date ORDER BY form = 'definitif' LIMIT 1`, postCode, day)
	if errors.Is(err, sql.ErrNoRows) {
		return s, fmt.Errorf("%w: %s on %s", ErrNoSignatory, postCode, day)
	}
	if err != nil {
		return s, fmt.Errorf("letter: reading signatory: %w", err)
	}
	return s, nil
}

// Signatories returns all periods of office, the newest of each post first.
func Signatories(ctx context.Context, rd postgres.Reader) ([]Signatory, error) {
	list := []Signatory{}
	if err := rd.Select(ctx, &list, selectSignatory+`
		ORDER BY CASE post_code WHEN 'dirjen' THEN 0 WHEN 'direktur_fpddk' THEN 1 ELSE 2 END, valid_from DESC, id`); err != nil {
		return nil, fmt.Errorf("letter: signatories: %w", err)
	}
	return list, nil
}

// GetSignatory returns a period of office. Error: ErrNoSuchSignatory.
func GetSignatory(ctx context.Context, rd postgres.Reader, id string) (Signatory, error) {
	var s Signatory
	err := rd.Get(ctx, &s, selectSignatory+`WHERE id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return s, ErrNoSuchSignatory
	}
	if err != nil {
		return s, fmt.Errorf("letter: reading signatory: %w", err)
	}
	return s, nil
}

// Longest texts of a period of office, in characters.
const (
	longName = 120
	longPost = 200
)

func among(list []struct{ Code, Label string }, code string) bool {
	for _, one := range list {
		if one.Code == code {
			return true
		}
	}
	return false
}

func (s *Signatory) check() form.Faults {
	var wrong form.Faults
	if !among(Posts, s.PostCode) {
		wrong.Add("/post_code", "missing", "Pilih jabatan yang ditandatangani.")
	}
	if !among(Forms, s.Form) {
		wrong.Add("/form", "missing", "Pilih bentuk penandatanganan.")
	}
	wrong.Need("/name", "Nama", &s.Name, longName)
	wrong.Need("/post", "Jabatan yang tercetak", &s.Post, longPost)
	wrong.May("/rank", "Pangkat dan golongan", &s.Rank, longName)
	wrong.May("/address", "Alamat kantor", &s.Address, longPost)
	wrong.May("/principal", "Atas nama jabatan", &s.Principal, longPost)
	wrong.May("/through", "Jabatan perantara", &s.Through, longPost)
	if s.NIP = strings.ReplaceAll(strings.TrimSpace(s.NIP), " ", ""); s.NIP != "" && !eighteenDigits(s.NIP) {
		wrong.Add("/nip", "wrong_form", "NIP terdiri atas 18 angka; kosongkan bila tidak dicetak.")
	}
	delegated := s.Form == AtasNama || s.Form == UntukBel
	switch {
	case delegated && s.Principal == "":
		wrong.Add("/principal", "missing", "Sebutkan jabatan yang diatasnamakan.")
	case !delegated && s.Principal != "":
		wrong.Add("/principal", "not_needed", "Hanya untuk a.n. dan u.b.; kosongkan.")
	}
	switch {
	case s.Form == UntukBel && s.Through == "":
		wrong.Add("/through", "missing", "Sebutkan jabatan yang menerima atas nama dan meneruskannya.")
	case s.Form != UntukBel && s.Through != "":
		wrong.Add("/through", "not_needed", "Hanya untuk u.b.; kosongkan.")
	}
	switch {
	case s.ValidFrom.IsZero():
		wrong.Add("/valid_from", "missing", "Mulai menjabat wajib diisi.")
	case s.ValidTo != nil && s.ValidTo.Before(s.ValidFrom):
		wrong.Add("/valid_to", "too_early", "Akhir masa jabatan tidak boleh sebelum mulainya.")
	case s.ValidTo == nil && (s.Form == Plt || s.Form == Plh):
		wrong.Add("/valid_to", "missing", "Plt. dan Plh. berakhir pada suatu tanggal; isi hari terakhirnya.")
	}
	return wrong
}

func eighteenDigits(text string) bool {
	return len(text) == 18 && strings.Trim(text, "0123456789") == ""
}

// AppointSignatory writes a period of office. Papers that were drafted keep their
// signatory. Error: form.Faults.
func AppointSignatory(ctx context.Context, tx *postgres.Tx, s Signatory) (Signatory, error) {
	if err := s.check().Err(); err != nil {
		return s, err
	}
	var beside []Signatory
	if err := tx.Select(ctx, &beside, selectSignatory+`
		WHERE post_code = $1 AND (form = 'definitif') = ($2 = 'definitif') AND daterange(valid_from, valid_to, '[]') && daterange($3, $4, '[]')
		ORDER BY valid_from`, s.PostCode, s.Form, s.ValidFrom, s.ValidTo); err != nil {
		return s, fmt.Errorf("letter: looking beside a signatory: %w", err)
	}
	if len(beside) > 0 {
		return s, form.One("/valid_from", "overlap", "Pada masa itu jabatan ini sudah dipegang "+beside[0].Name+" sejak "+terbilang.FormatDate(beside[0].ValidFrom)+"; akhiri dahulu masa jabatannya.")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return s, fmt.Errorf("letter: id: %w", err)
	}
	err = tx.ExecOne(ctx, `
		INSERT INTO signatory (id, post_code, form, name, nip, rank, post, principal, through, address, valid_from, valid_to)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)`,
		id.String(), s.PostCode, s.Form, s.Name, s.NIP, s.Rank, s.Post, s.Principal, s.Through, s.Address, s.ValidFrom, s.ValidTo)
	if postgres.IsExclusion(err, "signatory_one_at_a_time") { // somebody else was quicker
		return s, form.One("/valid_from", "overlap", "Pada masa itu jabatan ini sudah dipegang orang lain; muat ulang daftarnya.")
	}
	if err != nil {
		return s, fmt.Errorf("letter: appointing: %w", err)
	}
	return GetSignatory(ctx, tx, id.String())
}

// EndTerm ends a period of office with its last day, as of its version. Errors:
// form.Faults, ErrNoSuchSignatory, ErrTermOver, postgres.ErrStale.
func EndTerm(ctx context.Context, tx *postgres.Tx, id string, version int64, last, today clock.Date) (Signatory, error) {
	s, err := GetSignatory(ctx, tx, id)
	switch {
	case err != nil:
		return s, err
	case s.Version != version:
		return s, postgres.ErrStale
	case s.ValidTo != nil && s.ValidTo.Before(today):
		return s, ErrTermOver
	case last.IsZero():
		return s, form.One("/valid_to", "missing", "Hari terakhir menjabat wajib diisi.")
	case last.Before(s.ValidFrom):
		return s, form.One("/valid_to", "too_early", "Hari terakhir tidak boleh sebelum mulai menjabat.")
	case s.ValidTo != nil && last.After(*s.ValidTo):
		return s, form.One("/valid_to", "too_late", "Masa jabatan ini sudah berakhir lebih awal; daftarkan masa jabatan baru.")
	}
	if err := tx.ExecOne(ctx, `UPDATE signatory SET valid_to = $3, version = version + 1 WHERE id = $1 AND version = $2`, id, version, last); err != nil {
		return s, fmt.Errorf("letter: ending a term: %w", err)
	}
	return GetSignatory(ctx, tx, id)
}

package needs

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
)

const (
	maxShort    = 100
	maxLong     = 250
	maxRemarks  = 2000
	maxQuantity = 1_000_000
)

// read reads form and list, and says all that is wrong with them at once.
func (d Desk) read(ctx context.Context, p *upload.Parcel, correction bool) (need.Form, []need.Card, error) {
	f, found := formOf(p, correction)
	var cards []need.Card
	if list := p.Files[need.FileList]; list != nil {
		var wrong form.Faults
		done, err := d.Spool.Turn(ctx)
		if err != nil {
			return f, nil, err
		}
		cards, wrong, err = validation.NeedList(ctx, d.DB, list.Content(), list.Content().Size(), f)
		done()
		if err != nil {
			return f, nil, err
		}
		said := found // what is wrong with a field already is not compared with the list
		for _, w := range wrong {
			if !slices.ContainsFunc(said, func(e web.FieldError) bool { return e.Pointer == w.Pointer }) {
				found = append(found, web.FieldError(w))
			}
		}
	}
	if len(found) > 0 {
		// Whether master data allows it is asked when it is written; of what is refused
		// anyway it is told at once.
		var more []web.FieldError
		if !correction {
			var err error
			if more, err = d.unknown(ctx, f); err != nil {
				return f, nil, err
			}
		}
		for _, e := range more {
			if !slices.ContainsFunc(found, func(said web.FieldError) bool { return said.Pointer == e.Pointer }) {
				found = append(found, e)
			}
		}
		return f, nil, faults(found...)
	}
	return f, cards, nil
}

// unknown are the faults of a new need that master data tells of.
func (d Desk) unknown(ctx context.Context, f need.Form) (found []web.FieldError, err error) {
	var problem *web.Problem
	for _, err := range need.Unusable(ctx, d.DB, f) {
		if err = worded(err); !errors.As(err, &problem) {
			return nil, err
		}
		found = append(found, problem.Errors...)
	}
	return found, nil
}

// formOf reads the fields of a form; in a correction reference and produsen stay
// and are not looked at, and the letter may stay too.
func formOf(p *upload.Parcel, correction bool) (f need.Form, found []web.FieldError) {
	add := func(name, code, detail string) {
		found = append(found, web.FieldError{Pointer: "/" + name, Code: code, Detail: detail})
	}
	text := func(name, label string, longest int, required bool) string {
		s := p.Fields[name]
		switch {
		case s == "" && required:
			add(name, "missing", label+" wajib diisi.")
		case utf8.RuneCountInString(s) > longest:
			add(name, "too_long", label+" paling panjang "+strconv.Itoa(longest)+" huruf.")
		}
		return s
	}
	f = need.Form{
		Reference: text("reference", "No. Aktivasi", maxShort, !correction), Produsen: text("produsen", "Produsen Dituju", maxLong, !correction),
		Title: text("title", "Judul Permintaan", maxLong, true), MachineType: text("machine_type", "Jenis Mesin", maxShort, true),
		Remarks: text("remarks", "Keterangan", maxRemarks, false),
	}
	n, ok := terbilang.ParseInt(p.Fields["quantity"])
	if !ok || n < 1 || n > maxQuantity {
		add("quantity", "out_of_range", "Jumlah kartu wajib diisi dengan bilangan mulai dari 1.")
	}
	f.Quantity = n
	if p.Files[need.FileLetter] == nil && !correction {
		add(need.FileLetter, "missing", "Berkas surat permintaan wajib dilampirkan.")
	}
	return f, found
}

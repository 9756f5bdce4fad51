package counter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// on finds a handover for a verb of whoever asks. Errors: handover.ErrNotFound,
// request.ErrNotFound, *machine.RoleError, *machine.IllegalError, postgres.ErrStale.
func (d Desk) on(ctx context.Context, who identity.Account, id string, seen int64, verb machine.Verb) (handover.Handover, error) {
	h, err := handover.Get(ctx, d.DB, id)
	if err == nil {
		err = known(ctx, d.DB, who, h.RequestID)
	}
	if err == nil {
		err = handover.Machine.MayEver(verb, who.Role)
	}
	if err == nil {
		err = same(seen, h.Version)
	}
	return h, err
}

// at is on for a verb that can be done now.
func (d Desk) at(ctx context.Context, who identity.Account, id string, seen int64, verb machine.Verb) (handover.Handover, error) {
	h, err := d.on(ctx, who, id, seen, verb)
	if err == nil {
		err = handover.Machine.May(h.State, verb, who.Role)
	}
	return h, err
}

// noted runs a step on a handover in one transaction with its audit row.
func (d Desk) noted(ctx context.Context, h handover.Handover, action string, c request.Change, do func(ctx context.Context, tx *postgres.Tx) (map[string]any, error)) error {
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		detail, err := do(ctx, tx)
		if err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "handover."+action, h.ID, h.RequestID, detail)
	})
}

// Open prepares the handover of quantity cards that are ready; 0 takes all of them. It is
// to be the ordinal'th of its request, so that one that is asked for twice is made once; 0
// is any. Errors: form.Faults, request.ErrNotFound, handover.ErrNotBegun,
// handover.ErrOnHold, *machine.RoleError, postgres.ErrStale.
func (d Desk) Open(ctx context.Context, who identity.Account, ticket string, quantity, ordinal int) (opened handover.Handover, err error) {
	of, err := request.ByTicket(ctx, d.DB, ticket, report.Scope(who))
	if err != nil {
		return opened, err
	}
	trace.Join(ctx, of.TraceParent)
	if err := handover.Machine.MayEver(handover.VerbPrepare, who.Role); err != nil {
		return opened, err
	}
	if quantity < 0 {
		return opened, form.One("/quantity", "out_of_range", "Jumlah kartu paling sedikit 1.")
	}
	c := d.change(who, "")
	err = d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if opened, err = handover.Open(ctx, tx, of.ID, quantity, c); err != nil {
			return err
		}
		if ordinal != 0 && opened.Ordinal != ordinal {
			return postgres.ErrStale
		}
		return decisions.Note(ctx, tx, c, "handover.prepare", opened.ID, of.ID, map[string]any{"quantity": opened.Quantity})
	})
	if errors.Is(err, handover.ErrTooMany) {
		text := "Kartu yang siap diserahkan tidak sebanyak itu."
		if quantity == 0 {
			text = "Belum ada kartu yang siap diserahkan: yang sudah berhasil sudah masuk serah terima lain."
		}
		err = form.One("/quantity", "too_many", text)
	}
	return opened, err
}

// Cancel takes a handover back before its cards change hands, with a reason. Errors:
// form.Faults, and those of handover.Cancel.
func (d Desk) Cancel(ctx context.Context, who identity.Account, id string, seen int64, reason string) error {
	h, err := d.at(ctx, who, id, seen, handover.VerbCancel)
	if err == nil {
		err = because(&reason)
	}
	if err != nil {
		return err
	}
	c := d.change(who, reason)
	return d.noted(ctx, h, string(handover.VerbCancel), c, func(ctx context.Context, tx *postgres.Tx) (map[string]any, error) {
		_, err := handover.Cancel(ctx, tx, h, c)
		return map[string]any{"quantity": h.Quantity}, err
	})
}

// Appoint says when the produsen is expected: a day and an hour of WIB, or neither to
// take the appointment back. Errors: form.Faults and those of handover.Appoint.
func (d Desk) Appoint(ctx context.Context, who identity.Account, id string, seen int64, day, hour, note string) error {
	h, err := d.on(ctx, who, id, seen, handover.VerbDeliver)
	if err != nil {
		return err
	}
	var wrong form.Faults
	wrong.Lines("/note", "Catatan", &note, maxText)
	var at time.Time
	if day, hour = strings.TrimSpace(day), strings.TrimSpace(hour); day != "" || hour != "" {
		on, err := clock.ParseDate(day)
		if err != nil {
			wrong.Add("/day", "wrong_type", "Tanggal janji harus berbentuk TTTT-BB-HH, seperti 2026-11-23.")
		}
		t, terr := time.Parse("15:04", hour)
		if terr != nil {
			wrong.Add("/hour", "wrong_type", "Jam janji harus berbentuk JJ:MM, seperti 09:30.")
		}
		calendar, cerr := capacity.Calendar(ctx, d.DB)
		if cerr != nil {
			return cerr
		}
		if err == nil && !calendar.IsWorkday(on) { // nobody is at the counter
			wrong.Add("/day", "not_a_workday", "%s bukan hari kerja.", terbilang.FormatDayDate(on))
		}
		at = on.At(t.Hour(), t.Minute())
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	c := d.change(who, "")
	err = d.noted(ctx, h, "appoint", c, func(ctx context.Context, tx *postgres.Tx) (map[string]any, error) {
		_, err := handover.Appoint(ctx, tx, h, at, note, c)
		return map[string]any{"at": at, "note": note}, err
	})
	if errors.Is(err, handover.ErrPast) {
		return form.One("/day", "in_past", "Janji tidak boleh sudah lewat.")
	}
	return err
}

// maxKeys is how many pieces are scanned in one go.
const maxKeys = 2000

// Scan notes the pieces in the tray: printed serials or chip ids. All of them or none. It returns how many of the handover's were
// scanned so far. Errors: form.Faults, and those of handover.Scan.
func (d Desk) Scan(ctx context.Context, who identity.Account, id, method string, keys []string) (scanned int, err error) {
	h, err := d.on(ctx, who, id, 0, handover.VerbDeliver)
	if err != nil {
		return 0, err
	}
	var wrong form.Faults
	switch {
	case method != handover.Barcode && method != handover.Chip:
		wrong.Add("/method", "unknown", "Pilih cara pindai: nomor seri atau chip.")
	case len(keys) == 0:
		wrong.Add("/keys", "missing", "Pindai atau ketik sekurangnya satu kartu.")
	case len(keys) > maxKeys:
		wrong.Add("/keys", "too_many", "Paling banyak %d kartu sekaligus.", maxKeys)
	}
	if err := wrong.Err(); err != nil {
		return 0, err
	}
	c := d.change(who, "")
	err = d.noted(ctx, h, "scan", c, func(ctx context.Context, tx *postgres.Tx) (map[string]any, error) {
		var strange []string
		scanned, strange, err = handover.Scan(ctx, tx, h, method, keys, c)
		if err != nil {
			return nil, err
		}
		var wrong form.Faults
		for _, key := range strange {
			wrong.Add("/keys", "not_in_tray", "%s bukan kartu serah terima ini. Keluarkan dari baki, lalu pindai lagi yang lain.", shorten(key))
		}
		return map[string]any{"method": method, "pieces": len(keys), "scanned": scanned}, wrong.Err()
	})
	return scanned, err
}

func shorten(text string) string {
	if runes := []rune(text); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return text
}

// MayDeliver says whether an account can record the delivery of a handover now. Errors:
// those of Deliver that are not about what is typed.
func (d Desk) MayDeliver(ctx context.Context, who identity.Account, id string) error {
	h, err := d.at(ctx, who, id, 0, handover.VerbDeliver)
	if err != nil {
		return err
	}
	of, err := request.Get(ctx, d.DB, h.RequestID)
	if err != nil {
		return err
	}
	return handover.MayLeave(of.State)
}

// MayReceive is MayDeliver for the count of the produsen.
func (d Desk) MayReceive(ctx context.Context, who identity.Account, id string) error {
	_, err := d.at(ctx, who, id, 0, handover.VerbReceive)
	return err
}

// Delivery is what is typed of a delivery.
type Delivery struct {
	Representative, Post, Of, On string
}

// Deliver records that cards and signed BAST changed hands; the BAST is issued in the
// same transaction. wrong is what is known to be wrong already. Errors: form.Faults, and
// those of handover.Deliver.
func (d Desk) Deliver(ctx context.Context, who identity.Account, id string, seen int64, n Delivery, scan *upload.File, wrong form.Faults) error {
	h, err := d.at(ctx, who, id, seen, handover.VerbDeliver)
	if err != nil {
		return err
	}
	bast, err := letter.Living(ctx, d.DB, letter.BAST, h.ID)
	if err != nil {
		return err
	}
	if err := letter.Machine.May(bast.State, letter.VerbIssue, who.Role); err != nil {
		return err
	}
	var own form.Faults
	own.Need("/representative", "Nama wakil produsen", &n.Representative, maxName)
	own.Need("/representative_post", "Jabatan wakil produsen", &n.Post, maxName)
	switch known := slices.ContainsFunc(handover.Whose, func(w struct{ Code, Label string }) bool { return w.Code == n.Of }); {
	case n.Of == handover.OfProdusen:
	case known:
		own.Add("/representative_of", "not_produsen", "Kartu dan BAST hanya boleh diambil dan ditandatangani wakil produsen sendiri; reseller, distributor, dan lembaga pengguna tidak dapat mewakilinya.")
	default:
		own.Add("/representative_of", "missing", "Pilih siapa yang diwakili orang yang mengambil kartu.")
	}
	on := d.day(&own, "/delivered_on", "Tanggal penyerahan", n.On, bast.Dated)
	if err := append(own, wrong...).Err(); err != nil {
		return err
	}
	c := d.change(who, "")
	err = d.noted(ctx, h, string(handover.VerbDeliver), c, func(ctx context.Context, tx *postgres.Tx) (map[string]any, error) {
		kept, err := blob.Put(ctx, tx, letter.BAST+"-bertanda-tangan.pdf", scan.MediaType, scan.Content())
		if err != nil {
			return nil, err
		}
		_, err = handover.Deliver(ctx, tx, h, handover.Delivery{
			Representative: n.Representative, Post: n.Post, Of: n.Of, On: on, ScanBlob: kept.ID.String(),
		}, c)
		return map[string]any{"representative": n.Representative, "scan": kept.ID, "sha256": kept.Hash(), "delivered_on": on}, err
	})
	switch {
	case errors.Is(err, handover.ErrFuture):
		return form.One("/delivered_on", "in_future", "Tanggal penyerahan tidak boleh setelah hari ini.")
	case errors.Is(err, handover.ErrEarly):
		return form.One("/delivered_on", "too_early", "Tanggal penyerahan tidak boleh sebelum serah terima ini disiapkan.")
	}
	var unscanned *handover.UnscannedError
	if errors.As(err, &unscanned) {
		return form.One("", "not_scanned", fmt.Sprintf("%d kartu belum dipindai: %s. Pindai semuanya sebelum baki diserahkan.",
			len(unscanned.Missing), strings.Join(unscanned.Missing[:min(len(unscanned.Missing), 5)], ", ")))
	}
	return scanFault(err)
}

// Receive records how many cards the produsen counted, by line. Errors: form.Faults, and
// those of handover.Receive.
func (d Desk) Receive(ctx context.Context, who identity.Account, id string, seen int64, counts []handover.Count) error {
	h, err := d.at(ctx, who, id, seen, handover.VerbReceive)
	if err != nil {
		return err
	}
	c := d.change(who, "")
	err = d.noted(ctx, h, string(handover.VerbReceive), c, func(ctx context.Context, tx *postgres.Tx) (map[string]any, error) {
		next, err := handover.Receive(ctx, tx, h, counts, clock.DateOf(c.OfficeAt), c)
		if err != nil {
			return nil, err
		}
		return map[string]any{"received": *next.Received, "quantity": h.Quantity}, nil
	})
	var wrong *handover.CountError
	if errors.As(err, &wrong) {
		pointer := fmt.Sprintf("/received_%d", wrong.Line)
		if wrong.Quantity == 0 {
			return form.One(pointer, "unknown", "Serah terima ini tidak mempunyai baris itu.")
		}
		return form.One(pointer, "out_of_range", fmt.Sprintf("Jumlah diterima harus antara 0 dan jumlah yang diserahkan, %d.", wrong.Quantity))
	}
	return err
}

// ReceiveTotal is Receive for whoever gives one number: it is that of the only line, or
// all of each. Errors: those of Receive.
func (d Desk) ReceiveTotal(ctx context.Context, who identity.Account, id string, seen int64, received int) error {
	h, err := d.at(ctx, who, id, seen, handover.VerbReceive)
	if err != nil {
		return err
	}
	lines, err := handover.Lines(ctx, d.DB, h.ID)
	if err != nil {
		return err
	}
	var counts []handover.Count
	switch {
	case received < 0 || received > h.Quantity:
		return form.One("/received", "out_of_range", "Jumlah diterima harus antara 0 dan jumlah yang diserahkan.")
	case len(lines) > 1 && received < h.Quantity:
		return form.One("/lines", "missing", "Serah terima ini untuk beberapa lembaga; isi jumlah diterima per baris.")
	case len(lines) == 1:
		counts = []handover.Count{{Line: lines[0].Line, Received: received}}
	default:
		for _, l := range lines {
			counts = append(counts, handover.Count{Line: l.Line, Received: l.Quantity})
		}
	}
	return d.Receive(ctx, who, id, h.Version, counts)
}

// Settle says what became of a shortage. Errors: form.Faults, handover.ErrNotFound,
// handover.ErrSettled, *machine.RoleError.
func (d Desk) Settle(ctx context.Context, who identity.Account, handoverID, shortageID, outcome, finding string) error {
	h, err := handover.Get(ctx, d.DB, handoverID)
	if err == nil {
		err = known(ctx, d.DB, who, h.RequestID)
	}
	if err != nil {
		return err
	}
	list, err := handover.Shortages(ctx, d.DB, h.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(s handover.Shortage) bool { return s.ID == shortageID })
	if i < 0 {
		return handover.ErrNotFound
	}
	if err := handover.MaySettle(who.Role); err != nil {
		return err
	}
	var wrong form.Faults
	if !slices.ContainsFunc(handover.OutcomeLabels, func(o struct{ Code, Label string }) bool { return o.Code == outcome }) {
		wrong.Add("/outcome", "missing", "Pilih hasil tindak lanjut.")
	}
	if wrong.Lines("/finding", "Temuan", &finding, maxText); finding == "" {
		wrong.Add("/finding", "missing", "Tuliskan apa yang ditemukan.")
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	c := d.change(who, "")
	return d.noted(ctx, h, "settle", c, func(ctx context.Context, tx *postgres.Tx) (map[string]any, error) {
		return map[string]any{"line": list[i].Line, "missing": list[i].Missing, "outcome": outcome, "finding": finding},
			handover.Settle(ctx, tx, list[i], outcome, finding, c)
	})
}

// Close ends a handover that was received and whose shortages are followed up. Errors:
// those of handover.Close.
func (d Desk) Close(ctx context.Context, who identity.Account, id string, seen int64) error {
	h, err := d.at(ctx, who, id, seen, handover.VerbClose)
	if err != nil {
		return err
	}
	c := d.change(who, "")
	return d.noted(ctx, h, string(handover.VerbClose), c, func(ctx context.Context, tx *postgres.Tx) (map[string]any, error) {
		_, err := handover.Close(ctx, tx, h, c)
		return nil, err
	})
}

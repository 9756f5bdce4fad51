// Package shelf is what people do about messages that failed by themselves:
// they look, mend the cause, and ring the bell again or lay it aside with a
// reason. The API and the pages share it.
package shelf

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// Most bounds what one call shows or replays.
const Most = 500

var (
	// ErrNotFound says that there is no such row.
	ErrNotFound = errors.New("shelf: not found")
	// ErrClosed says that somebody has dealt with the row already.
	ErrClosed = errors.New("shelf: closed already")
	// ErrReasonMissing says that laying a message aside wants a reason.
	ErrReasonMissing = errors.New("shelf: reason missing")
)

// May says whether a role looks after the shelf.
func May(role machine.Role) bool { return role == request.Operator || role == request.Kasubdit }

// Entry is a row of the shelf as people see it. The JSON names are the API.
type Entry struct {
	rabbit.ShelfRow
	TypeLabel     string `json:"type_label"`
	ConsumerLabel string `json:"consumer_label"`
	ReasonLabel   string `json:"reason_label"`
	Ticket        string `json:"ticket"`     // of the request concerned, or empty
	Replayable    bool   `json:"replayable"` // false for what never was an event

	requestID, traceParent string
}

// Open reads the open rows, oldest first, and counts all of them.
func Open(ctx context.Context, rd postgres.Reader) (list []Entry, all int, err error) {
	rows, err := rabbit.OpenShelf(ctx, rd)
	if err != nil {
		return nil, 0, err
	}
	list, err = describe(ctx, rd, rows[:min(len(rows), Most)])
	return list, len(rows), err
}

// Latest reads the newest rows, open or closed, and counts the open ones.
func Latest(ctx context.Context, rd postgres.Reader) (list []Entry, open int, err error) {
	rows, err := rabbit.LatestShelf(ctx, rd, Most)
	if err != nil {
		return nil, 0, err
	}
	if list, err = describe(ctx, rd, rows); err != nil {
		return nil, 0, err
	}
	open, err = rabbit.CountShelf(ctx, rd)
	return list, open, err
}

// Get reads one row. Error: ErrNotFound.
func Get(ctx context.Context, rd postgres.Reader, id string) (Entry, error) {
	row, err := rabbit.Shelved(ctx, rd, id)
	if errors.Is(err, sql.ErrNoRows) {
		return Entry{}, ErrNotFound
	}
	if err != nil {
		return Entry{}, err
	}
	list, err := describe(ctx, rd, []rabbit.ShelfRow{row})
	if err != nil {
		return Entry{}, err
	}
	return list[0], nil
}

// describe adds to each row what its codes mean and whose request it is about.
func describe(ctx context.Context, rd postgres.Reader, rows []rabbit.ShelfRow) ([]Entry, error) {
	list := make([]Entry, len(rows))
	var ids []string
	for i, row := range rows {
		e := Entry{
			ShelfRow: row, TypeLabel: TypeLabel(row.Type), ConsumerLabel: consumerLabel(row.Consumer), ReasonLabel: reasonLabel(row.Reason),
		}
		if event, err := row.Event(); err == nil {
			e.Replayable = true
			if id, err := uuid.Parse(event.Request); err == nil {
				e.requestID = id.String()
				ids = append(ids, e.requestID)
			}
		}
		list[i] = e
	}
	if len(ids) == 0 {
		return list, nil
	}
	var found []struct {
		ID          string `db:"id"`
		Ticket      string `db:"ticket"`
		TraceParent string `db:"traceparent"`
	}
	if err := rd.Select(ctx, &found, `SELECT id, ticket, traceparent FROM request WHERE id = ANY ($1::uuid[])`, pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("shelf: requests: %w", err)
	}
	for _, f := range found {
		for i := range list {
			if list[i].requestID == f.ID {
				list[i].Ticket, list[i].traceParent = f.Ticket, f.TraceParent
			}
		}
	}
	return list, nil
}

// Replay closes an open row and rings its bell again, in one transaction.
// Errors: ErrNotFound, ErrClosed, outbox.ErrNotReplayable.
func Replay(ctx context.Context, db *postgres.DB, who identity.Account, id string) error {
	e, err := Get(ctx, db, id)
	if err != nil {
		return err
	}
	if e.traceParent != "" { // each of many goes on in its own request's trace
		ctx = trace.ContextWith(ctx, e.traceParent)
	}
	return settled(db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := outbox.Replay(ctx, tx, id, who.Username); err != nil {
			return err
		}
		return note(ctx, tx, who, "shelf.replay", e, "")
	}))
}

// Outcomes of a replay of many.
const (
	Replayed      = "replayed"
	Closed        = "closed"
	NotFound      = "not_found"
	NotReplayable = "not_replayable"
)

// Result is what became of one row of many.
type Result struct {
	ID      string `json:"id"`
	Outcome string `json:"outcome"`
}

// ReplayAll replays each of the rows by itself: one that cannot be replayed
// harms no other. replayed is how many were.
func ReplayAll(ctx context.Context, db *postgres.DB, who identity.Account, ids []string) (results []Result, replayed int, err error) {
	results = make([]Result, 0, len(ids))
	for _, id := range ids {
		outcome := Replayed
		switch err := Replay(ctx, db, who, id); {
		case err == nil:
			replayed++
		case errors.Is(err, ErrClosed):
			outcome = Closed
		case errors.Is(err, ErrNotFound):
			outcome = NotFound
		case errors.Is(err, outbox.ErrNotReplayable):
			outcome = NotReplayable
		default:
			return results, replayed, err
		}
		results = append(results, Result{id, outcome})
	}
	return results, replayed, nil
}

// OfType returns the open rows of a message type that can be replayed, oldest
// first.
func OfType(ctx context.Context, rd postgres.Reader, messageType string) ([]string, error) {
	list, _, err := Open(ctx, rd)
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for _, e := range list {
		if e.Type == messageType && e.Replayable {
			ids = append(ids, e.ID)
		}
	}
	return ids, nil
}

// Close lays an open row aside: nothing is left to do, for this reason. Errors:
// ErrNotFound, ErrClosed, ErrReasonMissing.
func Close(ctx context.Context, db *postgres.DB, who identity.Account, id, reason string) error {
	if reason = strings.TrimSpace(reason); reason == "" {
		return ErrReasonMissing
	}
	e, err := Get(ctx, db, id)
	if err != nil {
		return err
	}
	return settled(db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := rabbit.CloseShelf(ctx, tx, id, who.Username, reason); err != nil {
			return err
		}
		return note(ctx, tx, who, "shelf.close", e, reason)
	}))
}

func settled(err error) error {
	if errors.Is(err, postgres.ErrStale) {
		return ErrClosed
	}
	return err
}

func note(ctx context.Context, tx *postgres.Tx, who identity.Account, action string, e Entry, reason string) error {
	detail := map[string]any{"consumer": e.Consumer, "type": e.Type, "row": e.Subject, "failed": e.ReasonLabel}
	if reason != "" {
		detail["reason"] = reason
	}
	return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: action, Subject: e.ID, Request: e.requestID, Detail: detail})
}

// typeLabels are the message types as people know them.
var typeLabels = map[string]string{
	rabbit.RequestSubmitted: "Permohonan diajukan", rabbit.RequestResubmitted: "Permohonan diajukan kembali",
	rabbit.RequestAccepted: "Permohonan diterima Subdit KI", rabbit.RequestCancelled: "Permohonan batal atau ditolak",
	rabbit.RequestHeld: "Permohonan ditahan", rabbit.RequestReleased: "Permohonan dilanjutkan",
	rabbit.RequestDone: "Personalisasi selesai", rabbit.CalendarChanged: "Kalender berubah", rabbit.CapacityChanged: "Kapasitas berubah",
	rabbit.StationDowntimeChanged: "Jadwal henti stasiun berubah", rabbit.ReplacementRegistered: "Kartu pengganti didaftarkan",
	rabbit.CardsReduced: "Kartu dikurangi dengan surat", rabbit.CardsDestroyed: "Berita acara kartu rusak disusun",
	rabbit.WorkorderReleased: "Perintah kerja dilepas", rabbit.WorkorderRevoked: "Perintah kerja dicabut",
	rabbit.WorkorderClosed: "Perintah kerja ditutup", rabbit.WorkorderFinished: "Perintah kerja selesai",
	rabbit.CardResolved: "Kartu meragukan diputuskan", rabbit.HandoverOpened: "Serah terima disiapkan",
	rabbit.ActivationSubmitted: "Aktivasi reader diajukan", rabbit.ActivationAccepted: "Aktivasi reader diterima", rabbit.ActivationRevoked: "Daftar pencabutan manifest berubah",
	rabbit.ManifestsReleased: "Manifest dilepas kepada produsen",
}

// TypeLabel is what people call a message type.
func TypeLabel(messageType string) string {
	if label, ok := typeLabels[messageType]; ok {
		return label
	}
	return messageType
}

func consumerLabel(queue string) string {
	switch queue {
	case rabbit.QueueValidator:
		return "Pemeriksaan berkas"
	case rabbit.QueueScheduler:
		return "Penjadwalan"
	case rabbit.QueueDocumentGenerator:
		return "Pembuatan dokumen"
	case rabbit.QueueShelf:
		return "Tidak diketahui"
	}
	if name, ok := strings.CutPrefix(queue, rabbit.StationQueue("")); ok {
		return "Stasiun personalisasi " + name
	}
	return queue
}

// reasonLabel says in words why a message lies here; the detail is the error's
// own text.
func reasonLabel(reason string) string {
	code, _, _ := strings.Cut(reason, ":")
	switch code {
	case rabbit.ReasonFailed:
		return "Gagal dikerjakan berulang kali"
	case rabbit.ReasonInvalid:
		return "Bentuk pesan tidak dikenal"
	case rabbit.ReasonDeadLetter:
		return "Dilepas oleh antrean setelah terlalu sering dikirim ulang"
	}
	return reason
}

// Types are the message types among entries that can be replayed, with how many
// of each, in the order of their labels.
func Types(list []Entry) []TypeCount {
	var counts []TypeCount
	for _, e := range list {
		if !e.Replayable {
			continue
		}
		i := slices.IndexFunc(counts, func(c TypeCount) bool { return c.Type == e.Type })
		if i < 0 {
			counts, i = append(counts, TypeCount{Type: e.Type, Label: e.TypeLabel}), len(counts)
		}
		counts[i].Count++
	}
	slices.SortFunc(counts, func(a, b TypeCount) int { return strings.Compare(a.Label, b.Label) })
	return counts
}

// TypeCount is how many entries are of a type.
type TypeCount struct {
	Type, Label string
	Count       int
}

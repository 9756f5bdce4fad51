// Package desk drafts the papers that the office owes and gives them their
// numbers: rows only, in short transactions. What makes the files is the press.
//
// What is owed follows from the data, not from the messages: a request that is
// done owes a reply letter, a completion letter and a result list, a handover
// that is not delivered owes a BAST, also while its request is in progress, cards that
// were destroyed owe their berita acara, readers that were accepted owe their reply
// letter, and who asked for a paper is owed it; a paper in force that is to be replaced
// owes its replacement. A paper that was voided for good, or whose handover was taken
// back, owes nothing. A message only says where to look at once;
// the desk looks at everything now and then.
package desk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// Config says how papers are numbered.
type Config struct {
	Numbering Numbering `yaml:"numbering"`
	// Look is how often everything is looked through for papers that are owed.
	Look time.Duration `yaml:"look"`
}

// Numbering are the templates with which kinds of paper begin, in which {urut} is the
// counter and {tahun} the year. Kinds with the same template share its counter. Once a
// kind is known, persuratan says on the portal how it is numbered.
type Numbering struct {
	ReplyLetter      string `yaml:"reply_letter"`
	CompletionLetter string `yaml:"completion_letter"`
	BAST             string `yaml:"bast"`
	// DestructionReport is of a berita acara kartu rusak.
	DestructionReport string `yaml:"destruction_report"`
	// ActivationReply is of a surat balasan permohonan aktivasi.
	ActivationReply string `yaml:"activation_reply"`
	// BlankReceipt is of a tanda terima blangko.
	BlankReceipt string `yaml:"blank_receipt"`
}

// Defaults are numbers as the Directorate General writes them (users.md C.1).
func Defaults() Config {
	const number = "400.8.2.15/{urut}/Dukcapil"
	return Config{Numbering: Numbering{
		ReplyLetter: number, CompletionLetter: number, BAST: number, DestructionReport: number, ActivationReply: number, BlankReceipt: number,
	}, Look: 15 * time.Second}
}

// Validate checks the section.
func (c Config) Validate() error {
	for key, template := range map[string]string{
		"reply_letter": c.Numbering.ReplyLetter, "completion_letter": c.Numbering.CompletionLetter, "bast": c.Numbering.BAST,
		"destruction_report": c.Numbering.DestructionReport, "activation_reply": c.Numbering.ActivationReply, "blank_receipt": c.Numbering.BlankReceipt,
	} {
		if err := letter.CheckTemplate(template); err != nil {
			return fmt.Errorf("numbering.%s: %w", key, err)
		}
	}
	if c.Look < time.Second {
		return errors.New("look must be at least 1s")
	}
	return nil
}

// In-process bells.
const (
	// BellName tells the press of papers that can be made.
	BellName = "papers"
	// SealBellName tells whoever signs of something to sign.
	SealBellName = "seal"
)

// Self is who drafts and makes papers.
var Self = machine.Actor{Name: "document-generator", Role: request.Generator}

// Desk drafts papers.
type Desk struct {
	cfg    Config
	db     *postgres.DB
	office clock.Office
	clock  clock.Machine
	log    zerolog.Logger
	status *daemon.Status
	known  atomic.Bool // how kinds begin to be numbered is written down

	mu      sync.Mutex
	blocked map[string]string // why a paper that is owed cannot be drafted, by kind and subject
}

// New makes a desk.
func New(cfg Config, db *postgres.DB, office clock.Office, m clock.Machine, log zerolog.Logger, status *daemon.Status) *Desk {
	return &Desk{cfg: cfg, db: db, office: office, clock: m, log: log, status: status, blocked: map[string]string{}}
}

// Owed is a paper that should be and is not.
type Owed struct {
	Kind      string `db:"kind"`
	SubjectID string `db:"subject_id"`
	RequestID string `db:"request_id"` // empty for a paper of readers or of a day
	// Dated is the day that the paper is of; nil is the day on which it is drafted.
	Dated *clock.Date `db:"dated"`
	// Replaces is the paper in force that is to be replaced, or empty.
	Replaces string `db:"replaces"`
}

// owedMost bounds one reading of what is owed.
const owedMost = 100

// key tells what is owed apart.
func (o Owed) key() string { return o.Kind + " " + o.SubjectID }

// owed returns the papers that are owed, of the given subjects or, without any,
// of all, but none of the tried ones, by their keys. The order is that of the papers'
// kinds: letters before lists.
func owed(ctx context.Context, rd postgres.Reader, subjects, tried []string) ([]Owed, error) {
	var list []Owed
	err := rd.Select(ctx, &list, `
		SELECT o.kind, o.subject_id, coalesce(o.request_id::text, '') AS request_id, o.dated, coalesce(o.replaces::text, '') AS replaces FROM (
			SELECT k.kind, r.id AS subject_id, r.id AS request_id, k.place, NULL::date AS dated, NULL::uuid AS replaces, NULL::uuid AS rung
			FROM request r CROSS JOIN unnest($1::text[]) WITH ORDINALITY AS k (kind, place) WHERE r.state = $2
			UNION ALL
			SELECT $3, h.id, h.request_id, 0, NULL, NULL, NULL FROM handover h WHERE h.state IN ($4, $5)
			UNION ALL
			SELECT $8, d.id, d.request_id, 0, d.destroyed, NULL, NULL FROM destruction d WHERE d.voided_at IS NULL
			UNION ALL
			SELECT d.kind, d.subject_id, d.request_id, 0, NULL, d.id, NULL FROM document d WHERE d.replacement_asked AND d.state = $9
			UNION ALL
			SELECT $10, y.id, NULL, 0, NULL, NULL, y.letter_id FROM activation_reply y
			UNION ALL
			SELECT a.kind, a.id, a.request_id, 0, a.dated, NULL, NULL FROM asked_paper a
		) AS o
		WHERE (coalesce(cardinality($6::uuid[]), 0) = 0 OR o.subject_id = ANY ($6) OR o.rung = ANY ($6))
		  AND o.kind || ' ' || o.subject_id <> ALL ($11::text[])
		  AND CASE WHEN o.replaces IS NULL
		      THEN NOT EXISTS (SELECT FROM document d
		                       WHERE d.kind = o.kind AND d.subject_id = o.subject_id AND d.state NOT IN ('void', 'replaced'))
		       AND NOT EXISTS (SELECT FROM document_hold x WHERE x.kind = o.kind AND x.subject_id = o.subject_id)
		      ELSE NOT EXISTS (SELECT FROM document d WHERE d.replaces = o.replaces AND d.state <> 'void') END
		ORDER BY o.subject_id, o.place LIMIT $7`,
		pq.Array([]string{letter.ReplyLetter, letter.CompletionLetter, letter.ResultList}), string(request.Done),
		letter.BAST, string(handover.Prepared), string(handover.BASTDrafted), pq.Array(subjects), owedMost, letter.DestructionReport,
		string(letter.Issued), letter.ActivationReply, pq.Array(append([]string{}, tried...)))
	if err != nil {
		return nil, fmt.Errorf("desk: looking for papers that are owed: %w", err)
	}
	return list, nil
}

// Hear answers doorbells: it drafts what their subjects owe. A bell may ring
// twice or late: a paper that is there is not drafted again.
func (k *Desk) Hear(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
	subjects := make([]string, len(events))
	for i, e := range events {
		subjects[i] = e.Subject
	}
	list, err := owed(ctx, tx, subjects, nil)
	if err != nil {
		return err
	}
	for _, o := range list {
		// A post that nobody holds is not the message's fault: the paper stays
		// owed, and the look that follows finds it.
		if err := k.draft(ctx, tx, o); err != nil && !errors.Is(err, letter.ErrNoSignatory) {
			return err
		}
	}
	tx.OnCommit(k.db.Bell(BellName).Ring)
	return nil
}

// Run looks through everything until ctx ends. A failure is logged when it
// begins.
func (k *Desk) Run(ctx context.Context) error {
	failing := false
	for ctx.Err() == nil {
		err := k.Look(trace.ContextWith(ctx, trace.New()))
		if err != nil && ctx.Err() == nil {
			k.status.Error(err)
			if !failing {
				k.log.Warn().Err(err).Msg("looking for papers that are owed failed; it is tried again")
			}
		}
		failing = err != nil
		if clock.Sleep(ctx, k.clock, k.cfg.Look) != nil {
			break
		}
	}
	return nil
}

// Look drafts all papers that are owed, each in a transaction of its own, so
// that one that cannot be drafted harms no other.
func (k *Desk) Look(ctx context.Context) error {
	if err := k.ensureNumberings(ctx); err != nil {
		return err
	}
	blocked := make(map[string]string)
	if err := k.numberWaiting(ctx, blocked); err != nil {
		return err
	}
	for tried := []string{}; ; { // papers that cannot be drafted must not stand before others for ever
		list, err := owed(ctx, k.db, []string{}, tried)
		if err != nil {
			return err
		}
		for _, o := range list {
			err := k.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
				tx.OnCommit(k.db.Bell(BellName).Ring)
				return k.draft(ctx, tx, o)
			})
			if postgres.Foreign(err) {
				return err
			}
			if err != nil {
				blocked[o.key()] = err.Error()
			}
			tried = append(tried, o.key())
		}
		if len(list) < owedMost {
			break
		}
	}
	k.note(blocked)
	return nil
}

// draft drafts and numbers one paper.
func (k *Desk) draft(ctx context.Context, tx *postgres.Tx, o Owed) error {
	if o.Kind == letter.BAST && o.Replaces == "" { // it may have been taken back since
		if owes, err := handover.OwesBAST(ctx, tx, o.SubjectID); err != nil || !owes {
			return err
		}
	}
	officeAt := k.office.Now()
	dated := clock.DateOf(officeAt)
	if o.Dated != nil {
		dated = *o.Dated
	}
	c := request.Change{Actor: Self, OfficeAt: officeAt}
	draft := letter.Draft{Kind: o.Kind, SubjectID: o.SubjectID, RequestID: o.RequestID, Dated: dated, Replaces: o.Replaces}
	if template := k.template(o.Kind); template != "" {
		n, err := letter.EnsureNumbering(ctx, tx, o.Kind, template, c)
		if err != nil {
			return err
		}
		draft.Numbering, draft.Typed = n.Template, n.Way == letter.Typed
	}
	d, made, err := letter.Make(ctx, tx, draft, c)
	if err != nil || !made {
		return err
	}
	detail := map[string]any{"kind": d.Kind}
	if d.Number != nil {
		detail["number"] = *d.Number
	}
	if d.Replaces != nil {
		detail["replaces"] = *d.Replaces
	}
	return audit.Record(ctx, tx, audit.Entry{Actor: Self.Name, Action: "document.drafted", Subject: d.ID, Request: d.RequestID, Detail: detail})
}

func (k *Desk) template(kind string) string {
	return map[string]string{
		letter.ReplyLetter: k.cfg.Numbering.ReplyLetter, letter.CompletionLetter: k.cfg.Numbering.CompletionLetter,
		letter.BAST: k.cfg.Numbering.BAST, letter.DestructionReport: k.cfg.Numbering.DestructionReport,
		letter.ActivationReply: k.cfg.Numbering.ActivationReply, letter.BlankReceipt: k.cfg.Numbering.BlankReceipt,
	}[kind]
}

// note remembers which papers cannot be drafted, and logs what is new.
func (k *Desk) note(blocked map[string]string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for paper, why := range blocked {
		if k.blocked[paper] != why {
			k.log.Warn().Str("paper", paper).Str("error", why).Msg("paper cannot be drafted; it is tried again")
			k.status.Error(errors.New(paper + ": " + why))
		}
	}
	k.blocked = blocked
}

// Blocked tells the status page which papers are owed and cannot be drafted,
// and why.
func (k *Desk) Blocked() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.blocked
}

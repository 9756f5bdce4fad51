//go:build long

package planted

// edit replaces a text that must be in a file exactly once.
type edit struct{ file, old, now string }

// defect is a promise of the design taken back.
type defect struct {
	name  string
	edits []edit
	seeds []string // tried in turn until one meets it
}

// Constraints of the database that would stop a defect before it does harm are
// taken back with it: the code and the schema hold these promises twice.
const (
	schemaHistory = "schema/migrations/0009_history.sql"
	schemaLine    = "schema/migrations/0003_line.sql"
)

var historyOnce = edit{schemaHistory, "    UNIQUE (machine, subject, version),\n", ""}

var defects = []defect{
	{
		// A decision is taken on what was read, whatever happened since.
		name: "compare-and-set", seeds: []string{"1", "11", "21", "31"},
		edits: []edit{
			historyOnce,
			{"pkg/request/step.go", "WHERE id=$1 AND state=$2 AND version=$3`,", "WHERE id=$1 AND $2::text <> '' AND $3::bigint > 0`,"},
		},
	},
	{
		// A station takes a card that it saw free, whoever has it by now. Without the
		// trigger and the unique keys, since each of them is a fence of its own.
		name: "claim-fence", seeds: []string{"2", "12", "22", "32"},
		edits: []edit{
			historyOnce,
			{schemaLine, "CREATE TRIGGER card_transition BEFORE INSERT OR UPDATE ON card\n    FOR EACH ROW EXECUTE FUNCTION check_transition('card');\n", ""},
			{schemaLine, "    PRIMARY KEY (kind, value),\n    UNIQUE (kind, card_id)\n", "    PRIMARY KEY (kind, value)\n"},
			{schemaLine, "    ended_at      timestamptz,\n    UNIQUE (card_id, attempt)\n", "    ended_at      timestamptz\n"},
			{"pkg/perso/claim.go", "find(ctx, tx, id, ` FOR UPDATE`)", "find(ctx, tx, id, ``)"},
			{"pkg/perso/card.go", "WHERE id=$1 AND state=$2 AND version=$3 AND attempt=$4`,", "WHERE id=$1 AND $2::text <> '' AND $3::bigint > 0 AND $4::int >= 0`,"},
		},
	},
	{
		// A message counts as sent when it is written to the socket, and nobody looks
		// for those that did not arrive.
		name: "confirms-and-sweeper", seeds: []string{"3", "13", "23", "33"},
		edits: []edit{
			{"pkg/rabbit/publish.go", "acked := s.await(p.confirm)", "acked := p.confirm != nil"},
			{"daemons/scheduler/internal/sweeper/sweeper.go", "	behind := make(map[string]bool)\n", "	if len(stages) > 0 {\n		return 0, true, nil\n	}\n	behind := make(map[string]bool)\n"},
		},
	},
	{
		// The bell is noted after the change that it announces, in a transaction of
		// its own, by a writer in the background.
		name: "outbox-outside", seeds: []string{"4", "14", "24", "34"},
		edits: []edit{
			{"pkg/outbox/outbox.go", "func Put(ctx context.Context, tx *postgres.Tx, m ...Message) error {\n", `func Put(ctx context.Context, tx *postgres.Tx, m ...Message) error {
	db := tx.DB()
	tx.OnCommit(func() {
		go func() {
			<-time.After(time.Second)
			_ = db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error { return putNow(ctx, tx, m...) })
		}()
	})
	return nil
}

func putNow(ctx context.Context, tx *postgres.Tx, m ...Message) error {
`},
		},
	},
	{
		// The station trusts the kernel's cache. A power cut is played by cutting the
		// journal of a killed station to the length that it had at its start.
		name: "journal-unsynced", seeds: []string{"5", "15", "25", "35"},
		edits: []edit{
			{"pkg/journal/journal.go", "	j.head, j.size, j.torn = result.head, result.size, int64(len(result.torn))\n",
				"	j.head, j.size, j.torn = result.head, result.size, int64(len(result.torn))\n" +
					"	if err := os.WriteFile(j.path+\".synced\", []byte(fmt.Sprint(j.size)), 0o600); err != nil {\n		return err\n	}\n"},
			{"pkg/journal/journal.go", "	if err := j.sync(); err != nil {\n		return j.fail(err)\n	}\n", ""},
		},
	},
}

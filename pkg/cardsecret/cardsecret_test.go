package cardsecret_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/cardsecret/cardsecrettest"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

var (
	pic      = cardsecret.Who{Name: "pic", At: persotest.OfficeAt}
	operator = cardsecret.Who{Name: "operator", At: persotest.OfficeAt}
)

// maker is a database with one produsen that has no key.
func maker(t *testing.T) (*postgres.DB, string) {
	t.Helper()
	db := harness.NewDatabase(t).Open(t, "")
	var made institution.Institution
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		made, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Contoh"})
		return err
	}))
	return db, made.ID
}

func offer(t *testing.T, db *postgres.DB, at, text string) (k cardsecret.Key, err error) {
	t.Helper()
	err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		k, err = cardsecret.Offer(ctx, tx, at, text, pic)
		return err
	})
	return k, err
}

func confirm(t *testing.T, db *postgres.DB, id, typed string, by cardsecret.Who) error {
	t.Helper()
	return db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := cardsecret.Confirm(ctx, tx, id, typed, by)
		return err
	})
}

func code(t *testing.T, err error) string {
	t.Helper()
	var faults form.Faults
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults, 1)
	return faults[0].Code
}

// TestAKeyIsOfferedByOneAndConfirmedByAnother, who heard its fingerprint; the next one
// ends it, and old ones are kept with their periods.
func TestAKeyIsOfferedByOneAndConfirmedByAnother(t *testing.T) {
	t.Parallel()
	db, at := maker(t)
	_, err := cardsecret.KeyOf(t.Context(), db, at)
	require.ErrorIs(t, err, cardsecret.ErrNoKey)
	first := cardsecrettest.New(t).Recipient().String()
	k, err := offer(t, db, at, "  "+strings.ToUpper(first)+"\n")
	require.NoError(t, err)
	require.Equal(t, first, k.Recipient)
	require.Equal(t, cardsecret.Fingerprint(first), k.Fingerprint)
	require.Len(t, strings.Fields(cardsecret.Spell(k.Fingerprint)), 8)
	_, err = cardsecret.KeyOf(t.Context(), db, at)
	require.ErrorIs(t, err, cardsecret.ErrNoKey, "it is only offered")

	require.Equal(t, "missing", code(t, confirm(t, db, k.ID, " ", operator)))
	require.Equal(t, "differs", code(t, confirm(t, db, k.ID, strings.Repeat("0", 32), operator)))
	require.ErrorIs(t, confirm(t, db, k.ID, k.Fingerprint, pic), cardsecret.ErrSamePerson)
	require.ErrorIs(t, confirm(t, db, uuid.NewString(), k.Fingerprint, operator), cardsecret.ErrNotFound)
	require.NoError(t, confirm(t, db, k.ID, strings.ToLower(cardsecret.Spell(k.Fingerprint)), operator))
	require.ErrorIs(t, confirm(t, db, k.ID, k.Fingerprint, operator), cardsecret.ErrOver)

	second, err := offer(t, db, at, cardsecrettest.New(t).Recipient().String())
	require.NoError(t, err)
	third, err := offer(t, db, at, cardsecrettest.New(t).Recipient().String())
	require.NoError(t, err)
	now, err := cardsecret.KeyOf(t.Context(), db, at)
	require.NoError(t, err)
	require.Equal(t, k.ID, now.ID, "the old one is good until the new one is confirmed")
	require.NoError(t, confirm(t, db, third.ID, third.Fingerprint, operator))
	keys, err := cardsecret.Keys(t.Context(), db, at)
	require.NoError(t, err)
	require.Len(t, keys, 3)
	for i, want := range []struct{ id, state string }{{third.ID, cardsecret.Confirmed}, {second.ID, cardsecret.Withdrawn}, {k.ID, cardsecret.Ended}} {
		require.Equal(t, want.id, keys[i].ID)
		require.Equal(t, want.state, keys[i].State)
		require.Equal(t, want.state != cardsecret.Confirmed, keys[i].EndedAt != nil)
	}
	_, err = offer(t, db, at, first)
	require.Equal(t, "used", code(t, err), "a key that was given up is not taken up again")
	told, err := audit.About(t.Context(), db, k.ID, 10)
	require.NoError(t, err)
	require.Len(t, told, 2)
}

// TestAPrivateKeyIsRefusedAndKeptNowhere, however it was pasted.
func TestAPrivateKeyIsRefusedAndKeptNowhere(t *testing.T) {
	t.Parallel()
	db, at := maker(t)
	private := cardsecrettest.New(t).String()
	for name, text := range map[string]string{
		"alone":     private,
		"lower":     strings.ToLower(private),
		"broken":    private[:9] + "\n" + private[9:30] + " \r\n" + private[30:],
		"both":      "# public key: " + cardsecrettest.New(t).Recipient().String() + "\n" + private,
		"hybrid":    "AGE-SECRET-KEY-PQ-1QQQQ",
		"of plugin": "AGE-PLUGIN-YUBIKEY-1QQQ",
	} {
		_, err := offer(t, db, at, text)
		require.Equal(t, "private_key", code(t, err), name)
		require.NotContains(t, strings.ToUpper(fmt.Sprintf("%v %+v", err, err)), private[20:40], name)
	}
	k, err := offer(t, db, at, cardsecrettest.New(t).Recipient().String())
	require.NoError(t, err)
	err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := cardsecret.Withdraw(ctx, tx, k.ID, "kuncinya "+private, pic)
		return err
	})
	require.Equal(t, "private_key", code(t, err))
}

func TestWhatIsNoKeyIsRefused(t *testing.T) {
	t.Parallel()
	db, at := maker(t)
	good := cardsecrettest.New(t).Recipient().String()
	for text, want := range map[string]string{
		"": "missing", " \n ": "missing", "halo": "wrong_form", good[:40]: "wrong_form", good + "q": "wrong_form", strings.Replace(good, "age1", "age1x", 1): "wrong_form",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI": "wrong_form", good + " " + good: "wrong_form", strings.Repeat("a", 5000): "too_long",
		"age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqvw3vzw": "wrong_form",
	} {
		_, err := offer(t, db, at, text)
		require.Equal(t, want, code(t, err), text)
	}
	escrow := cardsecrettest.Escrow(t, db, persotest.OfficeAt)
	_, err := offer(t, db, at, escrow.Recipient().String())
	require.Equal(t, "used", code(t, err), "the office's own")
}

// handed is an office whose cards were written, each with its file, and are in a handover.
type handed struct {
	*persotest.Office
	handover string
	secrets  map[string][]byte // by serial
}

func hand(t *testing.T, n int) *handed {
	t.Helper()
	h := &handed{Office: persotest.New(t, n, n), handover: uuid.NewString(), secrets: map[string][]byte{}}
	place := persotest.Place(t, h.DB, "s1")
	station := perso.Change{Actor: perso.StationActor("s1"), OfficeAt: persotest.OfficeAt}
	h.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil { // the counter is tested elsewhere
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO handover (id, request_id, ordinal, state, quantity, created_at) VALUES ($1, $2, 1, 'delivered', $3, $4)`,
			h.handover, h.RequestID, n, persotest.OfficeAt)
		return err
	})
	for i, serial := range h.Serials {
		h.secrets[serial] = bytes.Repeat([]byte{byte(i + 1)}, 32)
		h.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
				return err
			}
			card, err := perso.Claim(ctx, tx, perso.Identity{Serial: serial, ChipID: "CHIP" + serial}, place, station)
			if err != nil {
				return err
			}
			c := card.Card
			if _, err := cardsecret.Keep(ctx, tx, cardsecret.Target{RequestID: c.RequestID, CardID: c.ID, AttemptID: card.Attempt.ID},
				cardsecret.Content{Serial: serial, ChipID: "CHIP" + serial, PCID: c.PCID, ManifestNo: c.ManifestNo, Secret: h.secrets[serial]}); err != nil {
				return err
			}
			if card, err = perso.BeginWriting(ctx, tx, card, perso.Intent{Sealed: []byte{1}}, station); err != nil {
				return err
			}
			if _, err = perso.Finish(ctx, tx, card, nil, station); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `INSERT INTO handover_card (card_id, handover_id) VALUES ($1, $2)`, c.ID, h.handover)
			return err
		})
		if i == 0 && n > 1 {
			h.Must(t, func(ctx context.Context, tx *postgres.Tx) error { // the first card of the lot may go on
				_, err := tx.Exec(ctx, `DELETE FROM lot_hold`)
				return err
			})
		}
	}
	return h
}

func (h *handed) institution(t *testing.T) (id string) {
	t.Helper()
	require.NoError(t, h.DB.Get(t.Context(), &id, `SELECT institution_id FROM request WHERE id = $1`, h.RequestID))
	return id
}

func (h *handed) zip(t *testing.T) (*cardsecret.Bundle, []byte) {
	t.Helper()
	b, err := cardsecret.Pack(t.Context(), h.DB, h.handover, h.RequestID, "uji.zip", persotest.OfficeAt)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, b.Write(t.Context(), &out))
	return b, out.Bytes()
}

// told is the one audit row of an action on the handover.
func (h *handed) told(t *testing.T, action string) (detail []byte) {
	t.Helper()
	require.NoError(t, h.DB.Get(t.Context(), &detail, `SELECT detail FROM audit WHERE subject = $1 AND action = $2`, h.handover, action))
	return detail
}

// opened are the secrets in a zip, by serial; the files that id does not open are counted.
func opened(t *testing.T, body []byte, id age.Identity) (secrets map[string][]byte, closed int) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	require.NoError(t, err)
	secrets = map[string][]byte{}
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, ".age") {
			continue
		}
		r, err := f.Open()
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		c, err := cardsecret.Open(text, id)
		if err != nil {
			closed++
			continue
		}
		secrets[c.Serial] = c.Secret
		require.Contains(t, f.Name, c.Serial)
	}
	return secrets, closed
}

// TestABundleHasAFileOfEachCard, weighed before it goes out and the same each time.
func TestABundleHasAFileOfEachCard(t *testing.T) {
	t.Parallel()
	h := hand(t, 3)
	b, body := h.zip(t)
	require.Len(t, b.Entries, 3)
	require.EqualValues(t, b.Size, len(body))
	require.Equal(t, b.SHA256, sha256.Sum256(body))
	_, again := h.zip(t)
	require.Equal(t, body, again)
	for _, id := range []age.Identity{h.Recipient, h.Escrow} {
		secrets, closed := opened(t, body, id)
		require.Equal(t, h.secrets, secrets)
		require.Zero(t, closed)
	}
	secrets, closed := opened(t, body, cardsecrettest.New(t))
	require.Empty(t, secrets)
	require.Equal(t, 3, closed)
	h.Must(t, func(ctx context.Context, tx *postgres.Tx) error { return b.Take(ctx, tx, "PIC Contoh", pic) })
	took, err := cardsecret.Downloads(t.Context(), h.DB, h.handover)
	require.NoError(t, err)
	require.Len(t, took, 1)
	require.Equal(t, fmt.Sprintf("%x", b.SHA256), took[0].Hash)
	require.Contains(t, string(h.told(t, "card_secret.download")), took[0].Hash)
	_, err = cardsecret.Pack(t.Context(), h.DB, uuid.NewString(), h.RequestID, "x", persotest.OfficeAt)
	require.ErrorIs(t, err, cardsecret.ErrNotFound)
}

// TestARecoveryIsTwoPeoples: it makes the files anew for the key that the produsen has
// now. One who is named twice, no reason, another key than the escrow's: nothing is made.
func TestARecoveryIsTwoPeoples(t *testing.T) {
	t.Parallel()
	h := hand(t, 2)
	escrow, err := cardsecret.EscrowInForce(t.Context(), h.DB)
	require.NoError(t, err)
	ask := cardsecret.Recovery{
		Escrow: escrow, HandoverID: h.handover, People: [2]string{"Sari", "Budi"}, Reason: "kunci privat produsen hilang", RecordedBy: operator,
	}
	recover := func(r cardsecret.Recovery, id *age.X25519Identity) error {
		return h.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := cardsecret.Recover(ctx, tx, r, id)
			return err
		})
	}
	require.ErrorIs(t, recover(ask, h.Escrow), cardsecret.ErrSameKey, "there is nothing to recover")
	next := cardsecrettest.Register(t, h.DB, h.institution(t), persotest.OfficeAt)
	for _, people := range [][2]string{{"Sari", ""}, {"Sari", " sari"}} {
		alone := ask
		alone.People = people
		require.ErrorIs(t, recover(alone, h.Escrow), cardsecret.ErrPeople)
	}
	silent := ask
	silent.Reason = "  "
	require.ErrorIs(t, recover(silent, h.Escrow), cardsecret.ErrPeople)
	require.ErrorIs(t, recover(ask, cardsecrettest.New(t)), cardsecret.ErrWrongEscrow)
	_, body := h.zip(t)
	_, closed := opened(t, body, next)
	require.Equal(t, 2, closed, "nothing was made")

	require.NoError(t, recover(ask, h.Escrow))
	_, body = h.zip(t)
	secrets, closed := opened(t, body, next)
	require.Zero(t, closed)
	require.Equal(t, h.secrets, secrets)
	_, closed = opened(t, body, h.Recipient)
	require.Equal(t, 2, closed, "the old key opens the old files only")
	require.ErrorIs(t, recover(ask, h.Escrow), cardsecret.ErrSameKey)
	var detail struct {
		People []string `json:"people"`
		Reason string   `json:"reason"`
	}
	require.NoError(t, json.Unmarshal(h.told(t, "card_secret.recover"), &detail))
	require.Equal(t, []string{"Sari", "Budi"}, detail.People)
	require.Equal(t, ask.Reason, detail.Reason)

	// The next escrow key does not open what was made for the one before.
	last := cardsecrettest.Escrow(t, h.DB, persotest.OfficeAt)
	third := cardsecrettest.Register(t, h.DB, h.institution(t), persotest.OfficeAt)
	newer := ask
	newer.Escrow, err = cardsecret.EscrowInForce(t.Context(), h.DB)
	require.NoError(t, err)
	require.ErrorIs(t, recover(newer, last), cardsecret.ErrOtherEscrow)
	one := ask
	one.HandoverID, one.Serial = "", h.Serials[1]
	require.NoError(t, recover(one, h.Escrow))
	_, body = h.zip(t)
	secrets, _ = opened(t, body, third)
	require.Equal(t, map[string][]byte{h.Serials[1]: h.secrets[h.Serials[1]]}, secrets, "of that card only")
	secrets, _ = opened(t, body, last)
	require.Len(t, secrets, 1, "and for the escrow key of now")
}

// TestWhatIsKeptStaysKept: files, downloads and recoveries are only added, and what a key
// became it stays.
func TestWhatIsKeptStaysKept(t *testing.T) {
	t.Parallel()
	h := hand(t, 1)
	for _, q := range []string{
		`DELETE FROM card_secret`, `UPDATE card_secret SET at = now()`, `DELETE FROM secret_recipient`, `DELETE FROM escrow_key`,
		`UPDATE secret_recipient SET confirmed_by = 'lain'`, `UPDATE secret_recipient SET state = 'offered', confirmed_by = NULL, confirmed_at = NULL`,
		`UPDATE escrow_key SET recipient = left(recipient, -1) || CASE right(recipient, 1) WHEN 'q' THEN 'p' ELSE 'q' END`, `UPDATE card_secret SET body = 'x'`,
	} {
		err := h.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, q)
			return err
		})
		require.Error(t, err, q)
		require.NotEmpty(t, postgres.Constraint(err), q)
	}
}

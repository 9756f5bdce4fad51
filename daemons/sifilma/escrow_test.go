package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/cardsecret/cardsecrettest"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// typedBack is an answer: the part that the screen showed last.
const typedBack = "<the part that was shown>"

var shownPart = regexp.MustCompile(`(?s)kertas Anda:\s+([0-9A-F\s]+)Nilai uji: ([0-9A-F]{6})`)

func lastPart(screen string) string {
	all := shownPart.FindAllStringSubmatch(screen, -1)
	if len(all) == 0 {
		return ""
	}
	return strings.Join(strings.Fields(all[len(all)-1][1]), " ")
}

func escrowDesk(t *testing.T, o *persotest.Office) keyDesk {
	config := o.Database.Config(t, "")
	return keyDesk{t, o.DB, []string{"-url", config.URL, "-password-file", config.PasswordFile}}
}

// escrowed runs `sifilma escrow` at a terminal and returns its screen and what it says.
func (d keyDesk) escrowed(answers []string, args ...string) (screen, says string) {
	d.t.Helper()
	return d.at("escrow", answers, args, d.dbArgs)
}

// refused wants `sifilma escrow` to say why not.
func (d keyDesk) refused(says string, args ...string) {
	d.t.Helper()
	out, err := sifilma(d.t, append(append([]string{"escrow"}, args...), d.dbArgs...)...).CombinedOutput()
	require.Error(d.t, err)
	require.Contains(d.t, string(out), says)
}

// TestAnEscrowKeyIsMadeByTwo: each copies a part that the other does not see; the public
// key is in force, the berita acara says who has what, and the parts are nowhere but on
// the screen that was wiped.
func TestAnEscrowKeyIsMadeByTwo(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	d := escrowDesk(t, o)
	dir := t.TempDir()
	d.refused("sebutkan tindakannya")
	d.refused("dua orang", "ceremony", "-custodian", "Kustodian I", "-paper", filepath.Join(dir, "x.docx"))
	paper := filepath.Join(dir, "ba.docx")
	part := []string{"Tekan Enter bila siap", "", "Sudah ditulis?", "", "Ketik kembali", typedBack, "amplop tersegel", ""}
	screen, says := d.escrowed(append(append(append([]string{}, part...), part...), "Pakai kunci ini?", "ya"),
		"ceremony", "-custodian", "Kustodian I", "-custodian", "Kustodian II", "-witness", "Saksi", "-paper", paper)
	now, err := cardsecret.EscrowInForce(t.Context(), o.DB)
	require.NoError(t, err)
	require.Equal(t, 2, now.Edition)
	require.Contains(t, says, cardsecret.Spell(now.Fingerprint))
	var parts [2]cardsecret.Part
	shown := shownPart.FindAllStringSubmatch(screen, -1)
	require.Len(t, shown, 2)
	text, err := docx.Text(read(t, paper))
	require.NoError(t, err)
	for i, m := range shown {
		value, err := hex.DecodeString(strings.Join(strings.Fields(m[1]), ""))
		require.NoError(t, err)
		copy(parts[i][:], value)
		require.Equal(t, m[2], parts[i].Check())
		require.NotContains(t, strings.Join(strings.Fields(says+text), ""), strings.Join(strings.Fields(m[1]), ""))
		require.Contains(t, text, m[2])
	}
	require.Contains(t, text, now.Recipient)
	require.Contains(t, text, "Saksi")
	require.NotContains(t, text, "{{")
	id, err := cardsecret.Join(&parts[0], &parts[1])
	require.NoError(t, err)
	require.Equal(t, now.Recipient, id.Recipient().String())
	out, err := sifilma(t, append([]string{"escrow", "list"}, d.dbArgs...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "edisi 2  "+cardsecret.Spell(now.Fingerprint)+"  berlaku  Kustodian I; Kustodian II")
	require.Contains(t, string(out), "edisi 1")
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(path)
	require.NoError(t, err)
	return body
}

// TestFilesAreRecoveredByTwo: with both parts they are made anew for the produsen's new
// key; with one of them, nothing is. No secret is on the screen.
func TestFilesAreRecoveredByTwo(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	d := escrowDesk(t, o)
	first, second, recipient, err := cardsecret.NewParts()
	require.NoError(t, err)
	secret := bytes.Repeat([]byte{0xC5}, 32)
	handover, serial := uuid.NewString(), o.Serials[0]
	station := perso.Change{Actor: perso.StationActor("s1"), OfficeAt: persotest.OfficeAt}
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := cardsecret.RecordEscrow(ctx, tx, cardsecret.Escrow{
			Recipient: recipient, Custodians: []string{"Kustodian I", "Kustodian II"}, Place: "uji", RecordedBy: "uji", OfficeAt: persotest.OfficeAt,
		}); err != nil {
			return err
		}
		h, err := perso.Claim(ctx, tx, perso.Identity{Serial: serial, ChipID: "CHIP"}, persotest.Place(t, o.DB, "s1"), station)
		if err != nil {
			return err
		}
		if _, err := cardsecret.Keep(ctx, tx, cardsecret.Target{RequestID: o.RequestID, CardID: h.Card.ID, AttemptID: h.Attempt.ID},
			cardsecret.Content{Serial: serial, ChipID: "CHIP", PCID: h.Card.PCID, ManifestNo: h.Card.ManifestNo, Secret: secret}); err != nil {
			return err
		}
		if h, err = perso.BeginWriting(ctx, tx, h, perso.Intent{Sealed: []byte{1}}, station); err != nil {
			return err
		}
		if _, err = perso.Finish(ctx, tx, h, nil, station); err != nil {
			return err
		}
		for _, q := range []string{
			`SET LOCAL session_replication_role = replica`,
			fmt.Sprintf(`INSERT INTO handover (id, request_id, ordinal, state, quantity, created_at) VALUES ('%s', '%s', 1, 'delivered', 1, now())`, handover, o.RequestID),
			fmt.Sprintf(`INSERT INTO handover_card (card_id, handover_id) VALUES ('%s', '%s')`, h.Card.ID, handover),
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	d.refused("salah satu", "recover", "-reason", "hilang")
	d.refused("-reason wajib", "recover", "-handover", handover)
	d.refused("tidak ada berkas rahasia", "recover", "-handover", "x", "-reason", "hilang")
	d.refused("tidak ada yang perlu dipulihkan", "recover", "-handover", handover, "-reason", "hilang")
	var institution string
	require.NoError(t, o.DB.Get(t.Context(), &institution, `SELECT institution_id FROM request`))
	next := cardsecrettest.Register(t, o.DB, institution, persotest.OfficeAt)
	d.refused("edisi kunci escrow lain", "recover", "-handover", handover, "-reason", "hilang", "-edition", "1")

	take := func(name string, p *cardsecret.Part) []string {
		return []string{"Tekan Enter bila siap", "", "Nama lengkap", name, "Nilai uji di kertas", p.Check(), "Bagian:", hex.EncodeToString(p[:])}
	}
	other := first
	other[7] ^= 1 // the paper of another key
	_, says, err := d.try("escrow", append(take("Sari", &other), take("Budi", &second)...), []string{"recover", "-handover", handover, "-reason", "hilang"}, d.dbArgs)
	require.Error(t, err)
	require.Contains(t, says, "bukan bagian kunci escrow ini")
	_, says, err = d.try("escrow", append(take("Sari", &first), take("sari", &second)...), []string{"recover", "-handover", handover, "-reason", "hilang"}, d.dbArgs)
	require.Error(t, err)
	require.Contains(t, says, "dua orang yang berbeda")
	require.Equal(t, 1, files(t, o))

	screen, says := d.escrowed(append(take("Sari", &first), take("Budi", &second)...), "recover", "-handover", handover, "-reason", "kunci privat hilang")
	require.Contains(t, says, "oleh Sari dan Budi")
	for _, text := range []string{hex.EncodeToString(secret), hex.EncodeToString(first[:]), hex.EncodeToString(second[:]), "AGE-SECRET-KEY"} {
		require.NotContains(t, strings.ToLower(screen+says), strings.ToLower(text))
	}
	require.Equal(t, 2, files(t, o))
	var body []byte
	require.NoError(t, o.DB.Get(t.Context(), &body, `SELECT body FROM card_secret WHERE edition = 2`))
	c, err := cardsecret.Open(body, next)
	require.NoError(t, err)
	require.Equal(t, secret, c.Secret)
	_, err = cardsecret.Open(body, o.Recipient)
	require.ErrorAs(t, err, new(*age.NoIdentityMatchError))
	var people string
	require.NoError(t, o.DB.Get(t.Context(), &people, `SELECT detail->>'people' || (detail->>'reason') FROM audit WHERE action = 'card_secret.recover'`))
	require.Equal(t, `["Sari", "Budi"]kunci privat hilang`, people)
}

func files(t *testing.T, o *persotest.Office) (n int) {
	t.Helper()
	require.NoError(t, o.DB.Get(t.Context(), &n, `SELECT count(*) FROM card_secret`))
	return n
}

package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// reads has a station say what a card in doubt shows.
func (o *office) reads(cardID, station string, p perso.Decision) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		h, err := perso.Reload(ctx, tx, cardID)
		if err != nil {
			return err
		}
		_, err = perso.Observe(ctx, tx, h, perso.Finding{Proposal: p, Reader: "Pembaca Kiri", Observed: map[string]any{
			"life_cycle": "INITIALIZED", "steps": []map[string]string{{"step": "marker", "seen": "done"}, {"step": "secret", "seen": "unseen"}}}},
			perso.Change{Actor: perso.StationActor(station), OfficeAt: o.clock.Now()})
		return err
	})
}

// inDoubt is a request whose first card a station has begun and does not know about.
func (o *office) inDoubt() (ticket, cardID string) {
	o.t.Helper()
	v := o.accept(o.drop(2))
	o.want(202, nil, "kasubdit", http.MethodPost, v1+"/requests/"+v.Ticket+"/release-now", map[string]any{"reason": "mendesak"})
	o.scheduled("perintah petugas")
	cardID = o.inHand(v.Ticket, true)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		h, err := perso.Reload(ctx, tx, cardID)
		if err != nil {
			return err
		}
		_, err = perso.Doubt(ctx, tx, h, perso.Finding{Observed: map[string]any{"step": "secret"}},
			perso.Change{Actor: perso.StationActor("Ruang Bawah"), OfficeAt: o.clock.Now(), Reason: "jawaban kartu hilang"})
		return err
	})
	return v.Ticket, cardID
}

type doubtsSeen struct {
	Total  int
	Doubts []struct {
		Card struct {
			ID, Serial, Reading string
			Version             int64
			Voided              *struct{ Decision string }
		}
		Ticket, Station, Next string
		LastStep              string  `json:"last_step"`
		ReadBy                string  `json:"read_by"`
		ReadAt                *string `json:"read_at"`
	}
	Contradictions []struct {
		Observation struct{ ID string }
		Serial      string
	}
}

func (o *office) doubts(who string) (list doubtsSeen) {
	o.t.Helper()
	o.want(200, &list, who, http.MethodGet, v1+"/doubts", nil)
	return list
}

func TestTheDeskOfDoubts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.Empty(t, o.doubts("operator").Doubts)
	ticket, id := o.inDoubt()
	at := v1 + "/cards/" + id + "/resolution"
	for _, who := range []string{"produsen", "lembaga"} {
		o.problem(403, who, http.MethodGet, v1+"/doubts", nil)
		o.problem(403, who, http.MethodGet, v1+"/doubts/"+id, nil)
		o.problem(403, who, http.MethodPost, v1+"/contradictions/"+id+"/answer", map[string]any{"reason": "x"})
	}
	o.problem(404, "operator", http.MethodGet, v1+"/doubts/"+uuid.NewString(), nil)
	o.problem(404, "operator", http.MethodPost, v1+"/contradictions/"+uuid.NewString()+"/answer", map[string]any{"reason": "x"})
	list := o.doubts("dirjen")
	require.Equal(t, 1, list.Total)
	one := list.Doubts[0]
	require.Equal(t, [4]string{ticket, "Ruang Bawah", "read", "secret"}, [4]string{one.Ticket, one.Station, one.Next, one.LastStep})
	require.Nil(t, one.ReadAt)

	o.reads(id, "Ruang Atas", perso.DecideResume)
	one = o.doubts("operator").Doubts[0]
	require.Equal(t, [3]string{"decide", "Ruang Atas", "secret"}, [3]string{one.Next, one.ReadBy, one.LastStep})
	first := one.Card.Reading
	o.want(200, nil, "operator", http.MethodPost, at, map[string]any{"decision": "resume", "reason": "sesuai bacaan", "reading": first})
	require.Equal(t, "confirm", o.doubts("operator").Doubts[0].Next)
	var open string
	require.NoError(t, o.db.Get(t.Context(), &open, `SELECT id FROM card_resolution WHERE confirmed_by IS NULL AND voided_at IS NULL`))

	// Read otherwise between the two: the first decision is void.
	o.reads(id, "Ruang Atas", perso.DecideSpoil)
	one = o.doubts("operator").Doubts[0]
	require.Equal(t, "decide", one.Next)
	require.Equal(t, "resume", one.Card.Voided.Decision)
	refused := o.problem(409, "kasubdit", http.MethodPost, at+"/confirmation", map[string]any{"resolution": open})
	require.Equal(t, "resolution-void", refused.Code())
	o.problem(412, "operator", http.MethodPost, at, map[string]any{"decision": "spoil", "reason": "rusak", "reading": first})
	o.want(200, nil, "operator", http.MethodPost, at, map[string]any{"decision": "spoil", "reason": "rusak", "reading": one.Card.Reading})
	o.want(200, nil, "kasubdit", http.MethodPost, at+"/confirmation", nil)
	require.Zero(t, o.doubts("operator").Total)

	// It turns out to be finished. People are told until somebody has answered.
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.Contradict(ctx, tx, id, perso.Finding{Proposal: perso.DecideComplete}, perso.Change{Actor: perso.StationActor("Ruang Atas"), OfficeAt: o.clock.Now()})
		return err
	})
	late := o.doubts("operator").Contradictions
	require.Len(t, late, 1)
	answer := v1 + "/contradictions/" + late[0].Observation.ID + "/answer"
	o.problem(403, "dirjen", http.MethodPost, answer, map[string]any{"reason": "x"})
	o.problem(422, "operator", http.MethodPost, answer, map[string]any{"reason": " "})
	o.want(204, nil, "operator", http.MethodPost, answer, map[string]any{"reason": "kartu dihancurkan"})
	refused = o.problem(409, "kasubdit", http.MethodPost, answer, map[string]any{"reason": "x"})
	require.Equal(t, "already-closed", refused.Code())
	require.Empty(t, o.doubts("operator").Contradictions)
	var card struct {
		Doubt        struct{ Next string }
		Observations []struct {
			Station, Proposal string
			Contradicts       bool
		}
	}
	o.want(200, &card, "persuratan", http.MethodGet, v1+"/doubts/"+id, nil)
	require.Empty(t, card.Doubt.Next)
	require.Len(t, card.Observations, 3)
	require.True(t, card.Observations[0].Contradicts)
	require.NotContains(t, o.want(200, nil, "produsen", http.MethodGet, v1+"/requests/"+ticket+"/cards", nil).Body.String(), first)
}

func TestTheDeskOnItsPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.Contains(t, o.page(200, "operator", "/meragukan").text, "Tidak ada kartu yang meragukan")
	ticket, id := o.inDoubt()
	o.page(403, "produsen", "/meragukan")
	o.page(403, "produsen", "/meragukan/"+id)
	o.page(404, "operator", "/meragukan/"+uuid.NewString())
	require.NotContains(t, o.page(200, "dirjen", "/permohonan").text, "Kartu meragukan")
	list := o.page(200, "operator", "/meragukan").text
	for _, says := range []string{"Kartu meragukan (1)", ticket, "Ruang Bawah", "langkah: penulisan CONF", "Belum dibaca", "Masukkan kartu ke pembaca stasiun mana pun", "jawaban kartu hilang"} {
		require.Contains(t, list, says)
	}
	at := "/meragukan/" + id
	require.Contains(t, o.page(200, "dirjen", at).text, "Kartu ini belum dibaca.")
	o.reads(id, "Ruang Atas", perso.DecideResume)
	page := o.page(200, "operator", at)
	for _, says := range []string{"Lanjutkan penulisan", "Ruang Atas, Pembaca Kiri (kartu dibaca)", "penandaan ✓ ada", "penulisan CONF ? tidak dapat dilihat dari luar", "terisi sebagian"} {
		require.Contains(t, page.text, says)
	}
	form := page.form("usul")
	path := "/permohonan/" + ticket + "/kartu/" + id
	seen := func(more ...string) []string {
		return append([]string{"versi", form.value("versi"), "bacaan", form.value("bacaan"), "meja", "1"}, more...)
	}
	lacks, _ := o.post(422, "operator", path+"/usul", seen("decision", "resume", "reason", "")...)
	require.Contains(t, lacks.text, "Alasan wajib diisi.")
	require.Contains(t, lacks.text, "Bacaan stasiun", "it is the desk's page still")
	require.Equal(t, "1", lacks.form("usul").value("meja"), "and leads back to it")
	_, to := o.post(303, "operator", path+"/usul", seen("decision", "resume", "reason", "sesuai bacaan")...)
	require.True(t, strings.HasPrefix(to, at+"?"), to)
	require.Contains(t, o.page(200, "operator", to).text, "berlaku setelah dikonfirmasi orang lain")

	o.reads(id, "Ruang Bawah", perso.DecideSpoil)
	page = o.page(200, "kasubdit", at)
	require.Contains(t, page.text, "gugur: kartu dibaca lagi sesudahnya")
	old, _ := o.post(412, "kasubdit", path+"/usul", seen("decision", "spoil", "reason", "rusak")...)
	require.Contains(t, old.text, "Kartu ini sudah berubah")
	form = page.form("usul")
	o.post(303, "kasubdit", path+"/usul", seen("decision", "spoil", "reason", "rusak")...)
	page = o.page(200, "operator", at)
	confirm := page.form("konfirmasi")
	_, to = o.post(303, "operator", path+"/konfirmasi", "versi", confirm.value("versi"), "keputusan", confirm.value("keputusan"), "meja", "1", "confirmed", "1")
	page = o.page(200, "operator", to)
	require.Contains(t, page.text, "Keputusan dikonfirmasi.")
	require.Contains(t, page.text, "Tidak ada yang perlu diputuskan.")

	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.Contradict(ctx, tx, id, perso.Finding{Proposal: perso.DecideComplete}, perso.Change{Actor: perso.StationActor("Ruang Atas"), OfficeAt: o.clock.Now()})
		return err
	})
	desk := o.page(200, "operator", "/meragukan")
	require.Contains(t, desk.text, "Hasil yang bertentangan dengan keputusan")
	require.Contains(t, desk.text, "Kartu meragukan (1)")
	var said string
	require.NoError(t, o.db.Get(t.Context(), &said, `SELECT id FROM card_observation WHERE contradicts`))
	require.NotContains(t, o.page(200, "dirjen", "/meragukan").text, "Catat tindak lanjut")
	wrong, _ := o.post(422, "operator", "/meragukan/hasil/"+said, "reason", "")
	require.Contains(t, wrong.text, "Alasan wajib diisi.")
	o.post(403, "dirjen", "/meragukan/hasil/"+said, "reason", "x")
	_, to = o.post(303, "operator", "/meragukan/hasil/"+said, "reason", "dihancurkan")
	desk = o.page(200, "operator", to)
	require.Contains(t, desk.text, "Tindak lanjut tercatat.")
	require.Contains(t, desk.text, "Tidak ada kartu yang meragukan")
}

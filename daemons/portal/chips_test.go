package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/register/registertest"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

const chipsAt = v1 + "/chips/"

// chip is what a number leads somebody to.
func (o *office) chip(who, key string) (a report.ChipAnswer) {
	o.t.Helper()
	o.want(200, &a, who, http.MethodGet, chipsAt+url.PathEscape(key), nil)
	return a
}

// personalised has a station make the card with this serial, in a chip of its own.
func (o *office) personalised(serial string) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		c := perso.Change{Actor: perso.StationActor("Ruang Atas"), OfficeAt: o.clock.Now()}
		h, err := perso.Claim(ctx, tx, perso.Identity{Serial: serial, ChipID: "C0FFEE" + serial[3:]}, persotest.Place(o.t, o.db, "Ruang Atas"), c)
		if err != nil {
			return err
		}
		if h, err = perso.BeginWriting(ctx, tx, h, perso.Intent{Sealed: []byte("x")}, c); err != nil {
			return err
		}
		_, err = perso.Finish(ctx, tx, h, map[string]any{"uji": true}, c)
		return err
	})
}

// eve ends the day of the office's clock, and tomorrow begins the next hari kerja.
func (o *office) eve(tomorrow string) {
	o.t.Helper()
	today := clock.DateOf(o.clock.Now())
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.CloseDays(ctx, tx, today, today.At(16, 0), today.At(16, 0))
		return err
	})
	next := clock.MustParseDate(tomorrow)
	o.clock.Set(next.At(7, 0))
	o.scheduled("sisa hari sebelumnya")
	o.clock.Set(next.At(9, 0))
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if err := begin(ctx, tx, next); err != nil {
			return err
		}
		_, err := capacity.ReleaseDay(ctx, tx, next, next.At(7, 30))
		return err
	})
}

// longLife is a request of two cards. The first was spoiled by two people after its
// readings differed, destroyed and replaced; the second was carried over to the next
// day; it and the replacement are handed over.
type longLife struct {
	ticket, first, second, new string // ids of the cards
	serials                    [3]string
	pcid                       string // burnt, of the first
	handover                   report.Handover
}

func aLongLife(t *testing.T) (*office, longLife) {
	t.Helper()
	o := newOffice(t)
	var l longLife
	l.ticket, l.first = o.inDoubt()
	cards := o.cards("operator", l.ticket)
	l.second, l.serials[0], l.serials[1], l.pcid = cards[1].ID, cards[0].Serial, cards[1].Serial, cards[0].PCID
	decide := v1 + "/cards/" + l.first + "/resolution"
	o.reads(l.first, "Ruang Atas", perso.DecideResume)
	o.want(200, nil, "operator", http.MethodPost, decide, map[string]any{"decision": "resume", "reason": "sesuai bacaan"})
	o.reads(l.first, "Ruang Atas", perso.DecideSpoil)
	o.want(200, nil, "operator", http.MethodPost, decide, map[string]any{"decision": "spoil", "reason": "isi chip lain"})
	o.want(200, nil, "kasubdit", http.MethodPost, decide+"/confirmation", nil)
	o.want(200, nil, "operator", http.MethodPost, v1+"/cards/"+l.first+"/replacement", map[string]any{"serial": "SAM90001"})
	l.serials[2], l.new = "SAM90001", o.cards("operator", l.ticket)[2].ID

	o.eve("2026-11-24")
	o.personalised(l.serials[1])
	var hold string
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.Get(ctx, &hold, `INSERT INTO lot_hold (id, work_order_id, kind, card_id, station, office_at)
			SELECT gen_random_uuid(), work_order_id, 'first_card', id, 'Ruang Atas', $2 FROM card WHERE id = $1 RETURNING id`, l.second, o.clock.Now())
	})
	o.want(200, nil, "operator", http.MethodPost, v1+"/lot-holds/"+hold+"/lift", map[string]any{"reason": "kartu dibuka dengan reader uji"})
	o.eve("2026-11-25")
	o.personalised(l.serials[2])
	v := o.see(l.ticket)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		r, err := request.Lock(ctx, tx, v.ID)
		if err != nil {
			return err
		}
		_, err = request.Take(ctx, tx, r, request.Finish, request.Change{Actor: machine.Actor{Name: "scheduler", Role: request.Scheduler}, OfficeAt: o.clock.Now()})
		return err
	})
	o.listed(v.ID)
	o.want(200, nil, "operator", http.MethodPost, v1+"/requests/"+l.ticket+"/destructions", map[string]any{
		"destroyed_on": "2026-11-25", "method": "dipotong melalui chip", "reason": "kartu rusak", "cards": []string{l.first},
		"first_name": "Ani", "first_post": "Analis", "second_name": "Budi", "second_post": "Arsiparis",
	})
	var destroyed string
	require.NoError(t, o.db.Get(t.Context(), &destroyed, `SELECT id FROM destruction`))
	o.make(letter.DestructionReport, destroyed, v.ID)
	o.want(201, &l.handover, "operator", http.MethodPost, v1+"/requests/"+l.ticket+"/handovers", nil)
	o.draftBAST(l.handover, v.ID)
	at := v1 + "/handovers/" + l.handover.ID
	o.want(200, nil, "operator", http.MethodPost, at+"/delivery",
		newForm(t, signedScan(at), "representative", "Citra", "representative_post", "Direktur Operasi", "representative_of", "produsen", "delivered_on", "2026-11-25"), ifMatch(2)...)
	o.want(200, nil, "produsen", http.MethodPost, at+"/receipt", map[string]any{"received": 2}, ifMatch(3)...)
	return o, l
}

// listed plays the document generator for the result list, which nobody signs.
func (o *office) listed(requestID string) {
	o.t.Helper()
	c := request.Change{Actor: machine.Actor{Name: "document-generator", Role: request.Generator}, OfficeAt: o.clock.Now()}
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "daftar.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", strings.NewReader("x"))
		if err != nil {
			return err
		}
		d, _, err := letter.Make(ctx, tx, letter.Draft{Kind: letter.ResultList, SubjectID: requestID, RequestID: requestID, Dated: clock.DateOf(o.clock.Now())}, c)
		if err != nil {
			return err
		}
		_, err = letter.Attach(ctx, tx, d, letter.Files{XLSX: ref.ID.String(), TemplateSHA256: make([]byte, 32)}, c)
		return err
	})
}

func said(events []report.Event) (all []string) {
	for _, e := range events {
		all = append(all, e.Label)
	}
	slices.Reverse(all)
	return all
}

func documents(c *report.Chip) (kinds []string) {
	for _, d := range c.Documents {
		kinds = append(kinds, d.Kind)
	}
	slices.Sort(kinds)
	return kinds
}

// TestAnyNumberLeadsToTheWholeLife asks for a card by each of its numbers.
func TestAnyNumberLeadsToTheWholeLife(t *testing.T) {
	t.Parallel()
	o, l := aLongLife(t)
	first := o.chip("dirjen", l.serials[0])
	require.Equal(t, 1, first.Total)
	c := first.Chip
	manifest := c.ManifestNo
	for key, by := range map[string]string{
		l.first: report.ByID, strings.ToLower(l.serials[0]): report.BySerial, " " + l.serials[0] + "\u200b": report.BySerial, l.pcid: report.ByPCID,
		strings.ToLower(l.pcid[:4] + " " + l.pcid[4:]): report.ByPCID, strings.ToLower(manifest): report.ByManifest, "chip" + l.serials[0]: report.ByChip,
	} {
		found := o.chip("operator", key)
		require.Equal(t, l.first, found.Chip.ID, key)
		require.Equal(t, []string{by}, found.Matches[0].FoundBy, key)
	}

	require.Equal(t, "Rusak", c.StateLabel)
	require.Equal(t, []string{"burnt", "burnt"}, []string{c.Numbers[0].State, c.Numbers[1].State})
	require.Equal(t, []string{l.pcid, manifest}, []string{c.Numbers[0].Value, c.Numbers[1].Value})
	require.Equal(t, morning, c.Numbers[0].GivenAt.UTC(), "office time")
	require.Equal(t, "PT Bank Contoh Nusantara", c.Line.Lembaga)
	require.Equal(t, "PO-1", c.Request.Orders[0].Number)
	require.Equal(t, "Berlaku", c.Request.PKS.StatusLabel)
	require.Equal(t, 2, *c.Blank.Counted)
	require.Equal(t, "persuratan", c.Blank.CountedBy)
	require.Len(t, c.Tries, 1)
	a := c.Tries[0]
	require.Equal(t, []string{"Ruang Bawah", "Pembaca 1", "spoiled", "jawaban kartu hilang"}, []string{a.Station, a.Reader, a.Outcome, reasonOf(c, perso.DoubtVerb)})
	for _, edition := range []string{a.Profile, a.SAMType, a.KeyCode} {
		require.Regexp(t, `^[a-z0-9-]+/[0-9]+$`, edition)
	}
	require.Equal(t, morning, a.StartedAt.UTC())
	require.Equal(t, morning, a.EndedAt.UTC())
	require.Len(t, c.Decided, 2)
	require.NotNil(t, c.Decided[0].VoidedAt)
	require.Equal(t, []any{perso.DecideSpoil, "operator", "kasubdit", 1}, []any{c.Decided[1].Decision, c.Decided[1].DecidedBy, *c.Decided[1].ConfirmedBy, c.Decided[1].Attempt})
	require.Len(t, c.Looks, 2)
	require.Equal(t, []string{l.first, l.new}, []string{c.Chain[0].ID, c.Chain[1].ID})
	require.True(t, c.Chain[0].Present)
	require.Equal(t, []any{"Ani", "Budi", "operator", "spoiled"}, []any{c.Destructions[0].First.Name, c.Destructions[0].Second.Name, c.Destructions[0].DrawnBy, c.Destructions[0].Was})
	require.Nil(t, c.Handover)
	require.Equal(t, []string{letter.DestructionReport, letter.ResultList}, documents(c))
	require.Len(t, c.Days, 1)
	require.True(t, c.Days[0].Worked)

	told := said(c.History)
	for _, want := range []string{
		"Permohonan diajukan", "Blangko dihitung", "Kartu " + l.serials[0] + " masuk daftar", "Kartu " + l.serials[0] + " terikat pada chipnya",
		"Kartu " + l.serials[0] + " diberi PCID dan nomor manifest", "Kartu " + l.serials[0] + " diambil untuk upaya ke-1 di stasiun Ruang Bawah, pembaca Pembaca 1",
		"Kartu " + l.serials[0] + " mulai ditulis", "Kartu " + l.serials[0] + " meragukan: hasil penulisannya belum diketahui", "Kartu " + l.serials[0] + " dinyatakan rusak",
		"Kartu SAM90001 didaftarkan sebagai pengganti " + l.serials[0], "Kartu " + l.serials[0] + " dicatat dimusnahkan pada berita acara kartu rusak ke-1 permohonan ini",
	} {
		require.Contains(t, told, want)
	}
	require.NotContains(t, strings.Join(told, "\n"), l.serials[1], "of another card")
	require.NotContains(t, strings.Join(told, "\n"), "SAM90001 diambil", "of another card's life")
	require.Equal(t, "kasubdit", c.History[slices.IndexFunc(c.History, func(e report.Event) bool { return e.Verb == perso.SpoilVerb })].Actor)

	second := o.chip("operator", l.serials[1]).Chip
	require.Equal(t, []bool{true, false}, []bool{second.Days[0].CarriedOver, second.Days[0].Worked}, "it waited for a day in vain")
	require.Equal(t, []bool{false, true}, []bool{second.Days[1].CarriedOver, second.Days[1].Worked})
	require.Equal(t, "2026-11-24", second.Days[1].Day.String())
	require.Equal(t, "present", second.Numbers[0].State)
	require.Empty(t, second.Chain)
	require.Equal(t, []string{"Kartu pertama menunggu persetujuan", "operator", "kartu dibuka dengan reader uji"}, []string{second.Holds[0].KindLabel, *second.Holds[0].LiftedBy, *second.Holds[0].Reason})
	require.Equal(t, []string{letter.BAST, letter.ResultList}, documents(second))
	require.Equal(t, []any{1, "Citra", "2026-11-25", 2}, []any{second.Handover.Ordinal, second.Handover.Representative, second.Handover.DeliveredOn.String(), *second.Handover.Received})
	require.Contains(t, said(second.History), "Serah terima ke-1 terlaksana: 2 kartu diserahkan")
	require.Contains(t, said(second.History), "Berita Acara Serah Terima terbit")

	replacement := o.chip("operator", "C0FFEE90001").Chip
	require.Equal(t, l.new, replacement.ID)
	require.Equal(t, "Diterima bersama pendaftaran kartu pengganti.", replacement.Blank.Receipts[0].Reason)
	require.Nil(t, replacement.Blank.CountedAt)

	// A reader's number is that of the card that failed and of its replacement.
	reader := o.chip("operator", first.Chip.ReaderSerial)
	require.Nil(t, reader.Chip)
	require.Equal(t, []string{l.new, l.first}, []string{reader.Matches[0].ID, reader.Matches[1].ID})
	require.Equal(t, report.NoChip, o.problem(404, "operator", http.MethodGet, chipsAt+"SAM77777", nil).Detail)
	for _, none := range []string{strings.Repeat("a", 300), "%FF", "%00", "%20", uuid.NewString()} {
		o.problem(404, "operator", http.MethodGet, chipsAt+none, nil)
	}
}

func reasonOf(c *report.Chip, verb machine.Verb) string {
	for _, e := range c.History {
		if e.Machine == perso.Machine.Name && e.Verb == verb {
			return e.Reason
		}
	}
	return ""
}

// TestTheLifeOfAChipIsItsOwners shows who sees what of it.
func TestTheLifeOfAChipIsItsOwners(t *testing.T) {
	t.Parallel()
	o, l := aLongLife(t)
	c := o.chip("operator", l.first).Chip
	for _, key := range []string{l.first, l.serials[0], l.pcid, c.ManifestNo, c.ChipID, c.ReaderSerial} {
		require.Equal(t, report.NoChip, o.problem(404, foreigner, http.MethodGet, chipsAt+key, nil).Detail)
		for _, who := range []string{"lembaga", otherLembaga} {
			o.problem(404, who, http.MethodGet, chipsAt+key, nil)
		}
		o.problem(401, "", http.MethodGet, chipsAt+key, nil)
		require.Contains(t, o.page(404, foreigner, "/chip/"+key).text, "bukan milik lembaga Anda")
		o.want(200, nil, "produsen", http.MethodGet, chipsAt+key, nil)
	}
	mine := o.chip("produsen", l.pcid).Chip
	require.Equal(t, []string{l.pcid, c.ManifestNo, ""}, []string{mine.PCID, mine.ManifestNo, mine.ChipID})
	require.Len(t, mine.Numbers, 2)
	require.Empty(t, mine.Tries)
	require.Empty(t, mine.Days)
	require.Empty(t, mine.Decided)
	require.Empty(t, mine.Looks)
	require.Empty(t, o.chip("produsen", l.second).Chip.Holds)
	require.Empty(t, mine.Destructions)
	require.Nil(t, mine.Request.PKS)
	require.Nil(t, mine.Blank.Counted)
	require.Empty(t, mine.Blank.CountedBy)
	require.Equal(t, []string{letter.ResultList}, documents(mine), "the berita acara is not issued yet")
	for _, e := range mine.History {
		require.True(t, e.Role == "produsen" || e.Actor == "" && e.Name == "", e.Label)
		for _, internal := range []string{"upaya", "meragukan", "dimusnahkan", "terikat"} {
			require.NotContains(t, e.Label, internal)
		}
	}
	page := o.page(200, "produsen", "/chip/"+l.first)
	for _, internal := range []string{"Pengerjaan", "Keraguan", "Pemusnahan", "Ruang Bawah", c.ChipID, "operator", "kasubdit"} {
		require.NotContains(t, page.text, internal)
	}
	require.Contains(t, page.text, l.pcid)
}

// TestNumbersOfBeforeFindTheirCards: wiped numbers, lists of requests that ended, the
// old register and journals after a restore.
func TestNumbersOfBeforeFindTheirCards(t *testing.T) {
	t.Parallel()
	o, v, at := byHand(t, 2)
	var desk atHand
	o.want(200, &desk, "operator", http.MethodPost, at+"/numbers", nil)
	wiped := desk.Cards[0]
	o.want(200, &desk, "operator", http.MethodDelete, at+"/numbers", map[string]any{"reason": "salah urut"})
	for _, key := range []string{wiped.PCID, wiped.ManifestNo} {
		found := o.chip("operator", key).Chip
		require.Equal(t, wiped.ID, found.ID)
		require.Equal(t, []string{"wiped", "wiped"}, []string{found.Numbers[0].State, found.Numbers[1].State})
		require.Contains(t, said(found.History), "Kartu "+wiped.Serial+" dihapus nomornya; nomor itu hangus")
		require.Empty(t, o.chip("produsen", key).Chip.Numbers, "nobody outside is shown them since")
	}
	o.want(200, &desk, "operator", http.MethodPost, at+"/numbers", nil)
	found := o.chip("operator", wiped.PCID).Chip
	require.Equal(t, []string{"present", "present", "wiped", "wiped"}, []string{found.Numbers[0].State, found.Numbers[1].State, found.Numbers[2].State, found.Numbers[3].State})
	o.morningOf(v.ID)
	o.want(200, nil, "operator", http.MethodPost, at+"/results", map[string]any{"results": []any{entry(desk.Cards[0], "failed", "patah")}})
	try := o.chip("operator", wiped.ID).Chip
	require.Equal(t, "Hasil menunggu konfirmasi", try.StateLabel)
	require.Equal(t, []any{true, "failed", "patah", "operator", ""}, []any{try.Tries[0].ByHand, string(try.Tries[0].Hand.Result), try.Tries[0].Hand.Reason, try.Tries[0].Hand.EnteredBy, try.Tries[0].Outcome})
	require.Contains(t, o.page(200, "operator", "/chip/"+wiped.ID).text, "gagal dicatat Operator KI, menunggu orang kedua")

	// One serial in two requests: the first was cancelled.
	gone := o.drop(1)
	serial := o.chip("produsen", listedSerial(o, gone.ID)).Chip.Serial
	o.want(200, nil, "produsen", http.MethodPost, v1+"/requests/"+gone.Ticket+"/cancellation", map[string]any{"reason": "salah kirim"}, ifMatch(1)...)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error { return cardlist.Free(ctx, tx, gone.ID) })
	require.Equal(t, "Dalam daftar; permohonan dibatalkan", o.chip("operator", serial).Chip.StateLabel)
	again := o.drop(1)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE listed_card SET serial = $2 WHERE request_id = $1`, again.ID, serial)
		return err
	})
	require.Equal(t, 2, o.chip("operator", serial).Total)
	d := o.page(200, "operator", "/chip?cari="+serial)
	for _, text := range []string{"2 kartu bernomor ini; pilih salah satu.", gone.Ticket + ", dibatalkan", again.Ticket + ", diajukan"} {
		require.Contains(t, d.text, text)
	}

	registertest.Put(t, o.db, register.Entry{Row: 2, Serial: "LAMA-1", PCID: strings.Repeat("AB", 16), ManifestNo: "M/2018/7", Produsen: "PT Lama", IssuedOn: clock.MustParseDate("2018-03-01")})
	for _, key := range []string{"lama-1", strings.Repeat("ab", 16), "m/2018/7"} {
		old := o.chip("dirjen", key)
		require.Nil(t, old.Chip)
		require.Equal(t, []any{"LAMA-1", "PT Lama", "register-lama.xlsx", 2, true}, []any{old.Register[0].Serial, old.Register[0].Produsen, old.Register[0].File, old.Register[0].Row, old.Register[0].Standing})
		o.problem(404, "produsen", http.MethodGet, chipsAt+url.PathEscape(key), nil)
	}
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		was, err := register.Find(ctx, tx, register.Serial, "LAMA-1")
		if err != nil {
			return err
		}
		right := was.Entry
		right.Serial = "LAMA-11"
		return register.Correct(ctx, tx, register.Correction{Of: was, To: &right, Reason: "salah ketik", By: "petugas", At: morning})
	})
	for _, key := range []string{"LAMA-1", "LAMA-11"} { // by the wrong one, too
		all := o.chip("operator", key).Register
		require.Equal(t, []any{"LAMA-11", true, "LAMA-1", false, "salah ketik", "petugas"}, []any{all[0].Serial, all[0].Standing, all[1].Serial, all[1].Standing, all[1].Correction, all[1].CorrectedBy})
	}
	require.Contains(t, o.page(200, "operator", "/chip/LAMA-1").text, "tidak berlaku lagi: salah ketik (petugas, 23 November 2026 pukul 09.00 WIB)")
	require.Contains(t, o.page(200, "operator", "/chip/M%2F2018%2F7").text, "Register lama: diterbitkan sebelum sistem ini dipakai")

	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return perso.NoteLost(ctx, tx, perso.LostAttempt{ID: uuid.NewString(), ChipID: "FEED01", Station: "Ruang Atas", Last: "proven", At: morning})
	})
	require.Equal(t, "proven", o.chip("operator", "fe:ed:01").LostAttempts[0].Last)
	o.problem(404, "produsen", http.MethodGet, chipsAt+"FEED01", nil)
	require.Contains(t, o.page(200, "operator", "/chip/FEED01").text, "selesai dan terbukti")
}

func listedSerial(o *office, requestID string) (serial string) {
	o.t.Helper()
	require.NoError(o.t, o.db.Get(o.t.Context(), &serial, `SELECT serial FROM listed_card WHERE request_id = $1`, requestID))
	return serial
}

// TestTheSearchLeadsToTheCard walks the pages.
func TestTheSearchLeadsToTheCard(t *testing.T) {
	t.Parallel()
	o, l := aLongLife(t)
	for _, who := range []string{"produsen", "operator", "dirjen"} {
		d := o.page(200, who, "/chip")
		require.Contains(t, d.text, "Lacak kartu")
		require.True(t, slices.ContainsFunc(d.all("a"), func(a *html.Node) bool { return attr(a, "href") == "/chip" && attr(a, "aria-current") == "page" }))
		require.Equal(t, "/chip/"+l.first, o.want(303, nil, who, http.MethodGet, "/chip?cari="+l.pcid, nil).Header().Get("Location"), "a PCID stays out of the address")
		require.Contains(t, o.page(200, who, "/chip?cari=SAM77777").text, "Nomor ini tidak dikenal")
		require.Contains(t, o.page(404, who, "/chip/SAM77777").text, "Nomor ini tidak dikenal")
	}
	require.NotContains(t, o.page(200, "lembaga", "/permohonan").text, "Lacak kartu")
	require.Contains(t, o.html("operator", "/permohonan/"+l.ticket), `href="/chip/`+l.first+`"`)
	require.Contains(t, o.page(200, "operator", "/chip?cari=R-1").text, "2 kartu bernomor ini")
	require.Contains(t, o.page(200, "operator", "/chip?cari=%00").text, "Nomor ini tidak dikenal")

	d := o.page(200, "operator", "/chip/"+l.serials[0])
	for _, text := range []string{
		"Kartu " + l.serials[0], "Rusak", "Id chip CHIP" + l.serials[0], l.pcid, "Hangus bersama kartunya", "PO-1", "119/1/2026", "Diterima dan dihitung",
		"Ke-1 Dinyatakan rusak Ruang Bawah, Pembaca 1", "Nyatakan rusak", "gugur", "Kasubdit KI", "SAM90001", "Berita acara kartu rusak", "Ani, Analis; Budi, Arsiparis", "Ruang Bawah (Stasiun personalisasi)",
		"dipotong melalui chip", "Laporan hasil personalisasi", "WIB",
	} {
		require.Contains(t, d.text, text)
	}
	d = o.page(200, "operator", "/chip/"+l.new)
	for _, text := range []string{"Blangko pengganti: 1 keping", "Ke-1, 2 kartu", "kepada Citra, Direktur Operasi", "2 dari 2 kartu", "Berita Acara Serah Terima", "SAM90001 (kartu ini)"} {
		require.Contains(t, d.text, text)
	}
	d = o.page(200, "operator", "/chip/"+l.second)
	require.Contains(t, d.text, "Menunggu dan dipindahkan")
	require.Contains(t, d.text, "kartu dibuka dengan reader uji")
}

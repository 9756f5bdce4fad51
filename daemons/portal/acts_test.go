package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// acts are the last parts of the addresses of a request page's forms.
func (d *document) acts() []string {
	var paths []string
	for _, f := range d.all("form") {
		if rest, ok := strings.CutPrefix(attr(f, "action"), "/permohonan/"); ok && attr(f, "method") == "post" {
			if _, path, _ := strings.Cut(rest, "/"); !strings.HasPrefix(path, "kartu/") { // those have tests of their own
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// form is the form of one act.
func (d *document) form(path string) *document {
	d.t.Helper()
	for _, f := range d.all("form") {
		if strings.HasSuffix(attr(f, "action"), "/"+path) {
			return &document{t: d.t, root: f, text: textOf(f)}
		}
	}
	d.t.Fatalf("no form %q in %v", path, d.acts())
	return nil
}

// unfolded says whether the form of an act can be seen without a click.
func (d *document) unfolded(path string) bool {
	for n := d.form(path).root; n != nil; n = n.Parent {
		if n.Data == "details" {
			return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "open" })
		}
	}
	return true
}

// act opens a request's page as somebody, fills a form of it in, and sends it.
func (o *office) act(status int, who, ticket, path string, pairs ...string) (*document, string) {
	o.t.Helper()
	f := o.page(200, who, "/permohonan/"+ticket).form(path)
	for _, in := range f.all("input") {
		if attr(in, "type") == "hidden" {
			pairs = append(pairs, attr(in, "name"), attr(in, "value"))
		}
	}
	return o.post(status, who, attr(f.root, "action"), pairs...)
}

// did is act that goes well and says so on the page.
func (o *office) did(who, ticket, path, says string, pairs ...string) {
	o.t.Helper()
	_, at := o.act(303, who, ticket, path, pairs...)
	require.Equal(o.t, "/permohonan/"+ticket+"?sudah="+path, at)
	require.Contains(o.t, o.page(200, who, at).text, says)
}

// register brings a dropped request to registered by the office's pages.
func (o *office) register(r request.Request) {
	o.t.Helper()
	o.did("persuratan", r.Ticket, "surat", "Penerimaan surat fisik tercatat.", "received_on", "2026-11-23", "received_time", "17:45")
	o.did("persuratan", r.Ticket, "blangko", "Jumlah blangko tercatat.", "count", strconv.Itoa(r.CardCount))
	o.validate(r.ID)
	o.did("operator", r.Ticket, "pembandingan", "Pembandingan pindaian tercatat.",
		"letter", "1", "purchase_orders", "1", "pks", "1", "notes", "cocok\r\nsemua")
}

// agree holds the list of what waits for somebody to what each request says it
// waits for.
func (o *office) agree(when string) {
	o.t.Helper()
	for _, who := range append([]string{"lembaga"}, everybody...) {
		var list report.Page
		o.want(200, &list, who, http.MethodGet, "/api/v1/requests", nil)
		d := o.page(200, who, "/permohonan?menunggu-saya=1&baris=100")
		for _, one := range list.Requests {
			var v report.Request
			o.want(200, &v, who, http.MethodGet, "/api/v1/requests/"+one.Ticket, nil)
			require.Equal(o.t, slices.Contains(v.WaitingFor, machine.Role(who)), strings.Contains(d.text, one.Ticket),
				"%s in state %s as %s, when %s: waiting for %v", one.Ticket, one.State, who, when, v.WaitingFor)
		}
	}
}

func TestFormsShowWhoseTurnItIs(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(2)
	shows := func(when string, want map[string][]string) {
		t.Helper()
		o.agree(when)
		for _, who := range append([]string{"operator-2"}, everybody...) {
			d := o.page(200, who, "/permohonan/"+r.Ticket)
			mine := want[who]
			if who == "operator-2" {
				mine = want["operator"]
			}
			require.Equal(t, mine, d.acts(), "%s, when %s", who, when)
			require.Equal(t, len(mine) > 0 || strings.Contains(d.text, "Belum dapat diterima"), strings.Contains(d.text, "Tindakan Anda"), "%s, when %s", who, when)
		}
	}
	cancel := []string{"batalkan"}
	facts := map[string][]string{"persuratan": {"surat", "blangko"}, "operator": {"blangko", "pembandingan"}, "produsen": cancel}
	shows("submitted", facts)
	o.validate(r.ID)
	facts["persuratan"], facts["operator"] = append(facts["persuratan"], "kembalikan"), append(facts["operator"], "kembalikan")
	facts["kasubdit"] = []string{"kembalikan"}
	shows("validated", facts)
	d := o.page(200, "operator", "/permohonan/"+r.Ticket)
	require.True(t, d.unfolded("pembandingan"))
	require.False(t, d.unfolded("kembalikan"), "what stops a request is a click away")

	o.did("persuratan", r.Ticket, "surat", "Surat", "received_on", "2026-11-23")
	d = o.page(200, "persuratan", "/permohonan/"+r.Ticket)
	require.False(t, d.unfolded("surat"))
	require.Contains(t, d.text, "Betulkan pencatatan: surat fisik diterima")
	require.Contains(t, d.text, "masih ditunggu: pindaian dibandingkan dengan isian.")
	o.did("operator", r.Ticket, "blangko", "blangko", "count", "2")
	require.Contains(t, o.page(200, "operator", "/permohonan/"+r.Ticket).text, "Ini yang terakhir: sesudah dicatat, permohonan terdaftar")
	o.did("operator", r.Ticket, "pembandingan", "Terdaftar", "letter", "1", "purchase_orders", "1", "pks", "1")

	shows("registered", map[string][]string{"dirjen": {"setujui", "tolak"}, "operator": {"kembalikan"}, "kasubdit": {"kembalikan"}, "produsen": cancel})
	o.did("dirjen", r.Ticket, "setujui", "Permohonan disetujui.")
	shows("approved", map[string][]string{"direktur": {"disposisi", "tolak"}, "kasubdit": {"kembalikan"}})
	require.Contains(t, o.page(200, "kasubdit", "/permohonan/"+r.Ticket).text, "disposisi Direktur FPDDK belum tercatat")
	o.did("direktur", r.Ticket, "disposisi", "Disposisi tercatat.")
	shows("disposed", map[string][]string{"direktur": {"disposisi", "tolak"}, "kasubdit": {"terima", "kembalikan"}})
	require.Contains(t, o.page(200, "kasubdit", "/permohonan/"+r.Ticket).text, "menurut tanggal disposisi, 23 November 2026")
	o.did("kasubdit", r.Ticket, "terima", "Permohonan diterima;")
	shows("accepted", map[string][]string{"kasubdit": {"tahan", "rencana/kunci", "rencana/geser", "rencana/pecah", "rencana/lepas"}})
	o.did("kasubdit", r.Ticket, "tahan", "Permohonan ditahan.", "reason", "menunggu klarifikasi")
	shows("held", map[string][]string{"kasubdit": {"lanjutkan"}})
	o.did("kasubdit", r.Ticket, "lanjutkan", "Permohonan dilanjutkan.")
	require.EqualValues(t, request.Accepted, o.see(r.Ticket).State)

	r = o.drop(1)
	o.validate(r.ID)
	o.did("kasubdit", r.Ticket, "kembalikan", "Permohonan dikembalikan kepada pemohon.", "reason", "PO tidak terbaca")
	shows("returned", map[string][]string{"produsen": cancel})
	o.did("produsen", r.Ticket, "batalkan", "Permohonan dibatalkan.", "confirmed", "1")
	shows("cancelled", nil)
	require.Contains(t, o.page(404, foreigner, "/permohonan/"+r.Ticket).text, "Tidak ditemukan")
	o.post(404, foreigner, "/permohonan/"+r.Ticket+"/batalkan", "confirmed", "1", "versi", "3")
	require.Equal(t, "/permohonan/"+r.Ticket, o.want(303, nil, "operator", http.MethodGet, "/permohonan/"+r.Ticket+"/surat", nil).Header().Get("Location"))
}

// From the drop to the queue by pages alone, and the record is the one that the API
// makes of the same steps.
func TestPagesRecordWhatTheAPIRecords(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	byPage, byAPI := o.drop(2), o.drop(2)
	o.register(byPage)
	o.did("dirjen", byPage.Ticket, "setujui", "Permohonan disetujui.")
	o.did("direktur", byPage.Ticket, "disposisi", "Disposisi tercatat.", "note", " proses ")
	o.did("kasubdit", byPage.Ticket, "terima", "Permohonan diterima;")
	o.did("kasubdit", byPage.Ticket, "tahan", "Permohonan ditahan.", "reason", "menunggu\r\nklarifikasi ")
	o.did("kasubdit", byPage.Ticket, "lanjutkan", "Permohonan dilanjutkan.")

	path := "/api/v1/requests/" + byAPI.Ticket
	say := func(who, what string, body any) {
		t.Helper()
		o.want(200, nil, who, http.MethodPost, path+"/"+what, body, ifMatch(o.see(byAPI.Ticket).Version)...)
	}
	say("persuratan", "letter", map[string]any{"received_on": "2026-11-23", "received_time": "17.45"})
	say("persuratan", "blanks", map[string]any{"count": 2})
	o.validate(byAPI.ID)
	say("operator", "comparison", map[string]any{"submission": 1, "letter": true, "purchase_orders": true, "pks": true, "notes": "cocok\nsemua"})
	say("dirjen", "approval", nil)
	say("direktur", "disposition", map[string]any{"note": "proses"})
	say("kasubdit", "acceptance", nil)
	say("kasubdit", "hold", map[string]any{"reason": "menunggu\nklarifikasi"})
	say("kasubdit", "release", nil)

	page, api := o.see(byPage.Ticket), o.see(byAPI.Ticket)
	require.EqualValues(t, request.Accepted, page.State)
	require.Equal(t, 2, page.Cards.Total)
	require.Equal(t, api.Version, page.Version)
	require.Equal(t, api.DispositionOn, page.DispositionOn)
	require.Contains(t, o.page(200, "operator", "/permohonan/"+byPage.Ticket).text, "dihitung sejak 24 November 2026", "it came after office hours")

	recorded := func(id string) []string {
		var rows []string
		require.NoError(t, o.db.Select(t.Context(), &rows, `SELECT actor || ' ' || action || ' ' || (detail::jsonb)::text FROM audit WHERE request_id = $1 ORDER BY id`, id))
		return rows
	}
	require.Len(t, recorded(byPage.ID), 8)
	require.Equal(t, recorded(byAPI.ID), recorded(byPage.ID))
	told := func(id string) []string {
		var rows []string
		require.NoError(t, o.db.Select(t.Context(), &rows, `SELECT verb || ' ' || actor || ' ' || role || ' ' || reason FROM history WHERE request_id = $1 AND machine = 'request' ORDER BY id`, id))
		return rows
	}
	require.Equal(t, told(byAPI.ID), told(byPage.ID))
}

// Nobody takes a step that is not theirs by posting its form all the same.
func TestFormsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(1)
	o.validate(r.ID)
	mine := map[string][]string{
		"surat": {"persuratan"}, "blangko": {"persuratan", "operator"}, "pembandingan": {"operator"}, "disposisi": {"direktur"}, "setujui": {"dirjen"},
		"tolak": {"dirjen", "direktur"}, "terima": {"kasubdit"}, "kembalikan": {"persuratan", "operator", "kasubdit"}, "tahan": {"kasubdit"},
		"lanjutkan": {"kasubdit"}, "batalkan": {"produsen"},
	}
	version := strconv.FormatInt(o.see(r.Ticket).Version, 10)
	typed := []string{"versi", version, "reason", "x", "confirmed", "1", "received_on", "2026-11-23", "count", "1", "submission", "1", "letter", "1", "purchase_orders", "1", "pks", "1"}
	for path, may := range mine {
		for _, who := range everybody {
			if !slices.Contains(may, who) {
				d, _ := o.post(403, who, "/permohonan/"+r.Ticket+"/"+path, typed...)
				require.Contains(t, d.text, "tidak berwenang", "%s as %s", path, who)
			}
		}
	}
	// In another state it would be theirs, and the answer says in which it is now.
	for path, who := range map[string]string{"setujui": "dirjen", "disposisi": "direktur", "terima": "kasubdit", "tahan": "kasubdit"} {
		d, _ := o.post(409, who, "/permohonan/"+r.Ticket+"/"+path, append(typed, "note", "segera")...)
		require.Contains(t, d.text, "“Lulus pemeriksaan”", path)
		require.Equal(t, path == "tahan" || path == "disposisi", strings.Contains(d.text, "Yang Anda ketik"), path)
	}
	require.Contains(t, o.want(303, nil, "", http.MethodPost, "/permohonan/"+r.Ticket+"/surat", "versi=2").Header().Get("Location"), "/masuk?")
	w := o.ask("persuratan", http.MethodPost, "/permohonan/"+r.Ticket+"/surat", "versi="+version+"&received_on=2026-11-23", "Sec-Fetch-Site", "cross-site")
	require.Equal(t, 403, w.Code)
	v := o.see(r.Ticket)
	require.Equal(t, version, strconv.FormatInt(v.Version, 10))
	require.Len(t, v.Facts, 1, "only the check of the files")
}

func TestFormsSayWhatIsWrongAtItsField(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(3)
	o.validate(r.ID)
	wrong := func(who, path, name, says string, pairs ...string) *document {
		t.Helper()
		d, _ := o.act(422, who, r.Ticket, path, pairs...)
		f := d.form(path)
		require.True(t, d.unfolded(path))
		require.Contains(t, d.text, "Belum dilakukan")
		at := slices.IndexFunc(f.all("input", "textarea"), func(n *html.Node) bool { return attr(n, "name") == name })
		require.GreaterOrEqual(t, at, 0, "%s has no field %s", path, name)
		field := f.all("input", "textarea")[at]
		require.Equal(t, "true", attr(field, "aria-invalid"), "%s of %s", name, path)
		require.Contains(t, f.text, says)
		require.True(t, slices.ContainsFunc(d.all("a"), func(a *html.Node) bool { return attr(a, "href") == "#"+attr(field, "id") }), "the summary leads to it")
		return f
	}
	wrong("persuratan", "surat", "received_on", "wajib diisi", "received_time", "08:10")
	require.Equal(t, "2026-11-24", wrong("persuratan", "surat", "received_on", "setelah hari ini", "received_on", "2026-11-24").value("received_on"))
	wrong("persuratan", "surat", "received_on", "sebelum tanggal surat", "received_on", "2026-11-19")
	require.Equal(t, "23/11/2026", wrong("persuratan", "surat", "received_on", "seperti 2026-11-23", "received_on", "23/11/2026").value("received_on"))
	f := wrong("persuratan", "surat", "received_time", "seperti 14.30", "received_on", "2026-11-23", "received_time", "siang")
	require.Equal(t, "siang", f.value("received_time"))
	wrong("persuratan", "blangko", "count", "wajib diisi", "count", " ")
	wrong("persuratan", "blangko", "count", "dengan angka", "count", "2.5")
	require.Equal(t, "4", wrong("operator", "blangko", "count", "tidak sama", "count", "4").value("count"))
	f = wrong("operator", "pembandingan", "pks", "Perjanjian kerja sama (PKS) belum dibandingkan.", "letter", "1", "purchase_orders", "1", "notes", "PKS kabur")
	require.Equal(t, "PKS kabur", f.value("notes"))
	ticked := map[string]bool{}
	for _, in := range f.all("input") {
		ticked[attr(in, "name")] = slices.ContainsFunc(in.Attr, func(a html.Attribute) bool { return a.Key == "checked" })
	}
	require.True(t, ticked["letter"] && ticked["purchase_orders"] && !ticked["pks"])
	wrong("operator", "kembalikan", "reason", "Alasan wajib diisi.", "reason", " \r\n ")
	long := strings.Repeat("a", 2001)
	require.Equal(t, long, wrong("operator", "kembalikan", "reason", "paling panjang 2.000", "reason", long).value("reason"))
	require.Len(t, o.see(r.Ticket).Facts, 1)

	for name, fact := range facts(3) {
		o.want(200, nil, fact.who, http.MethodPost, "/api/v1/requests/"+r.Ticket+"/"+name, fact.body)
	}
	f = wrong("dirjen", "tolak", "confirmed", "Centang", "reason", "tidak sesuai ketentuan")
	require.Equal(t, "tidak sesuai ketentuan", f.value("reason"))
	wrong("dirjen", "tolak", "reason", "Alasan wajib diisi.")
	wrong("dirjen", "tolak", "reason", "Alasan wajib diisi.", "confirmed", "1")
	wrong("produsen", "batalkan", "confirmed", "Centang", "reason", "tidak jadi")
	require.EqualValues(t, request.Registered, o.see(r.Ticket).State)
	nul, _ := o.act(422, "dirjen", r.Ticket, "tolak", "reason", "a\x00b", "confirmed", "1")
	require.Contains(t, nul.form("tolak").text, "karakter yang tidak dapat dipakai")
	o.did("dirjen", r.Ticket, "tolak", "Alasan: tidak sesuai \uFFFD ketentuan", "reason", "tidak sesuai \xff ketentuan", "confirmed", "1")
	var live int
	require.NoError(t, o.db.Get(t.Context(), &live, `SELECT count(*) FROM live_serial WHERE request_id = $1`, r.ID))
	require.Zero(t, live, "its serials are free")
}

// Two people at one request: the second's page is of before. It says so, shows the
// request as it is, and keeps what was typed.
func TestStalePageSaysSoAndKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(2)
	path := "/permohonan/" + r.Ticket
	seen := strconv.FormatInt(o.see(r.Ticket).Version, 10)
	o.validate(r.ID)

	d, _ := o.post(412, "persuratan", path+"/blangko", "versi", seen, "count", "2")
	require.Contains(t, d.text, "Permohonan ini sudah berubah")
	require.Contains(t, d.text, "keadaannya sekarang “Lulus pemeriksaan”")
	f := d.form("blangko")
	require.Equal(t, "2", f.value("count"))
	require.NotEqual(t, seen, f.value("versi"), "it can be sent again as it stands")
	o.post(412, "persuratan", path+"/blangko", "count", "2")
	o.post(412, "persuratan", path+"/blangko", "count", "2", "versi", "-1")
	require.Len(t, o.see(r.Ticket).Facts, 1)

	// Returned and corrected meanwhile: the ticks were about other papers.
	seen = strconv.FormatInt(o.see(r.Ticket).Version, 10)
	o.did("kasubdit", r.Ticket, "kembalikan", "dikembalikan", "reason", "PO tidak terbaca")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		now, err := request.Lock(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		_, err = request.Correct(ctx, tx, now, r.Form, nil, request.Change{Actor: machine.Actor{Name: "produsen", Role: request.Produsen}, OfficeAt: o.clock.Now()})
		return err
	})
	d, _ = o.post(412, "operator", path+"/pembandingan", "versi", seen, "submission", "1", "letter", "1", "purchase_orders", "1", "pks", "1", "notes", "cocok")
	f = d.form("pembandingan")
	require.Equal(t, "2", f.value("submission"))
	require.Equal(t, "cocok", f.value("notes"))
	for _, in := range f.all("input") {
		require.False(t, slices.ContainsFunc(in.Attr, func(a html.Attribute) bool { return a.Key == "checked" }), attr(in, "name"))
	}
	now := fmt.Sprint(o.see(r.Ticket).Version)
	o.post(412, "operator", path+"/pembandingan", "versi", now, "submission", "1", "letter", "1", "purchase_orders", "1", "pks", "1")
	o.did("operator", r.Ticket, "pembandingan", "tercatat", "letter", "1", "purchase_orders", "1", "pks", "1", "notes", "cocok")

	// The form is gone with the state: what was typed is there to be copied.
	d, _ = o.post(412, "operator", path+"/kembalikan", "versi", seen, "reason", "PO kedua juga tidak terbaca")
	require.Contains(t, d.text, "Yang Anda ketik:")
	require.Contains(t, d.text, "PO kedua juga tidak terbaca")
	require.EqualValues(t, request.Resubmitted, o.see(r.Ticket).State)

	// What is wrong with the fields is not what is wrong with the page: sent again it
	// is still of what was seen.
	o.validate(r.ID)
	d, _ = o.post(422, "kasubdit", path+"/kembalikan", "versi", now, "reason", strings.Repeat("a", 2001))
	require.Equal(t, now, d.form("kembalikan").value("versi"))
}

func TestWhatWaitsForMe(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.Contains(t, o.page(200, "dirjen", "/permohonan?menunggu-saya=1").text, "Tidak ada permohonan yang menunggu Anda.")
	require.Contains(t, o.page(200, "dirjen", "/").text, "Permohonan yang menunggu saya")
	o.drop(1)
	o.agree("submitted")
	doubtful := o.accept(o.drop(3))
	o.agree("accepted")
	o.produce(doubtful, 1)
	o.agree("a card failed")
	o.doubt(doubtful.ID, perso.DecideSpoil)
	o.agree("a card in doubt")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE pks SET state = 'withdrawn', withdrawn_on = '2026-11-23'`)
		return err
	})
	o.agree("its PKS withdrawn")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE pks SET state = 'in_force', withdrawn_on = NULL`)
		return err
	})
	v := o.accept(o.drop(2))
	o.produce(v, 0)
	o.agree("done")
	reply := o.makeLetter(v.ID)
	o.agree("a letter to sign")
	o.want(200, nil, "persuratan", http.MethodPost, "/api/v1/documents/"+reply.ID+"/signature", newForm(t, signedScan(reply.ID), "signed_on", "2026-11-23"))
	var h report.Handover
	o.want(201, &h, "operator", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/handovers", nil)
	o.agree("a handover prepared")
	o.draftBAST(h, v.ID)
	o.agree("its BAST drafted")
	path := "/api/v1/handovers/" + h.ID
	o.want(200, nil, "operator", http.MethodPost, path+"/delivery", newForm(t, signedScan(path),
		"representative", "PIC Produsen Contoh", "representative_post", "Manajer", "representative_of", "produsen", "delivered_on", "2026-11-23"))
	o.agree("delivered")
	o.want(200, nil, "produsen", http.MethodPost, path+"/receipt", map[string]any{"received": 2})
	o.agree("received")
	o.want(200, nil, "kasubdit", http.MethodPost, path+"/closure", nil)
	o.agree("closed")
	require.Contains(t, o.page(200, "persuratan", "/permohonan?menunggu-saya=1").text, "1 permohonan yang cocok.")
}

package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/readers"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

const readersPath = "/aktivasi"

// readerSteps are the verbs for lines of a letter, in the order of the procedure, by the last
// part of their address.
var readerSteps = []struct {
	path string
	verb machine.Verb
	done string
}{
	{"daftarkan", activation.VerbRegister, "Reader didaftarkan."}, {"setujui", activation.VerbApprove, "Reader disetujui."},
	{"disposisi", activation.VerbDispose, "Disposisi tercatat."}, {"terima", activation.VerbAccept, "Reader diterima; manifest dan surat balasannya disusun."},
	{"pasang", activation.VerbInstall, "Pemasangan tercatat; reader aktif."}, {"lanjutkan", activation.VerbResume, "Reader dilanjutkan."},
	{"kembalikan", activation.VerbReturn, "Reader dikembalikan kepada lembaga."}, {"tolak", activation.VerbReject, "Reader ditolak."},
	{"batalkan", activation.VerbCancel, "Reader dibatalkan."}, {"tangguhkan", activation.VerbSuspend, "Reader ditangguhkan."},
	{"hilang", activation.VerbLost, "Reader tercatat hilang; aktivasinya dicabut."}, {"dicuri", activation.VerbStolen, "Reader tercatat dicuri; aktivasinya dicabut."},
	{"cabut", activation.VerbRevoke, "Aktivasi dicabut."},
	{"ditemukan", activation.VerbFound, "Reader tercatat ditemukan kembali; dapat diajukan dengan surat baru."},
}

// mountReaders adds the pages of the activation of readers.
func (p *Pages) mountReaders(inside chi.Router) {
	inside.Get(readersPath, p.handle(explained(p.readers)))
	inside.Get(readersPath+"/baru", p.handle(explained(p.present(p.newReaders().editor()))))
	p.mountPairs(inside)
	at := readersPath + "/{ticket}"
	inside.Get(at, p.handle(explained(p.readersLetter)))
	for _, s := range readerSteps {
		inside.Post(at+"/"+s.path, p.handle(explained(p.stepReaders(s.verb))))
	}
	inside.Post(at+"/hapus", p.handle(explained(p.discardReaders)))
	inside.Get(at+"/ubah", p.handle(explained(p.present(p.editReaders(activation.VerbEdit).editor()))))
	inside.Get(at+"/ajukan", p.handle(explained(p.present(p.editReaders(activation.VerbSubmit).editor()))))
	for path, e := range map[string]editor{"perbaiki": p.correctReader(), "pindahkan": p.placeReader(activation.VerbMove), "ganti": p.placeReader(activation.VerbReplace)} {
		inside.Get(at+"/baris/{line}/"+path, p.handle(explained(p.present(e))))
		inside.Post(at+"/baris/{line}/"+path, p.handle(explained(p.saveDay(e))))
	}
	uploads := inside.With(web.BodyLimit(upload.MaxListedLetterBody), web.Slow(letterTime))
	uploads.Post(readersPath+"/baru", p.handle(explained(p.saveReaders(p.newReaders()))))
	uploads.Post(at+"/ubah", p.handle(explained(p.saveReaders(p.editReaders(activation.VerbEdit)))))
	uploads.Post(at+"/ajukan", p.handle(explained(p.saveReaders(p.editReaders(activation.VerbSubmit)))))
}

func (p *Pages) readerDesk() readers.Desk {
	return readers.Desk{DB: p.db, Office: p.office, Spool: p.spool}
}

// countText is a state with how many readers are in it.
type countText struct {
	State machine.State
	Count int
}

// readerStates are the states of readers in the order of the procedure.
var readerStates = []machine.State{
	activation.Submitted, activation.Returned, activation.Validated, activation.Registered, activation.Approved, activation.Accepted, activation.ManifestReady,
	activation.Delivered, activation.Active, activation.Suspended, activation.Revoked, activation.Rejected, activation.Cancelled,
}

// inOrder are the states of readers in the order of the procedure.
func inOrder(counts map[machine.State]int) (all []countText) {
	for _, s := range readerStates {
		if counts[s] > 0 {
			all = append(all, countText{s, counts[s]})
		}
	}
	return all
}

type readersLine struct {
	report.ActivationSummary
	States  []countText
	Waiting []waitGroup
}

type readersBody struct {
	Search  string
	Mine    bool // only what waits for the asker
	States  []statusOption
	Lines   []readersLine
	May     string // what whoever asks may do: ask, or prepare
	Narrow  bool
	Next    string
	Outside bool
	Pairs   bool // the list of pairs is for whoever asks
}

// readers shows the letters that whoever asks may know of.
func (p *Pages) readers(w http.ResponseWriter, r *http.Request) error {
	q, who := r.URL.Query(), signin.Account(r)
	ask := url.Values{}
	for from, to := range map[string]string{"cari": "search", "status": "state", "sesudah": "after"} {
		if v := strings.TrimSpace(q.Get(from)); v != "" {
			ask.Set(to, v)
		}
	}
	f, bad := report.ParseActivationQuery(ask)
	if len(bad) > 0 { // somebody typed an address
		http.Redirect(w, r, readersPath, http.StatusSeeOther)
		return nil
	}
	mine := q.Get(mineOnly) != ""
	if mine {
		var err error
		if f.Only, err = report.ActivationsWaitingFor(r.Context(), p.db, who); err != nil {
			return err
		}
	}
	page, err := report.Activations(r.Context(), p.db, who, f)
	if err != nil {
		return err
	}
	body := readersBody{Search: f.Search, Mine: mine, Narrow: mine || f.Search != "" || len(f.States) > 0, Outside: report.Outside(who), Pairs: readers.MaySeePairs(who) == nil}
	switch who.Role {
	case request.Lembaga:
		body.May = "Ajukan permohonan aktivasi"
	case request.Produsen:
		body.May = "Siapkan rancangan untuk lembaga"
	}
	body.States = []statusOption{{Code: "", Label: "Semua"}}
	if body.Outside {
		body.States = append(body.States, statusOption{Code: string(activation.LetterDrafted), Label: activation.LetterMachine.Label(activation.LetterDrafted)})
	}
	for _, s := range readerStates {
		body.States = append(body.States, statusOption{Code: string(s), Label: activation.Machine.Label(s)})
	}
	for i := range body.States {
		body.States[i].Chosen = body.States[i].Code == q.Get("status")
	}
	var ids []string
	for _, one := range page.Activations {
		ids = append(ids, one.ID)
	}
	waiting, err := report.ActivationWaits(r.Context(), p.db, ids, p.office.Now())
	if err != nil {
		return err
	}
	for _, one := range page.Activations {
		body.Lines = append(body.Lines, readersLine{one, inOrder(one.Counts), groupWaits(waiting[one.ID])})
	}
	if page.Next != nil {
		next := url.Values{"sesudah": {*page.Next}}
		for _, name := range []string{"cari", "status", mineOnly} {
			if v := q.Get(name); v != "" {
				next.Set(name, v)
			}
		}
		body.Next = readersPath + "?" + next.Encode()
	}
	p.show(w, r, http.StatusOK, "activations", "Aktivasi reader", body)
	return nil
}

// step is a button of a letter's page.
type step struct {
	Path, Label string
	Grave       bool
}

type letterBody struct {
	Letter       *report.ActivationLetter
	States       []countText
	Waiting      []waitGroup
	Ready        bool              // manifests of the letter are with whoever releases or takes them
	Types        map[string]string // names of machine types
	All          bool              // every line is picked that can be
	Steps        []step
	Picks        bool // lines can be picked
	Reason, Day  bool // a field for it
	DayLabel     string
	Draft        bool
	Edit, Submit bool
	Notice       string
	Faults       []fault
	Typed        readers.Step
	Duty         string // of readers that work online (features.md N33)
}

// Picked says whether a line was picked in the form that is shown again.
func (b letterBody) Picked(n int) bool { return b.All || slices.Contains(b.Typed.Lines, n) }

// Can says whether a line has a verb that is done to it alone.
func (b letterBody) Can(l report.ActivationLine, verb string) bool {
	return slices.Contains(l.Offers, machine.Verb(verb))
}

func (p *Pages) letterBody(r *http.Request) (letterBody, error) {
	v, err := report.LoadActivation(r.Context(), p.db, chi.URLParam(r, "ticket"), signin.Account(r))
	if err == nil {
		v.Stages, err = report.ActivationClock(r.Context(), p.db, v, p.office.Now())
	}
	if err != nil {
		return letterBody{}, err
	}
	b := letterBody{Letter: v, States: inOrder(v.Counts), Draft: v.State == activation.LetterDrafted}
	waiting, err := report.ActivationWaits(r.Context(), p.db, []string{v.ID}, p.office.Now())
	if err != nil {
		return b, err
	}
	b.Waiting, b.Ready = groupWaits(waiting[v.ID]), v.Counts[activation.ManifestReady] > 0
	types, err := institution.MachineTypes(r.Context(), p.db)
	if err != nil {
		return b, err
	}
	b.Types, b.All = map[string]string{}, r.Method == http.MethodGet && r.URL.Query().Get("pilih") == "semua"
	for _, m := range types {
		b.Types[m.Code] = m.Name
	}
	b.Edit, b.Submit = slices.Contains(v.Offers, activation.VerbEdit), b.Draft && slices.Contains(v.Offers, activation.VerbSubmit)
	for _, l := range v.Lines {
		if l.Duty != "" {
			b.Duty = l.Duty
		}
	}
	var days []string
	for _, s := range readerSteps {
		if b.Draft || !slices.Contains(v.Offers, s.verb) {
			continue
		}
		wants := activation.WantsReason(s.verb)
		b.Steps = append(b.Steps, step{s.path, activation.Machine.VerbLabel(s.verb), wants && s.verb != activation.VerbResume})
		b.Reason = b.Reason || wants
		if label, dated := readers.Dated[s.verb]; dated && (s.verb != activation.VerbRegister || v.ReceivedOn == nil) {
			days = append(days, label)
		}
	}
	b.Picks, b.Day, b.DayLabel = len(b.Steps) > 0, len(days) > 0, strings.Join(days, "; ")
	b.Typed.On = p.desk.Today().String()
	return b, nil
}

// readersLetter shows a letter whole, with what the asker can do about it.
func (p *Pages) readersLetter(w http.ResponseWriter, r *http.Request) error {
	b, err := p.letterBody(r)
	if err != nil {
		return err
	}
	for _, s := range readerSteps {
		if r.URL.Query().Get("sudah") == s.path {
			b.Notice = s.done
		}
	}
	if keptNow(r) {
		b.Notice = "Tersimpan."
	}
	p.show(w, r, http.StatusOK, "activation", "Aktivasi "+b.Letter.Ticket, b)
	return nil
}

// stepAnchors are the fields of the page's form by what a fault is about.
var stepAnchors = map[string]string{"/on": "tanggal", "/reason": "alasan", "/lines": "reader"}

// stepReaders answers a button of the page: back to it, or the page once more with why it
// was not done.
func (p *Pages) stepReaders(verb machine.Verb) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, ticket := signin.Account(r), chi.URLParam(r, "ticket")
		l, err := p.readerDesk().Find(r.Context(), who, ticket)
		if err == nil {
			err = activation.Machine.MayEver(verb, who.Role)
		}
		if err != nil {
			return err
		}
		var s readers.Step
		if err = typed(r); err == nil {
			s = readers.Step{Reason: r.PostForm.Get("alasan"), On: r.PostForm.Get("tanggal")}
			for _, text := range r.PostForm["baris"] {
				if n, err := strconv.Atoi(text); err == nil && n > 0 {
					s.Lines = append(s.Lines, n)
				}
			}
			err = p.readerDesk().Take(r.Context(), who, ticket, seenVersion(r), verb, s)
		}
		if err == nil {
			for _, one := range readerSteps {
				if one.verb == verb {
					http.Redirect(w, r, readersPath+"/"+l.Ticket+"?sudah="+one.path, http.StatusSeeOther)
				}
			}
			return nil
		}
		problem, err := ofForm(err)
		if err != nil {
			return err
		}
		b, err := p.letterBody(r)
		if err != nil {
			return err
		}
		b.Typed = s
		for _, e := range problem.Errors {
			b.Faults = append(b.Faults, fault{stepAnchors[e.Pointer], e.Detail})
		}
		if len(b.Faults) == 0 {
			b.Faults = []fault{{Detail: problem.Detail}}
		}
		p.show(w, r, problem.Status, "activation", "Aktivasi "+l.Ticket, b)
		return nil
	}
}

// discardReaders throws a draft away.
func (p *Pages) discardReaders(w http.ResponseWriter, r *http.Request) error {
	if err := typed(r); err != nil {
		return err
	}
	if err := p.readerDesk().Discard(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), seenVersion(r)); err != nil {
		return err
	}
	http.Redirect(w, r, readersPath, http.StatusSeeOther)
	return nil
}

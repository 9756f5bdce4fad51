package pages

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// letterTime is how long the scan of a letter may take on its way in.
const letterTime = 2 * time.Minute

// mountCards adds the forms on the cards of a request.
func (p *Pages) mountCards(inside chi.Router) {
	at := home + "/{ticket}/kartu/"
	add := func(r chi.Router, address, path string, do func(r *http.Request, v *report.Request) error) {
		r.Post(address, p.handle(explained(p.takeCards(path, do))))
		inside.Get(address, p.handle(p.toRequest))
	}
	add(inside.With(web.BodyLimit(upload.MaxListedLetterBody), web.Slow(letterTime)), at+actReduce, actReduce, p.reduce)
	add(inside, at+actReplace, actReplace, p.replace)
	add(inside, at+"{id}/"+actPropose, actPropose, p.propose)
	add(inside, at+"{id}/"+actConfirm, actConfirm, p.confirm)
	add(inside, at+"{id}/"+actWithdraw, actWithdraw, p.withdraw)
}

// takeCards answers a form on cards: back to the page, which says what was done, or
// the page once more with what was typed.
func (p *Pages) takeCards(path string, do func(r *http.Request, v *report.Request) error) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who := signin.Account(r)
		v, err := report.Load(r.Context(), p.db, chi.URLParam(r, "ticket"), who, p.office.Now())
		if err != nil {
			return err
		}
		if err := mayCards(path, who.Role); err != nil {
			return err
		}
		if err := do(r, v); err != nil {
			return p.cardsAgain(w, r, path, v.Ticket, err)
		}
		to := home + "/" + v.Ticket
		if id, err := rowOf(r); err == nil && r.PostForm.Get(fromDesk) != "" {
			to = doubtsPath + "/" + id
		}
		http.Redirect(w, r, to+"?sudah="+path, http.StatusSeeOther) //nolint:gosec // the ticket is the row's, not the address's
		return nil
	}
}

func (p *Pages) reduce(r *http.Request, v *report.Request) error {
	letter, faults, err := p.spool.ReadListedLetter(r, append([]string{decisions.CountPart}, decisions.ReductionFields...), decisions.ReductionLines,
		"scan", decisions.SerialsPart, decisions.ListPart)
	if err != nil {
		return err
	}
	defer letter.Close()
	r.PostForm = url.Values{}
	for name, value := range letter.Fields {
		r.PostForm.Set(name, value)
	}
	n, _ := decisions.TypedReduction(letter) // no card is picked by its id here
	done, err := p.spool.Turn(r.Context())
	if err != nil {
		return err
	}
	wrong, err := p.decide.Pick(r.Context(), signin.Account(r), v.Ticket, letter, &n, faults)
	done()
	if err != nil {
		return err
	}
	_, err = p.decide.Reduce(r.Context(), signin.Account(r), v.Ticket, n, append(faults, wrong...))
	var refused form.Faults
	if !errors.As(err, &refused) {
		return err
	}
	named := decisions.SerialsPart
	if letter.Files[decisions.ListPart] != nil {
		named = decisions.ListPart
	}
	for i := range refused {
		if refused[i].Pointer == "/card" {
			refused[i].Pointer = "/" + named
		}
	}
	return decisions.Shortened(refused)
}

// replace registers the blanks of the rows that are filled in; what is wrong is said
// at the row.
func (p *Pages) replace(r *http.Request, v *report.Request) error {
	if err := typed(r); err != nil {
		return err
	}
	var ids []string
	for name := range r.PostForm {
		if id, ok := strings.CutPrefix(name, "serial_"); ok && (typedText(r, name) != "" || typedText(r, "reason_"+id) != "") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids) // in the order in which the cards were listed: ids rise
	all := make([]perso.Replacement, len(ids))
	for i, id := range ids {
		if _, err := uuid.Parse(id); err != nil {
			return perso.ErrNotFound
		}
		all[i] = perso.Replacement{CardID: id, Serial: typedText(r, "serial_"+id), UID: typedText(r, "uid_"+id), Reason: typedText(r, "reason_"+id)}
	}
	_, err := p.decide.Replace(r.Context(), signin.Account(r), v.Ticket, all)
	var wrong form.Faults
	if errors.As(err, &wrong) {
		for i := range wrong {
			wrong[i].Pointer = rowPointer(wrong[i].Pointer, ids)
		}
		return wrong
	}
	return err
}

// rowPointer is the field of the page for a place in the call.
func rowPointer(pointer string, ids []string) string {
	for i, id := range ids {
		for _, name := range []string{"serial", "uid", "reason", "card"} {
			if pointer == "/replacements/"+strconv.Itoa(i)+"/"+name {
				if name == "card" {
					name = "serial"
				}
				return "/" + name + "_" + id
			}
		}
	}
	return pointer
}

// seenCard is the card of the address, of this request, in the version of the form.
func (p *Pages) seenCard(r *http.Request, v *report.Request) (perso.Seen, error) {
	id, err := rowOf(r)
	if err != nil {
		return perso.Seen{}, err
	}
	if err := typed(r); err != nil {
		return perso.Seen{}, err
	}
	of, err := perso.CardRequest(r.Context(), p.db, id)
	if err == nil && of != v.ID {
		err = perso.ErrNotFound
	}
	seen := perso.Seen{ID: id, Version: seenVersion(r)}
	if read := r.PostForm["bacaan"]; len(read) == 1 {
		seen.Reading = &read[0]
	}
	return seen, err
}

func (p *Pages) propose(r *http.Request, v *report.Request) error {
	card, err := p.seenCard(r, v)
	if err != nil {
		return err
	}
	var wrong form.Faults
	what, reason := typedText(r, "decision"), typedText(r, "reason")
	if what == "" {
		wrong.Add("/decision", "missing", "Pilih keputusan.")
	}
	if reason == "" {
		wrong.Add("/reason", "missing", "Alasan wajib diisi.")
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	_, err = p.decide.Propose(r.Context(), signin.Account(r), card, perso.Decision(what), reason)
	return err
}

func (p *Pages) confirm(r *http.Request, v *report.Request) error {
	card, err := p.seenCard(r, v)
	if err != nil {
		return err
	}
	if r.PostForm.Get(confirmed) == "" {
		return form.One("/"+confirmed, "missing", "Centang pernyataan ini bila Anda setuju.")
	}
	_, err = p.decide.Confirm(r.Context(), signin.Account(r), perso.SeenDecision{Card: card, ID: r.PostForm.Get("keputusan")}, typedText(r, "reason"))
	return err
}

func (p *Pages) withdraw(r *http.Request, v *report.Request) error {
	card, err := p.seenCard(r, v)
	if err != nil {
		return err
	}
	_, err = p.decide.Withdraw(r.Context(), signin.Account(r), perso.SeenDecision{Card: card, ID: r.PostForm.Get("keputusan")})
	return err
}

// cardsAgain shows the request as it is now with why something was not done with its
// cards, and what was typed, or passes on an error that is not the form's.
func (p *Pages) cardsAgain(w http.ResponseWriter, r *http.Request, path, ticket string, err error) error {
	stale := errors.Is(err, postgres.ErrStale)
	people := errors.Is(err, perso.ErrSamePerson) || errors.Is(err, perso.ErrSawPassword)
	var problem *web.Problem
	if err = api.Explain(err); !errors.As(err, &problem) {
		return err
	}
	switch problem.Status {
	case http.StatusUnprocessableEntity, http.StatusConflict, http.StatusPreconditionFailed:
	default:
		if !people {
			return err
		}
	}
	if _, err := rowOf(r); err == nil && r.PostForm.Get(fromDesk) != "" {
		return p.deskAgain(w, r, path, problem, stale)
	}
	body, err := p.requestBody(r, ticket)
	if err != nil {
		return err
	}
	body.Notice, body.Trouble = "", cardTrouble(r, body.CardBoxes, path, problem, stale)
	p.showRequest(w, r, problem.Status, body)
	return nil
}

// deskAgain is cardsAgain for the desk of doubts: one card, where its forms were.
func (p *Pages) deskAgain(w http.ResponseWriter, r *http.Request, path string, problem *web.Problem, stale bool) error {
	body, err := p.doubtBody(r)
	if err != nil {
		return err
	}
	var boxes []cardBox
	if body.Box != nil {
		boxes = []cardBox{*body.Box}
		body.Box = &boxes[0]
	}
	body.Notice, body.Trouble = "", cardTrouble(r, boxes, path, problem, stale)
	p.show(w, r, problem.Status, "doubt", "Kartu "+body.Serial, body)
	return nil
}

// cardTrouble says why something was not done with cards, and puts what was typed into
// the form that it came from, where the page still has it.
func cardTrouble(r *http.Request, boxes []cardBox, path string, problem *web.Problem, stale bool) *trouble {
	t := &trouble{Heading: "Belum dilakukan: " + lowerFirst(cardHeadings[path])}
	key := path
	if id := chi.URLParam(r, "id"); id != "" {
		key += "-" + strings.ToLower(id)
	}
	box, f := find(boxes, key)
	var shown []*field
	if f != nil {
		box.Open = true
		shown = f.all()
		for _, one := range shown {
			if stale && one.Kind == "checkbox" || one.Kind == "hidden" {
				continue // of what was seen, not of what the page shows now
			}
			fill1(one, r)
		}
	}
	if stale {
		t.Heading = "Kartu ini sudah berubah"
		t.Faults = []fault{{Detail: "Keadaan kartu, atau keputusan atasnya, berubah sejak Anda membuka halaman ini. “" + cardHeadings[path] + "” tidak dilakukan."}}
		if f != nil {
			t.Faults = append(t.Faults, fault{box.Anchor, "Periksa keadaan sekarang, lalu kirim lagi bila masih perlu. Yang Anda ketik masih ada; centang perlu diperiksa lagi, dan berkas dipilih lagi."})
		}
	} else {
		t.Faults = blameAt(shown, problem)
	}
	if f == nil {
		t.Typed = typedOf(r)
	}
	return t
}

func find(boxes []cardBox, key string) (*cardBox, *cardForm) {
	for i := range boxes {
		for j := range boxes[i].Forms {
			if boxes[i].Forms[j].key == key {
				return &boxes[i], &boxes[i].Forms[j]
			}
		}
	}
	return nil, nil
}

// fill1 puts what was typed into a field.
func fill1(f *field, r *http.Request) { *f = fill([]field{*f}, r)[0] }

// blameAt is blame for the fields of a form that stand apart; of several fields of one
// name it is the first.
func blameAt(fields []*field, problem *web.Problem) []fault {
	var faults []fault
	for _, e := range problem.Errors {
		one := fault{Detail: e.Detail}
		for _, f := range fields {
			if "/"+f.Name == e.Pointer && f.Kind != "hidden" {
				if f.Error == "" {
					f.Error = e.Detail
				}
				one.Anchor = f.ID()
				break
			}
		}
		faults = append(faults, one)
	}
	if len(faults) == 0 {
		return []fault{{Detail: problem.Detail}}
	}
	return faults
}

// typedOf are the texts that were typed into a form that the page no longer has.
func typedOf(r *http.Request) []pair {
	var texts []pair
	for _, name := range slices.Sorted(maps.Keys(r.PostForm)) {
		kind, _, _ := strings.Cut(name, "_")
		label := map[string]string{
			decisions.SerialsPart: "Kartu yang dikurangi", decisions.CountPart: "Jumlah kartu menurut surat",
			"letter_number": "Nomor surat pengurangan", "letter_date": "Tanggal surat", "signer": "Nama penanda tangan", "signer_post": "Jabatan penanda tangan",
		}[name]
		switch {
		case label != "":
		case kind == "serial":
			label = "No. seri kartu pengganti"
		case kind == "uid":
			label = "UID chip kartu pengganti"
		case kind == "reason":
			label = "Alasan"
		default:
			continue
		}
		if text := typedText(r, name); text != "" {
			texts = append(texts, pair{label, text})
		}
	}
	return texts
}

package report

import (
	"fmt"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Wait is something that somebody has to do before a request goes on.
type Wait struct {
	Role  machine.Role `json:"role"`
	Label string       `json:"label"` // of the role
	Task  string       `json:"task"`
	// Since is when it came to whoever is to act, by the office's clock, and Days how
	// many hari kerja have passed since.
	Since time.Time `json:"since"`
	Days  int       `json:"days"`
}

var factTasks = map[string]string{
	request.FactValidated: "memeriksa berkas dan daftar kartu", request.FactLetterReceived: "mencatat penerimaan surat fisik",
	request.FactBlanksCounted: "menghitung blangko", request.FactCompared: "membandingkan pindaian dengan isian",
	request.FactDisposed: "mencatat disposisi",
}

// onwardTasks are the steps of request.Onward in words.
var onwardTasks = map[machine.Verb]string{
	request.Resubmit: "memperbaiki dan mengajukan kembali", request.Approve: "memutuskan permohonan", request.Accept: "menerima permohonan",
	request.Schedule: "menyusun jadwal", request.Start: "memulai pada hari yang dijadwalkan", request.Release: "melanjutkan permohonan",
}

// handoverSteps are what a handover waits for in its states.
var handoverSteps = map[machine.State]struct {
	verb machine.Verb
	task string
}{
	handover.Prepared: {handover.VerbDraft, "menyusun BAST"}, handover.BASTDrafted: {handover.VerbDeliver, "menyerahkan kartu,"},
	handover.Delivered: {handover.VerbReceive, "mencatat penerimaan,"}, handover.Received: {handover.VerbClose, "menutup"},
}

// ofDone are the papers that a request owes when it is done.
var ofDone = []string{letter.ReplyLetter, letter.CompletionLetter, letter.ResultList}

// handingStates are those of a request in which it may have handovers.
var handingStates = []machine.State{request.InProgress, request.Held, request.Done}

// replacer registers the blanks that replace failed cards.
const replacer = request.Operator

type waitList []Wait

func (l *waitList) add(since time.Time, task string, roles ...machine.Role) {
	for _, role := range roles {
		*l = append(*l, Wait{Role: role, Label: request.RoleLabels[role], Task: task, Since: since})
	}
}

// step adds who may do a verb in a state, by the machine's own table.
func (l *waitList) step(since time.Time, t *machine.Table, from machine.State, verb machine.Verb, task string) {
	if s, err := t.Find(from, verb); err == nil {
		l.add(since, task, s.Roles...)
	}
}

// applicants are the roles of people outside the office: of these only the
// request's own applicant is waited for.
var applicants = []machine.Role{request.Produsen, request.Dinas, request.Lembaga}

// waits says who must act next on a request, and since when; the days are left to
// whoever knows the calendar.
func waits(v *Request, applicant machine.Role, documents []letter.Document, handovers []handover.Handover, a *arrivals) []Wait {
	l := waitList{}
	have := make([]request.Fact, len(v.Facts))
	onwardSince := a.state
	for i, f := range v.Facts {
		have[i] = f.Fact
		if f.Fact.Fact == request.FactDisposed && f.OfficeAt.After(onwardSince) {
			onwardSince = f.OfficeAt
		}
	}
	missing := request.MissingFacts(v.State, have)
	for _, fact := range missing {
		since := a.submission
		if fact == request.FactDisposed {
			since = a.state
		}
		l.add(since, factTasks[fact], request.FactRoles(fact)...)
	}
	if step, ok := request.Onward(v.State); ok && len(missing) == 0 {
		task := onwardTasks[step.Verb]
		if v.Estimate != nil && step.Verb == request.Start {
			task = "memulai pada " + terbilang.FormatDate(v.Estimate.Start)
		}
		l.add(onwardSince, task, step.Roles...)
	}
	if v.State == request.InProgress {
		l.cards(v, a)
	}
	if slices.Contains(handingStates, v.State) {
		l.papers(v, documents, a)
		l.handovers(v, handovers, a)
	}
	return slices.DeleteFunc(l, func(w Wait) bool { return w.Role != applicant && slices.Contains(applicants, w.Role) })
}

func (l *waitList) cards(v *Request, a *arrivals) {
	open := v.Cards.Open
	if a.hand != nil {
		if n := a.hand.results; n > 0 {
			l.step(a.or(a.hand.since), perso.Machine, perso.Claimed, perso.ClearVerb, fmt.Sprintf("mengonfirmasi hasil %s kartu", terbilang.FormatInt(int64(n))))
		}
		if n := open - a.hand.results; n > 0 {
			l.step(a.state, perso.Machine, perso.Numbered, perso.EnterVerb, fmt.Sprintf("mempersonalisasi %s kartu secara manual", terbilang.FormatInt(int64(n))))
		}
	} else if n := open; n > 0 {
		l.step(a.state, perso.Machine, perso.Numbered, perso.ClaimVerb, fmt.Sprintf("mempersonalisasi %s kartu", terbilang.FormatInt(int64(n))))
	}
	if n := v.Cards.InDoubt; n > 0 {
		l.step(a.or(a.doubt), perso.Machine, perso.InDoubt, perso.SpoilVerb, fmt.Sprintf("memutuskan %s kartu yang meragukan", terbilang.FormatInt(int64(n))))
	}
	if n := v.Cards.AwaitingReplacement; n > 0 {
		l.add(a.or(a.failure), fmt.Sprintf("mendaftarkan pengganti %s kartu", terbilang.FormatInt(int64(n))), replacer)
	}
	if v.Cards.Total > 0 && v.Cards.Open+v.Cards.InDoubt+v.Cards.AwaitingReplacement == 0 {
		l.step(a.state, request.Machine, v.State, request.Finish, "menyelesaikan permohonan")
	}
}

// papers adds the papers that somebody has to do something about: of a request that is not
// done only the BAST of its handovers.
func (l *waitList) papers(v *Request, documents []letter.Document, a *arrivals) {
	drafted := false
	for _, d := range documents {
		label := letter.KindLabels[d.Kind]
		drafted = drafted || slices.Contains(ofDone, d.Kind)
		switch {
		case v.State != request.Done && d.Kind != letter.BAST:
		case d.State == letter.Drafted && d.AwaitsNumber:
			l.step(a.or(a.paper[d.ID]), letter.Machine, d.State, letter.VerbTypeNumber, "mengisi nomor: "+label)
		case d.State == letter.Drafted || d.State == letter.Numbered:
			l.add(a.or(a.paper[d.ID]), "menyiapkan "+label, request.Generator)
		case d.State == letter.AwaitingSignature && (d.Kind != letter.BAST || d.Replaces != nil): // another BAST is signed where cards change hands
			l.step(a.or(a.paper[d.ID]), letter.Machine, d.State, letter.VerbIssue, "mengunggah pindaian bertanda tangan: "+label)
		}
	}
	if v.State == request.Done && !drafted {
		l.add(a.state, "menyusun surat dan laporan", request.Generator)
	}
}

// handovers adds what those of a request wait for. While it is on hold no card leaves the
// office, and before it is done nobody has to prepare the next one.
func (l *waitList) handovers(v *Request, list []handover.Handover, a *arrivals) {
	for _, h := range list {
		step, ok := handoverSteps[h.State]
		if ok && (step.verb != handover.VerbDeliver || handover.MayLeave(v.State) == nil) {
			l.step(a.or(a.handover[h.ID]), handover.Machine, h.State, step.verb, fmt.Sprintf("%s serah terima ke-%d", step.task, h.Ordinal))
		}
	}
	if ready := v.Cards.Clear - handover.Given(list); ready > 0 && v.State == request.Done {
		l.step(a.state, handover.Machine, "", handover.VerbPrepare, fmt.Sprintf("menyiapkan serah terima %s kartu", terbilang.FormatInt(int64(ready))))
	}
}

// percent is how far a request is (features.md N40).
func percent(v *Request, documents []letter.Document, handovers []handover.Handover) int {
	letterIn := false
	for _, f := range v.Facts {
		letterIn = letterIn || f.Fact.Fact == request.FactLetterReceived
	}
	issued := map[string]bool{}
	for _, d := range documents {
		issued[d.Kind] = issued[d.Kind] || d.State == letter.Issued
	}
	signed := issued[letter.ReplyLetter] && issued[letter.CompletionLetter]
	handed := handover.Given(handovers)
	received := handed > 0
	for _, h := range handovers {
		received = received && (h.State == handover.Received || h.State == handover.Closed || h.State == handover.Cancelled)
	}
	return request.Percent(v.State, letterIn, v.Cards.Clear, v.Cards.Total, signed, signed && received && handed >= v.Cards.Clear)
}

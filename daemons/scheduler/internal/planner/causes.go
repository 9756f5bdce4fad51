package planner

import (
	"context"
	"slices"
	"strings"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

// said is what a doorbell says: of the request that it rings for, and to all others
// whose estimates it moves; their produsen read it, so it names nobody.
type said struct{ own, others string }

func both(text string) said { return said{text, text} }

// causes say in Indonesian why a doorbell may move an estimate.
var causes = map[string]said{
	rabbit.RequestAccepted:        {"permohonan ini diterima", "permohonan lain diterima"},
	rabbit.RequestCancelled:       {"permohonan ini batal atau ditolak", "permohonan lain batal atau ditolak"},
	rabbit.RequestHeld:            {"permohonan ini ditahan", "permohonan lain ditahan"},
	rabbit.RequestReleased:        {"permohonan ini dilanjutkan", "permohonan lain dilanjutkan"},
	rabbit.CalendarChanged:        both("kalender berubah"),
	rabbit.CapacityChanged:        both("kapasitas berubah"),
	rabbit.StationDowntimeChanged: both("jadwal henti stasiun berubah"),
	rabbit.ReplacementRegistered:  {"kartu pengganti didaftarkan", "kartu pengganti permohonan lain didaftarkan"},
	rabbit.CardsReduced:           {"kartu permohonan ini dikurangi dengan surat", "kartu permohonan lain dikurangi dengan surat"},
	rabbit.CardResolved:           {"kartu meragukan diputuskan", "kartu meragukan permohonan lain diputuskan"},
	rabbit.WorkorderFinished:      {"kartu terjadwal selesai dikerjakan", "kartu permohonan lain selesai dikerjakan"},
}

// causeOf says why a doorbell may move an estimate.
func causeOf(ctx context.Context, tx *postgres.Tx, e rabbit.Event) (said, error) {
	switch e.Type {
	case rabbit.CalendarChanged, rabbit.CapacityChanged, rabbit.StationDowntimeChanged:
		if e.Subject == "" {
			break
		}
		detail, err := capacity.CauseOf(ctx, tx, e.Subject)
		if err != nil || detail == "" {
			return causes[e.Type], err
		}
		if detail == capacity.CausePlaced { // the bell is that of the capacity, which is as it was
			return both(detail), nil
		}
		return both(causes[e.Type].own + ": " + detail), nil
	}
	return causes[e.Type], nil
}

// mostCauses are named of all that were heard of at once.
const mostCauses = 3

// reasons are the causes of one plan, in the order in which they were heard of: what
// each is to those whom it is not about, and what it is to each request of its own.
type reasons struct {
	all []reason
	own map[string][]string
}

// reason is one thing said; by is the request that it was said of, if of one only.
type reason struct {
	text, by string
	many     bool
}

func (r *reasons) add(request string, s said) {
	if request != "" {
		if r.own == nil {
			r.own = map[string][]string{}
		}
		r.own[request] = appendNew(r.own[request], s.own)
	}
	for i := range r.all {
		if one := &r.all[i]; one.text == s.others {
			one.many = one.many || one.by != request
			return
		}
	}
	r.all = append(r.all, reason{text: s.others, by: request})
}

// others is the cause for a request that none of it is about.
func (r *reasons) others() string { return r.of("") }

// each are the causes for the requests that some of it is about.
func (r *reasons) each() map[string]string {
	texts := make(map[string]string, len(r.own))
	for request := range r.own {
		texts[request] = r.of(request)
	}
	return texts
}

// of words the causes for one request; what is about itself comes first.
func (r *reasons) of(request string) string {
	texts := slices.Clone(r.own[request])
	for _, one := range r.all {
		if request == "" || one.many || one.by != request {
			texts = appendNew(texts, one.text)
		}
	}
	if len(texts) > mostCauses {
		texts = append(texts[:mostCauses], "dan lain-lain")
	}
	return strings.Join(texts, "; ")
}

func appendNew(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

package story

import (
	"context"
	"net/http"
	"time"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/workday"
	"dukcapil.go.id/sifilma/test/demo/people"
)

// view is a request as the portal shows it.
type view struct {
	Ticket  string `json:"ticket"`
	State   string `json:"state"`
	Label   string `json:"state_label"`
	Version int64  `json:"version"`
	Percent int    `json:"percent"`
	Facts   []struct {
		Fact string `json:"fact"`
	} `json:"facts"`
	Title      string `json:"title"`
	Submission int    `json:"submission"`
	CardCount  int    `json:"card_count"`
	Estimate   *struct {
		Start       clock.Date `json:"start"`
		Finish      clock.Date `json:"finish"`
		FirstStart  clock.Date `json:"first_start"`
		FirstFinish clock.Date `json:"first_finish"`
	} `json:"estimate"`
	Cards struct {
		Total               int `json:"total"`
		Clear               int `json:"clear"`
		Failed              int `json:"failed"`
		InDoubt             int `json:"in_doubt"`
		Spoiled             int `json:"spoiled"`
		Open                int `json:"open"`
		AwaitingReplacement int `json:"awaiting_replacement"`
	} `json:"cards"`
	Documents []document `json:"documents"`
	Handovers []struct {
		ID       string `json:"id"`
		State    string `json:"state"`
		Quantity int    `json:"quantity"`
	} `json:"handovers"`
	Timeline []struct {
		OfficeAt time.Time `json:"office_at"`
		Machine  string    `json:"machine"`
		Verb     string    `json:"verb"`
		Label    string    `json:"label"`
		Actor    string    `json:"actor"`
	} `json:"timeline"`
}

// document is a paper as the portal shows it.
type document struct {
	ID      string   `json:"id"`
	Kind    string   `json:"kind"`
	Label   string   `json:"kind_label"`
	State   string   `json:"state"`
	Number  string   `json:"number"`
	Formats []string `json:"formats"`
}

func (v view) fact(name string) bool {
	for _, f := range v.Facts {
		if f.Fact == name {
			return true
		}
	}
	return false
}

// unsigned are the letters that wait for their signed scan; a BAST is signed at
// the handover.
func (v view) unsigned() (ids []string) {
	for _, d := range v.Documents {
		if d.State == "awaiting_signature" && d.Kind != "bast" {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// papers counts the papers that are in force.
func (v view) papers() int { return inForce(v.Documents) }

func inForce(list []document) (n int) {
	for _, d := range list {
		if d.State == "issued" {
			n++
		}
	}
	return n
}

// papersOfRequest are the papers that a finished request gets: reply letter,
// completion letter, result list, and the BAST of its handover.
const papersOfRequest = 4

// over says whether everything is done: papers in force, cards received.
func (v view) over() bool {
	if v.State != "done" || len(v.Handovers) == 0 || v.papers() < papersOfRequest {
		return false
	}
	for _, h := range v.Handovers {
		if h.State != "closed" {
			return false
		}
	}
	return true
}

// card is a row of the request's card table.
type card struct {
	ID         string      `json:"id"`
	Row        int         `json:"row"`
	Serial     string      `json:"serial"`
	Reader     string      `json:"reader_serial"`
	PCID       string      `json:"pcid"`
	ManifestNo string      `json:"manifest_no"`
	State      string      `json:"state"`
	Reason     string      `json:"reason"`
	ReplacedBy string      `json:"replaced_by"`
	Proposal   string      `json:"proposal"`
	Resolution *resolution `json:"resolution"`
}

// resolution is the newest decision on a card in doubt.
type resolution struct {
	Decision    string `json:"decision"`
	DecidedBy   string `json:"decided_by"`
	ConfirmedBy string `json:"confirmed_by"`
}

// Open says whether a second person has still to confirm it.
func (r resolution) Open() bool { return r.ConfirmedBy == "" }

// waiting says whether the card is still to be personalised.
func (c card) waiting() bool {
	switch c.State {
	case "listed", "bound", "numbered", "claimed", "writing", "written", "verified":
		return true
	}
	return false
}

func (p *play) see(ctx context.Context, ticket string) (view, error) {
	var v view
	_, err := p.staff["operator"].Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/requests/" + ticket}, &v)
	return v, err
}

func (p *play) cards(ctx context.Context, ticket string) ([]card, error) {
	var list struct {
		Cards []card `json:"cards"`
	}
	_, err := p.staff["operator"].Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/requests/" + ticket + "/cards"}, &list)
	return list.Cards, err
}

// workday is the n-th hari kerja after t's day; with 0 that day itself, if it is
// one and its office hours are not over, else the next.
func (p *play) workday(t time.Time, n int) clock.Date {
	body, err := configs.Holidays()
	if err != nil {
		panic(err) // embedded
	}
	data, err := workday.Parse(body)
	if err != nil {
		panic(err)
	}
	calendar := data.Calendar()
	day := clock.DateOf(t)
	if n == 0 {
		if calendar.IsWorkday(day) && t.In(clock.Jakarta).Hour() < 9 {
			return day
		}
		n = 1
	}
	return calendar.Add(day, n)
}

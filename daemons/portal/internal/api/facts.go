package api

import (
	"net/http"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// statement is a fact that people state, and how a body says it.
type statement struct {
	fact string
	read func(r *http.Request) (decisions.Statement, error)
}

// statements are the sub-resources by which facts are stated, in any order.
var statements = map[string]statement{
	"letter": {request.FactLetterReceived, readLetter}, "blanks": {request.FactBlanksCounted, readBlanks},
	"comparison": {request.FactCompared, readComparison}, "disposition": {request.FactDisposed, readDisposition},
}

func readLetter(r *http.Request) (decisions.Statement, error) {
	var in struct {
		ReceivedOn clock.Date         `json:"received_on"`
		Time       *workday.TimeOfDay `json:"received_time"`
	}
	err := web.DecodeJSON(r, &in)
	return decisions.Letter{On: in.ReceivedOn, At: in.Time}, err
}

func readBlanks(r *http.Request) (decisions.Statement, error) {
	var in struct {
		Count *int `json:"count"`
	}
	err := web.DecodeJSON(r, &in)
	return decisions.Blanks{Count: in.Count}, err
}

func readComparison(r *http.Request) (decisions.Statement, error) {
	var in struct {
		Submission *int   `json:"submission"`
		Letter     *bool  `json:"letter"`
		Orders     *bool  `json:"purchase_orders"`
		PKS        *bool  `json:"pks"`
		Notes      string `json:"notes"`
	}
	err := web.DecodeJSON(r, &in)
	return decisions.Comparison{
		Submission: in.Submission, Notes: in.Notes,
		Equal: map[string]*bool{"letter": in.Letter, "purchase_orders": in.Orders, "pks": in.PKS},
	}, err
}

func readDisposition(r *http.Request) (decisions.Statement, error) {
	var in struct {
		Note       string     `json:"note"`
		ReceivedOn clock.Date `json:"received_on"`
	}
	err := decode(r, &in)
	return decisions.Disposition{Note: in.Note, On: in.ReceivedOn}, err
}

// state answers a fact: the last of those that are needed registers the request
// in the same transaction. Facts come in any order and need no version; whoever
// sends one all the same states the fact of what was seen, and of nothing newer.
func (a *API) state(s statement) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		of, err := scoped(r.Context(), a.db, r)
		if err != nil {
			return err
		}
		who := signin.Account(r)
		if err := decisions.MayState(s.fact, who.Role); err != nil {
			return err
		}
		seen := decisions.Seen{Submission: of.Submission} // a correction may come while the body is on its way
		if r.Header.Get("If-Match") != "" {
			version, err := web.MatchVersion(r)
			if err != nil {
				return err
			}
			seen.Version = &version
		}
		said, err := s.read(r)
		if err != nil {
			return err
		}
		if _, err := a.decide.State(r.Context(), who, of.Ticket, seen, said); err != nil {
			return err
		}
		return a.showRequest(w, r, of.ID)
	}
}

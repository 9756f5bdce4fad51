package report

import (
	"context"
	"errors"
	"fmt"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Affected is a request that a change of its master data leaves to be decided
// about.
type Affected struct {
	Ticket      string        `db:"ticket" json:"ticket"`
	Title       string        `db:"title" json:"title"`
	Institution string        `db:"institution" json:"institution"`
	State       machine.State `db:"state" json:"state"`
	StateLabel  string        `db:"-" json:"state_label"`
	CardCount   int           `db:"card_count" json:"card_count"`
}

// UnderPKS returns the requests that were accepted under a PKS and are not
// finished, oldest first: work that goes on unless Kasubdit KI holds it.
func UnderPKS(ctx context.Context, rd postgres.Reader, number string) ([]Affected, error) {
	list := []Affected{}
	err := rd.Select(ctx, &list, `
		SELECT r.ticket, r.title, i.name AS institution, r.state, r.card_count
		FROM request r JOIN institution i ON i.id = r.institution_id
		WHERE r.pks_number = $1 AND r.pks_number <> '' AND r.state = ANY ($2) ORDER BY r.id`,
		number, pq.Array([]string{string(request.Accepted), string(request.Scheduled), string(request.InProgress), string(request.Held)}))
	if err != nil {
		return nil, fmt.Errorf("report: requests under a PKS: %w", err)
	}
	for i := range list {
		list[i].StateLabel = request.Machine.Label(list[i].State)
	}
	return list, nil
}

// underWithdrawn adds that Kasubdit KI has to decide about a request whose PKS was
// withdrawn after its acceptance: nothing holds it by itself.
func (l *waitList) underWithdrawn(ctx context.Context, rd postgres.Reader, r request.Request, a *arrivals) error {
	if !underPKS(r) {
		return nil
	}
	p, err := institution.PKSByNumber(ctx, rd, r.PKSNumber)
	if err != nil && !errors.Is(err, institution.ErrNotFound) {
		return err
	}
	if p.State == institution.PKSWithdrawn {
		l.withdrawn(p.Number, a)
	}
	return nil
}

// underPKS says whether a request would have to be held when its PKS is withdrawn.
func underPKS(r request.Request) bool {
	return r.PKSNumber != "" && (r.State == request.Accepted || r.State == request.Scheduled || r.State == request.InProgress)
}

func (l *waitList) withdrawn(number string, a *arrivals) {
	l.add(a.state, "memutuskan apakah permohonan ditahan, karena PKS nomor "+number+" dicabut", request.Kasubdit)
}

// PKSNamed says whether any request names a PKS by this number.
func PKSNamed(ctx context.Context, rd postgres.Reader, number string) (named bool, err error) {
	err = rd.Get(ctx, &named, `SELECT EXISTS (SELECT FROM request WHERE pks_number = $1 AND pks_number <> '')`, number)
	if err != nil {
		return false, fmt.Errorf("report: requests that name a PKS: %w", err)
	}
	return named, nil
}

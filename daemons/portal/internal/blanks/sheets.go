package blanks

import (
	"context"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

// sheetsShown bounds the list of printed day sheets: two months of hari kerja.
const sheetsShown = 50

// usualWait is how long a paper takes at most where nothing is away.
const usualWait = 10 * time.Minute

// PrintedSheet is a day sheet that somebody asked for. One that is wrong is neither void nor
// replaced: another is asked for, and both are kept.
type PrintedSheet struct {
	Day     clock.Date `json:"day"`
	AskedBy string     `json:"asked_by"`
	AskedAt time.Time  `json:"asked_at"` // by the office's clock
	Paper
	Waits string `json:"waits"` // why there is no file yet; empty for one that is made
}

// Sheets lists the day sheets that were asked for, newest first. Error: ErrInside.
func (d Desk) Sheets(ctx context.Context, who identity.Account) ([]PrintedSheet, error) {
	if report.Outside(who) {
		return nil, ErrInside
	}
	list := []PrintedSheet{}
	err := d.DB.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		asked, err := letter.AskedLast(ctx, rd, letter.DaySheet, sheetsShown)
		if err != nil {
			return err
		}
		ids := make([]string, len(asked))
		for i, a := range asked {
			ids[i] = a.ID
		}
		made, err := letter.Of(ctx, rd, letter.DaySheet, ids)
		if err != nil {
			return err
		}
		newest := map[string]letter.Document{}
		for _, doc := range made { // oldest first
			newest[doc.SubjectID] = doc
		}
		list = []PrintedSheet{}
		for _, a := range asked {
			s := PrintedSheet{Day: a.Dated, AskedBy: a.AskedBy, AskedAt: a.OfficeAt,
				Paper: Paper{State: letter.Drafted, StateLabel: letter.Machine.Label(letter.Drafted), Formats: []string{}}}
			doc, begun := newest[a.ID]
			if begun {
				s.Paper = shownPaper(doc)
			}
			if len(s.Formats) == 0 {
				s.Waits = waitsFor(begun, d.Office.Now().Sub(a.OfficeAt))
			}
			list = append(list, s)
		}
		return nil
	})
	return list, err
}

// waitsFor says what a paper without files waits for.
func waitsFor(begun bool, waited time.Duration) string {
	switch {
	case waited < usualWait:
		return "sedang disusun, biasanya kurang dari satu menit"
	case begun:
		return "menunggu PDF-nya, lebih lama daripada biasanya: LibreOffice mungkin tidak dapat dipakai. Beri tahu pengelola sistem."
	}
	return "menunggu penyusun naskah (document-generator), lebih lama daripada biasanya. Beri tahu pengelola sistem."
}

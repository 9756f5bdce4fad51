package pages

import (
	"context"
	"strings"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// alarmLabels are the words for the alarms of a station, by their codes.
var alarmLabels = map[string]string{"idle": "menganggur, padahal ada kartu yang menunggu", "stalled": "ada kartu yang tidak maju", "away": "ada pembaca yang tidak terhubung"}

// stations are the stations that were ever heard of, or nil when none was.
func (p *Pages) stations(ctx context.Context) (*rowsTable, error) {
	list, err := perso.Stations(ctx, p.db)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	t := rowsTable{Caption: "Stasiun", Heads: []string{"Stasiun", "Keadaan", "Diminta oleh", "Terakhir terdengar", "Pembaca", "Kartu di tangan", "Alarm"}, Numbers: []int{4, 5}}
	for _, s := range list {
		t.Rows = append(t.Rows, []cell{
			{Text: s.Name}, {Tag: stationTag(s)}, {Text: wanted(s.Standing)}, {Text: heardOf(s)},
			{Text: number(s.Readers)}, {Text: number(s.InHand)}, {Text: alarmsOf(s)},
		})
	}
	return &t, nil
}

// stationTag is the state of a station: what a silent one was told is not what it does.
func stationTag(s perso.StationRow) tag {
	switch {
	case s.Silent:
		return tag{bad, "Diam"}
	case s.Mode == perso.Running:
		return tag{good, s.Label}
	}
	return tag{wait, s.Label}
}

// wanted says who holds a station, and why.
func wanted(s perso.Standing) string {
	if s.Mode == perso.Running || s.At == nil {
		return ""
	}
	return strings.ToLower(s.Label) + " oleh " + s.By + ", " + terbilang.FormatDateTime(*s.At) + ": " + s.Reason
}

// heardOf says how long ago a station was heard, which is no office time.
func heardOf(s perso.StationRow) string {
	if s.HeardAt == nil {
		return "belum pernah"
	}
	switch seconds := int(s.Waiting); {
	case seconds < 60:
		return "baru saja"
	case seconds < 60*60:
		return number(seconds/60) + " menit lalu"
	case seconds < 48*60*60:
		return number(seconds/60/60) + " jam lalu"
	default:
		return number(seconds/24/60/60) + " hari lalu"
	}
}

// alarmsOf words the alarms of a station that is heard.
func alarmsOf(s perso.StationRow) string {
	if s.Silent {
		return ""
	}
	var list []string
	for _, code := range s.Alarms {
		if text := alarmLabels[code]; text != "" && (len(list) == 0 || list[len(list)-1] != text) {
			list = append(list, text)
		}
	}
	return strings.Join(list, "; ")
}

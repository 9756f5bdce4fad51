package pages

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

const (
	boardPath = "/papan"
	boardSpan = 21 // days that the board shows
)

// slice is a part of a bar, in cards.
type slice struct {
	Class string
	X, N  int
}

// dayBar is how full a day is, drawn over its capacity.
type dayBar struct {
	Whole  int
	Label  string // the same in words
	Slices []slice
}

// barOf draws a day: what became of its cards for the office, how full it is for
// people outside.
func barOf(d report.BoardDay) dayBar {
	b := dayBar{Whole: max(d.Capacity, d.Used, 1), Label: "terpakai " + number(d.Used) + " dari " + number(d.Capacity) + " kartu"}
	x := 0
	add := func(class string, n int) {
		if n > 0 {
			b.Slices = append(b.Slices, slice{class, x, n})
			x += n
		}
	}
	if r := d.Result; r != nil {
		add("clear", r.Clear)
		add("lost", r.Failed+r.Spoiled)
		add("doubt", r.InDoubt)
		add("carried", r.Carried)
	}
	add("used", max(0, d.Used-x))
	return b
}

// dayLine is a day of the board as it is shown.
type dayLine struct {
	report.BoardDay
	Title, Path string // in words; its own page
	Today       bool
	Past        bool
	Bar         dayBar
	Outcome     []pair // what there is to say of its cards
	Requests    []report.DayRequest
}

func (p *Pages) dayLine(b *report.Board, d clock.Date) dayLine {
	day := b.Day(d)
	return dayLine{
		BoardDay: day, Title: terbilang.FormatDayDate(d), Path: boardPath + "/" + d.String(), Today: d == p.desk.Today(), Past: d.Before(p.desk.Today()), Bar: barOf(day),
		Outcome: outcome(day.Result), Requests: b.Requests[d],
	}
}

// outcome words what became of a day's cards; what is none is not said.
func outcome(r *report.DayResult) []pair {
	var list []pair
	if r == nil {
		return list
	}
	for _, one := range []struct {
		label string
		n     int
	}{
		{"berhasil", r.Clear}, {"gagal", r.Failed}, {"meragukan", r.InDoubt}, {"rusak", r.Spoiled},
		{"di stasiun", r.InHand}, {"menunggu", r.Waiting}, {"terbawa ke hari berikutnya", r.Carried},
	} {
		if one.n > 0 {
			list = append(list, pair{one.label, number(one.n)})
		}
	}
	return list
}

type boardBody struct {
	Period                string
	Today                 *dayLine // in whole, where it is among the days
	Days                  []dayLine
	Outside, Setter       bool
	Earlier, Later, Sheet string
	Now                   string // the way back to the present; empty there
	Unknown               string
	Stations              *rowsTable // for the office, beside the present
}

func (p *Pages) mountBoard(inside chi.Router) {
	inside.Get(boardPath, p.handle(explained(p.board)))
	inside.Get(whatIfPath, p.handle(explained(p.whatIf)))
	inside.Get(boardPath+"/{day}", p.handle(explained(p.boardDay)))
}

// board shows three weeks: how full each day is, and today in whole.
func (p *Pages) board(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	today := p.desk.Today()
	from := today
	if text := r.URL.Query().Get("dari"); text != "" {
		var err error
		if from, err = shownDay(text); err != nil {
			return err
		}
	}
	to := from.AddDays(boardSpan - 1)
	b, err := report.LoadBoard(r.Context(), p.db, who, from, to, today)
	if err != nil {
		return err
	}
	body := boardBody{
		Period: terbilang.FormatPeriod(from, to), Outside: report.Outside(who), Setter: masterdata.MaySetCapacity(who.Role),
		Earlier: boardFrom(from.AddDays(-boardSpan)), Later: boardFrom(to.AddDays(1)),
		Sheet: "/api/v1/days.xlsx?from=" + from.String() + "&to=" + to.String(),
	}
	if from != today {
		body.Now = boardPath
	} else if !body.Outside {
		if body.Stations, err = p.stations(r.Context()); err != nil {
			return err
		}
	}
	for d := from; !d.After(to); d = d.AddDays(1) {
		line := p.dayLine(b, d)
		if line.Today {
			body.Today = &line
		}
		if !line.Known && body.Unknown == "" {
			body.Unknown = "Belum ada penetapan hari libur tahun " + strings.TrimLeft(d.String()[:4], "0") + ". Hanya Sabtu dan Minggu yang dihitung libur, sehingga jadwal pada tahun itu masih dapat bergeser."
		}
		body.Days = append(body.Days, line)
	}
	if body.Unknown == "" { // of the days that are shown
		years, err := capacity.UnknownYears(r.Context(), p.db)
		if err != nil {
			return err
		}
		if len(years) > 0 {
			body.Unknown = "Ada kartu yang direncanakan pada tahun " + strconv.Itoa(years[0]) + ". " + capacity.Caveat(years[0])
		}
	}
	p.show(w, r, http.StatusOK, "board", "Papan kapasitas", body)
	return nil
}

func boardFrom(d clock.Date) string { return boardPath + "?dari=" + d.String() }

type boardDayBody struct {
	Day             dayLine
	Outside, Setter bool
	Earlier, Later  string
	Commands        *rowsTable // what was ordered about it, for the office
}

// boardDay shows one day by request.
func (p *Pages) boardDay(w http.ResponseWriter, r *http.Request) error {
	day, err := dayIn(r)
	if err != nil {
		return err
	}
	who := signin.Account(r)
	b, err := report.LoadBoard(r.Context(), p.db, who, day, day, p.desk.Today())
	if err != nil {
		return err
	}
	body := boardDayBody{
		Day: p.dayLine(b, day), Outside: report.Outside(who), Setter: masterdata.MaySetCapacity(who.Role) && day.After(p.desk.Today()),
		Earlier: boardPath + "/" + day.AddDays(-1).String(), Later: boardPath + "/" + day.AddDays(1).String(),
	}
	if !body.Outside {
		v, err := p.planDesk().Day(r.Context(), who, day)
		if err != nil {
			return err
		}
		if len(v.Commands) > 0 {
			if err := p.namedCommands(r.Context(), v.Commands); err != nil {
				return err
			}
			t := commandTable("Perintah petugas untuk hari itu", v.Commands)
			body.Commands = &t
		}
	}
	p.show(w, r, http.StatusOK, "board-day", terbilang.FormatDayDate(day), body)
	return nil
}

var orderTones = map[machine.State]string{capacity.Released: busy, capacity.Closing: busy, capacity.Closed: good}

// orderTag is the state of a work order.
func orderTag(s machine.State) tag { return tag{orderTones[s], capacity.Machine.Label(s)} }

package activation

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
)

// MostLines bounds the readers of one letter.
const MostLines = 1000

const (
	longestName   = 200
	longestText   = 2000
	longestSerial = 64
)

var pcidForm = regexp.MustCompile(`^[0-9A-F]{32}$`)

// Tidy brings a form and its lines into the shape in which they are kept, and says all
// that can be seen to be wrong without the office's record: form.Faults by field, the
// lines as /lines/0/reader_serial. A draft may be incomplete, but not wrong.
func Tidy(f *Form, lines []Line, draft bool, today clock.Date) form.Faults {
	var wrong form.Faults
	need := wrong.Need
	if draft {
		need = wrong.May
	}
	wrong.Need("/produsen", "Produsen", &f.Produsen, longestName)
	wrong.Need("/number", "Nomor surat", &f.Number, longestName)
	wrong.Need("/subject", "Perihal surat", &f.Subject, longestName)
	wrong.Need("/leader", "Nama pimpinan", &f.Leader, longestName)
	wrong.Need("/leader_post", "Jabatan pimpinan", &f.LeaderPost, longestName)
	wrong.Lines("/notes", "Catatan", &f.Notes, longestText)
	switch {
	case f.Date.IsZero():
		wrong.Add("/date", "missing", "Tanggal surat wajib diisi.")
	case f.Date.After(today):
		wrong.Add("/date", "in_future", "Tanggal surat tidak boleh setelah hari ini.")
	}
	switch {
	case len(lines) == 0 && !draft:
		wrong.Add("/lines", "missing", "Isi sekurangnya satu reader.")
	case len(lines) > MostLines:
		wrong.Add("/lines", "too_many", "Paling banyak %d reader dalam satu surat.", MostLines)
		return wrong
	}
	seen := map[string]int{}
	for i := range lines {
		tidyLine(&wrong, need, fmt.Sprintf("/lines/%d", i), &lines[i])
		for _, one := range []struct{ field, serial string }{{"reader_serial", lines[i].Reader}, {"sam_serial", lines[i].SAM}} {
			field, serial := one.field, one.serial
			first, twice := seen[field+serial]
			switch {
			case serial == "":
			case twice:
				wrong.Add(fmt.Sprintf("/lines/%d/%s", i, field), "repeated", "Nomor seri %s sudah ada pada baris %d.", serial, first+1)
			default:
				seen[field+serial] = i
			}
		}
	}
	return sorted(wrong, lines)
}

// TidyLine is Tidy for one line, at a pointer such as /lines/0.
func TidyLine(at string, l *Line) form.Faults {
	var wrong form.Faults
	tidyLine(&wrong, wrong.Need, at, l)
	return wrong
}

func tidyLine(wrong *form.Faults, need func(pointer, label string, text *string, longest int), at string, l *Line) {
	need(at+"/reader_serial", "Nomor seri reader", &l.Reader, longestSerial)
	need(at+"/sam_serial", "Nomor seri kartu SAM", &l.SAM, longestSerial)
	wrong.May(at+"/origin_no", "Nomor asal SAM", &l.Origin, longestSerial)
	need(at+"/perso_no", "Nomor SAM hasil perso", &l.Perso, longestSerial)
	need(at+"/pcid", "PCID", &l.PCID, longestSerial)
	need(at+"/machine_type", "Jenis reader", &l.MachineType, longestSerial)
	need(at+"/address", "Alamat penempatan", &l.Address, longestName)
	need(at+"/region", "Wilayah penggunaan", &l.Region, longestName)
	l.Reader, l.SAM, l.Origin = cardlist.Normalise(l.Reader), cardlist.Normalise(l.SAM), cardlist.Normalise(l.Origin)
	l.Perso = strings.ToUpper(l.Perso)
	l.PCID = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(l.PCID))
	if l.Origin == "" {
		l.Origin = l.SAM // the office's nomor asal is the serial printed on the card
	}
	if l.PCID != "" && !pcidForm.MatchString(l.PCID) {
		wrong.Add(at+"/pcid", "wrong_form", "PCID terdiri atas 32 angka dan huruf A sampai F.")
	}
	switch l.Mode = strings.ToLower(strings.TrimSpace(l.Mode)); l.Mode {
	case Online, Offline:
	case "":
		need(at+"/mode", "Mode", &l.Mode, longestSerial)
	default:
		wrong.Add(at+"/mode", "unknown_value", "Mode harus online atau offline.")
	}
}

// sorted puts faults in the order of the form: the head first, then line by line.
func sorted(wrong form.Faults, lines []Line) form.Faults {
	place := map[string]int{}
	for i := range lines {
		place[fmt.Sprint(i)] = i + 1
	}
	line := func(pointer string) int {
		rest, ok := strings.CutPrefix(pointer, "/lines/")
		if !ok {
			return 0
		}
		number, _, _ := strings.Cut(rest, "/")
		return place[number]
	}
	slices.SortStableFunc(wrong, func(a, b form.Fault) int { return line(a.Pointer) - line(b.Pointer) })
	return wrong
}

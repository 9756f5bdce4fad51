package oldregister

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// column is what a column of a list tells, by its name in the register.
type column string

const (
	serial       = column(register.Serial)
	pcid         = column(register.PCID)
	manifestNo   = column(register.ManifestNo)
	readerSerial = column(register.ReaderSerial)
	chipID       = column(register.ChipID)
	produsen     = column("produsen")
	lembaga      = column("lembaga")
	issuedOn     = column("issued_on")
	remarks      = column("remarks")
)

// labels name the columns as the office's own lists do (features.md G23, N20).
var labels = map[column]string{
	serial: "No. Seri Kartu SAM", pcid: "No. PCID", manifestNo: "No. Manifest Kartu SAM", readerSerial: "No. Seri Reader",
	chipID: "No. UID Chip", produsen: "Produsen", lembaga: "Lembaga Pengguna", issuedOn: "Tanggal Terbit", remarks: "Keterangan",
}

// numbers are the columns of which a list must have one at least.
var numbers = []column{serial, pcid, manifestNo, readerSerial, chipID}

// synonyms are the header names of a column as headerKey writes them: those of
// the office's lists, of the letters and forms that ask for the same number
// (features.md J03, J04, J06, G24), and what people make of them. Names that fit a
// card as well as a reader ("SN", "No. Seri") are not here: people say which.
var synonyms = func() map[string]column {
	all := map[string]column{}
	for c, names := range map[column]string{
		serial: "noserisam serisam noserialsam serialsam samserial samserialno serialnosam samsn snsam nosnsam kodesam nokodesam kodeserisam nosam samno " +
			"idsam samid noasal noasalsam asalsam noseriasal noseriasalsam",
		pcid: "nopcid pcid nopcidsam pcidsam pcidno kodepcid kodepc nokodepc nopc pc pcno idpc pcsam kodepcsam nopcsam nopersopcid persopcid nopcidperso " +
			"pcidperso nosamhasilperso samhasilperso nohasilperso noperso noidpc",
		manifestNo: "nomanifestsam manifestsam nomanifest manifest manifestno kodemanifest kodemanifestsam idmanifest manifestid nosammanifest",
		readerSerial: "noserireader serireader noserialreader serialreader readerserial readerserialno serialnoreader readersn snreader nosnreader " +
			"noreader readerno kodereader idreader readerid kodeserireader noseriktpelreader noserireaderktpel serialktpelreader snktpelreader snreaderktpel " +
			"noseriperangkat noserialperangkat serialperangkat seriperangkat snperangkat noserimesin serimesin serialmesin snmesin noserialmesin " +
			"noserialat serialat snalat noserialalat noserireaderrekamcetak",
		chipID:   "nouidchip uidchip chipuid uid nouid nochip chipno chipid idchip kodechip noserichip serichip snchip nouidsam uidsam samuid cuid",
		produsen: "produsen lembagaprodusen",
		lembaga:  "lembagapengguna lembaga pengguna instansi instansipengguna",
		issuedOn: "tgl tglterbit tglditerbitkan tglpersonalisasi tglperso tglselesai tglselesaipersonalisasi tglselesaiperso tglserahterima tglbast",
		remarks:  "keterangan ket catatan remarks",
	} {
		for name := range strings.FieldsSeq(names) {
			all[name] = c
		}
	}
	return all
}()

var headerWords = strings.NewReplacer("nomor", "no", "nomer", "no", "number", "no", "tanggal", "tgl", "code", "kode", "kartu", "", "card", "", "nama", "")

// headerKey keeps of a header what tells it from others: letters and digits in
// lower case, without the words that people leave out or abbreviate.
func headerKey(name string) string { return headerWords.Replace(plainKey(name)) }

// plainKey is letters and digits in lower case.
func plainKey(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// suspicious says whether an unknown header looks like one of a number: such a
// column is not left out in silence.
func suspicious(key string) bool {
	for _, word := range []string{"seri", "pcid", "manifest", "uid", "asal"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return strings.HasPrefix(key, "no") && (strings.Contains(key, "sam") || strings.Contains(key, "reader") || strings.Contains(key, "chip"))
}

// header is the row of a sheet that names its columns.
type header struct {
	row     int
	columns map[column]int // counted from 1
	names   map[int]string // of all columns, as they are written
	doubled []xlsx.Cell    // numbers named a second time
	strange []xlsx.Cell    // unknown, and look like numbers
	skipped []xlsx.Cell    // named on the command line as not wanted
}

// readHeader takes a row for the header if it names a number; ok is false
// otherwise.
func readHeader(row xlsx.Row, skip skips) (h header, ok bool) {
	h = header{row: row.Number, columns: map[column]int{}, names: map[int]string{}}
	for _, cell := range row.Cells {
		h.names[cell.Col] = clean(cell.Text)
		key := headerKey(cell.Text)
		c, known := synonyms[key]
		_, again := h.columns[c]
		switch {
		case skip.column(h.names[cell.Col]):
			h.skipped = append(h.skipped, cell)
		case known && !again:
			h.columns[c] = cell.Col
			ok = ok || slices.Contains(numbers, c)
		case known && slices.Contains(numbers, c):
			h.doubled = append(h.doubled, cell)
		case suspicious(key):
			h.strange = append(h.strange, cell)
		}
	}
	return h, ok
}

// letter is the letter of a column, empty when the sheet does not have it.
func (h header) letter(c column) string { return xlsx.ColumnName(h.columns[c]) }

// allLabels are the headers that are known, as they are told to people.
func allLabels() string {
	names := make([]string, 0, len(labels))
	for _, c := range append(slices.Clone(numbers), produsen, lembaga, issuedOn, remarks) {
		names = append(names, labels[c])
	}
	return strings.Join(names, ", ")
}

// read lists the columns that are read, in their order on the sheet.
func (h header) read() []string {
	byPlace := slices.SortedFunc(maps.Keys(h.columns), func(a, b column) int { return h.columns[a] - h.columns[b] })
	names := make([]string, len(byPlace))
	for i, c := range byPlace {
		names[i] = labels[c] + " (" + h.letter(c) + ")"
	}
	return names
}

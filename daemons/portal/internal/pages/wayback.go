package pages

import "regexp"

// errorBody is what an error page shows.
type errorBody struct {
	Detail, Trace string
	Back          *crumb // where people come from; nil when nobody can tell
}

// withinTicket matches an address below a request or a letter of readers: the page of the
// ticket, of a paper or of a handover, and what was asked for there.
var withinTicket = regexp.MustCompile(`^(/(?:permohonan|aktivasi)/([A-Z]{4}-\d{4}-\d{6}-\d)(?:/(naskah|serah-terima)/[0-9a-f-]{36})?)/.`)

// wayBack is the page above an address at which something could not be done, so that
// nobody has to look for the ticket again.
func wayBack(path string) *crumb {
	m := withinTicket.FindStringSubmatch(path)
	switch {
	case m == nil:
		return nil
	case m[3] == "naskah":
		return &crumb{"Kembali ke naskahnya", m[1]}
	case m[3] != "":
		return &crumb{"Kembali ke serah terimanya", m[1]}
	}
	return &crumb{"Kembali ke " + m[2], m[1]}
}

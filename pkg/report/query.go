package report

import (
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/request"
)

const (
	listDefault = 50
	listMost    = 100
	maxSearch   = 200 // bytes

	badMark = "Penanda halaman ini bukan yang diberikan pada halaman sebelumnya."
)

// BadParameter is what is wrong with one parameter of a query.
type BadParameter struct {
	Name, Code string
	Detail     string // an Indonesian sentence
}

// Query is what is asked of a list of requests (users.md E6).
type Query struct {
	request.Filter
	// Totals wants the numbers of the whole list beside its page.
	Totals bool
	// Mine wants only what waits for whoever asks.
	Mine bool
}

// Unknown are the parameters that a list does not have. They are refused: whoever
// mistypes one would take the whole list for the part asked for.
func Unknown(values url.Values, known ...string) []BadParameter {
	var bad []BadParameter
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, name) {
			bad = append(bad, BadParameter{printable(name), "unknown_field", "Parameter ini tidak dikenal."})
		}
	}
	return bad[:min(len(bad), mostUnknown)]
}

const (
	mostUnknown = 20 // that are named
	longestName = 60 // characters of a name
)

// printable is what of a name can be shown.
func printable(name string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name))
	return string(runes[:min(len(runes), longestName)])
}

// ParseQuery reads the parameters of a list of requests: state and kind, which
// may be repeated, search, limit, after and totals.
func ParseQuery(values url.Values) (Query, []BadParameter) {
	p := parser{values: values}
	q := Query{Filter: request.Filter{
		Search: p.search(), States: each(&p, "state", request.Machine.States()),
		Kinds: each(&p, "kind", []string{request.KindReader, request.KindRekamCetak}), Limit: p.limit(), After: p.after(),
	}}
	q.Totals = p.totals()
	return q, append(p.faults, Unknown(values, "search", "state", "kind", "limit", "after", "totals")...)
}

type parser struct {
	values url.Values
	faults []BadParameter
}

func (p *parser) bad(name, code, detail string) {
	p.faults = append(p.faults, BadParameter{name, code, detail})
}

func (p *parser) totals() bool {
	switch p.values.Get("totals") {
	case "true":
		return true
	case "", "false":
	default:
		p.bad("totals", "unknown_value", "Nilainya harus true atau false.")
	}
	return false
}

func (p *parser) search() string {
	text := strings.TrimSpace(p.values.Get("search"))
	if len(text) > maxSearch || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		p.bad("search", "wrong_type", "Kata pencarian terlalu panjang atau bukan teks.")
		return ""
	}
	return text
}

func (p *parser) limit() int {
	text := p.values.Get("limit")
	if text == "" {
		return listDefault
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > listMost {
		p.bad("limit", "out_of_range", "Nilainya harus 1 sampai "+strconv.Itoa(listMost)+".")
		return listDefault
	}
	return n
}

func (p *parser) after() string {
	text := p.values.Get("after")
	if text == "" {
		return ""
	}
	id, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		if id, err := uuid.FromBytes(id); err == nil {
			return id.String()
		}
	}
	p.bad("after", "wrong_type", badMark)
	return ""
}

// cursor is the mark from which a list goes on behind the request with this id.
// Clients are not to read it.
func cursor(id string) string {
	u := uuid.MustParse(id) // the database's own
	return base64.RawURLEncoding.EncodeToString(u[:])
}

// each reads a parameter that may be repeated and takes known values only.
func each[S ~string](p *parser, name string, known []S) []S {
	var chosen []S
	for _, text := range p.values[name] {
		switch {
		case text == "":
		case !slices.Contains(known, S(text)):
			p.bad(name, "unknown_value", "Nilai ini tidak dikenal.")
		default:
			chosen = append(chosen, S(text))
		}
	}
	return chosen
}

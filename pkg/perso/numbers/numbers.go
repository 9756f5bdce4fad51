// Package numbers makes the two numbers of a SAM card, its PCID and its manifest
// number, from templates, and says what such numbers look like. It gives none:
// package perso does, from the counters in the database.
package numbers

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/form"
)

// ErrTemplate says that a template is not usable, or its counter full.
var ErrTemplate = errors.New("numbers: template")

// Templates are the templates of the two numbers of a card. Placeholders: {year},
// {epoch:N} and {counter:N}, N digits filled up with zeros; in the PCID they are
// hexadecimal. Both need epoch and counter: the epoch is raised after a restore
// from a backup, and then no number can come a second time.
type Templates struct {
	PCID     string `json:"pcid"`
	Manifest string `json:"manifest"`
}

var (
	placeholder  = regexp.MustCompile(`\{(year|epoch:([1-9][0-9]?)|counter:([1-9][0-9]?))\}`)
	pcidForm     = regexp.MustCompile(`^[0-9A-F]{32}$`)
	manifestForm = regexp.MustCompile(`^[A-Za-z0-9./-]{1,64}$`)
)

// IsPCID says whether a text is a PCID: 32 hexadecimal digits in capitals
// (features.md L10).
func IsPCID(text string) bool { return pcidForm.MatchString(text) }

// IsManifest says whether a text is a manifest number: letters, digits, points,
// slashes and hyphens, at most 64.
func IsManifest(text string) bool { return manifestForm.MatchString(text) }

// Check fills both templates in and says what is wrong with them, for whoever wrote
// them: at /pcid and /manifest, in Indonesian.
func (t Templates) Check() (f form.Faults) {
	for _, one := range []struct {
		pointer, template, must string
		fill                    func(year, epoch int, counter int64) (string, error)
		legal                   func(string) bool
	}{
		{"/pcid", t.PCID, "PCID harus 32 digit heksadesimal (0-9, A-F)", t.FillPCID, IsPCID},
		{"/manifest", t.Manifest, "Nomor manifest harus 1 sampai 64 huruf, angka, titik, garis miring, atau tanda hubung", t.FillManifest, IsManifest},
	} {
		if strings.Count(one.template, "{counter:") != 1 || strings.Count(one.template, "{epoch:") != 1 {
			f.Add(one.pointer, "wrong_form", "Pola memuat {epoch:N} dan {counter:N} masing-masing satu kali, agar nomor tidak pernah terulang.")
			continue
		}
		made, err := one.fill(2026, 1, 1)
		switch {
		case err != nil:
			f.Add(one.pointer, "wrong_form", "Pola ini tidak dapat diisi. Yang dikenal: {year}, {epoch:N}, dan {counter:N}; N adalah jumlah digit.")
		case !one.legal(made):
			f.Add(one.pointer, "wrong_form", "%s; pola ini membuat “%s”.", one.must, made)
		}
	}
	return f
}

// FillPCID makes a PCID.
func (t Templates) FillPCID(year, epoch int, counter int64) (string, error) {
	return fill(t.PCID, 16, year, epoch, counter)
}

// FillManifest makes a manifest number.
func (t Templates) FillManifest(year, epoch int, counter int64) (string, error) {
	return fill(t.Manifest, 10, year, epoch, counter)
}

// fill puts values into a template; a value that has more digits than its place
// is an error, because it would run into its neighbour.
func fill(template string, base, year, epoch int, counter int64) (string, error) {
	var failed error
	digits := func(value int64, width string) string {
		n, err := strconv.Atoi(width)
		text := strings.ToUpper(strconv.FormatInt(value, base))
		if err != nil || len(text) > n {
			failed = fmt.Errorf("%w: %d does not fit %q", ErrTemplate, value, template)
			return ""
		}
		return strings.Repeat("0", n-len(text)) + text
	}
	out := placeholder.ReplaceAllStringFunc(template, func(place string) string {
		m := placeholder.FindStringSubmatch(place)
		switch {
		case m[2] != "":
			return digits(int64(epoch), m[2])
		case m[3] != "":
			return digits(counter, m[3])
		}
		return strconv.Itoa(year)
	})
	if failed == nil && strings.ContainsAny(out, "{}") {
		failed = fmt.Errorf("%w: unknown placeholder in %q", ErrTemplate, template)
	}
	return out, failed
}

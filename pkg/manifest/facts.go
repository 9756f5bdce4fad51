package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Modes of a reader (features.md J06, J13).
const (
	Online  = "online"
	Offline = "offline"
)

// Facts are what a manifest says of one reader.
type Facts struct {
	Number      string `json:"number"`               // No. Manifest
	Reader      string `json:"reader_serial"`        // serial number of the reader (J03)
	SAM         string `json:"sam_serial"`           // serial number of the SAM card in it (J04)
	SAMOrigin   string `json:"sam_origin,omitempty"` // nomor asal of the SAM card (J06)
	PCID        string `json:"pcid"`                 // J04
	Producer    string `json:"producer"`             // produsen of the reader
	Institution string `json:"institution"`          // lembaga pengguna that uses it
	ReaderType  string `json:"reader_type,omitempty"`
	Place       string `json:"place"`            // where it stands (J05)
	Region      string `json:"region,omitempty"` // wilayah penggunaan (J06)
	Mode        string `json:"mode"`             // Online or Offline
	ValidFrom   string `json:"valid_from"`       // first day, 2006-01-02 in Jakarta
	ValidUntil  string `json:"valid_until"`      // last day, 2006-01-02 in Jakarta
}

// jakarta is UTC+7 all year (WIB).
var jakarta = time.FixedZone("WIB", 7*60*60)

// textMost bounds each text of the facts in bytes: forms take 200 characters, of up to four
// bytes each.
const textMost = 800

// Validity is the time in which the manifest may be used: from the first moment of the
// first day to the first moment after the last day, in Jakarta. Error: ErrFacts.
func (f Facts) Validity() (from, until time.Time, err error) {
	from, err = time.ParseInLocation(time.DateOnly, f.ValidFrom, jakarta)
	if err == nil {
		until, err = time.ParseInLocation(time.DateOnly, f.ValidUntil, jakarta)
	}
	until = until.AddDate(0, 0, 1)
	if err != nil || !until.After(from) || f.ValidFrom != from.Format(time.DateOnly) || f.ValidUntil != until.AddDate(0, 0, -1).Format(time.DateOnly) {
		return from, until, fmt.Errorf("%w: validity from %q until %q", ErrFacts, f.ValidFrom, f.ValidUntil)
	}
	return from, until, nil
}

// Check says what is missing or out of bounds. Error: ErrFacts.
func (f Facts) Check() error {
	for _, t := range []struct {
		name, text string
		must       bool
	}{
		{"number", f.Number, true}, {"reader serial", f.Reader, true}, {"SAM serial", f.SAM, true}, {"SAM origin", f.SAMOrigin, false},
		{"PCID", f.PCID, true}, {"producer", f.Producer, true}, {"institution", f.Institution, true}, {"reader type", f.ReaderType, false},
		{"place", f.Place, true}, {"region", f.Region, false},
	} {
		if t.text == "" && t.must {
			return fmt.Errorf("%w: %s is missing", ErrFacts, t.name)
		}
		if len(t.text) > textMost || !utf8.ValidString(t.text) || strings.ContainsFunc(t.text, unicode.IsControl) {
			return fmt.Errorf("%w: %s is too long or holds control characters", ErrFacts, t.name)
		}
	}
	if !validNumber(f.Number) {
		return fmt.Errorf("%w: No. Manifest %q", ErrFacts, f.Number)
	}
	if f.Mode != Online && f.Mode != Offline {
		return fmt.Errorf("%w: mode %q", ErrFacts, f.Mode)
	}
	_, _, err := f.Validity()
	return err
}

// validNumber bounds what a No. Manifest may be, whatever the office's pattern is.
func validNumber(number string) bool {
	return number != "" && len(number) <= 100 && utf8.ValidString(number) && !strings.ContainsFunc(number, func(r rune) bool { return !unicode.IsPrint(r) })
}

// ErrFacts says that facts are not those of a manifest.
var ErrFacts = errors.New("facts of a manifest")

// Driver lays out the payload of a manifest. The format of the log files that readers
// take today is known to the registry and the produsen only; a driver for it stands beside
// JSON, and nothing else changes.
type Driver interface {
	// Format is the driver's name and version, as manifests carry it.
	Format() string
	// Extension is that of payload files, without the dot: not "jws".
	Extension() string
	// Make lays out a payload; the same facts always give the same bytes.
	Make(f Facts) ([]byte, error)
	// Read gives back what the payload tells of the reader. A format from which it cannot
	// be read answers ErrOpaque.
	Read(payload []byte) (Facts, error)
}

// ErrOpaque says that a payload cannot be read, by this driver or by none that is known.
var ErrOpaque = errors.New("payload is opaque")

// JSON is the driver "json/1": one JSON object with the members of Facts in their order,
// without white space, in UTF-8.
type JSON struct{}

// Format is "json/1".
func (JSON) Format() string { return "json/1" }

// Extension is "json".
func (JSON) Extension() string { return "json" }

// Make lays out the facts. Error: ErrFacts.
func (JSON) Make(f Facts) ([]byte, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFacts, err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// Read reads a payload that Make has laid out, and no other form of it. Error: ErrFacts.
func (d JSON) Read(payload []byte) (f Facts, err error) {
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return f, fmt.Errorf("%w: %v", ErrFacts, err) //nolint:errorlint // what is wrong with the text is told, not matched
	}
	again, err := d.Make(f)
	if err != nil {
		return f, err
	}
	if !bytes.Equal(again, payload) {
		return f, fmt.Errorf("%w: not in canonical form", ErrFacts)
	}
	return f, nil
}

package perso

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
)

// Kinds of number, as in the tables number_counter and card_number.
const (
	kindPCID     = "pcid"
	kindManifest = "manifest"
)

// ErrNumbers says that a number template is not usable, or its counter full.
var ErrNumbers = errors.New("perso: number template")

// Numbers are the templates of the two numbers of a card. Placeholders: {year},
// {epoch:N} and {counter:N}, N digits filled up with zeros; in the PCID they are
// hexadecimal. Both need epoch and counter: the epoch is raised after a restore
// from a backup, and then no number can come a second time.
type Numbers struct {
	PCID     string `yaml:"pcid"`
	Manifest string `yaml:"manifest"`
}

var (
	placeholder = regexp.MustCompile(`\{(year|epoch:([1-9][0-9]?)|counter:([1-9][0-9]?))\}`)
	pcidForm    = regexp.MustCompile(`^[0-9A-F]{32}$`)
	manifestOK  = regexp.MustCompile(`^[A-Za-z0-9./-]{1,64}$`)
)

// Validate checks both templates by filling them in.
func (n Numbers) Validate() error {
	for _, template := range []string{n.PCID, n.Manifest} {
		if strings.Count(template, "{counter:") != 1 || strings.Count(template, "{epoch:") != 1 {
			return fmt.Errorf("%w: %q needs {epoch:N} and {counter:N} once each", ErrNumbers, template)
		}
	}
	pcid, err := fill(n.PCID, 16, 2026, 1, 1)
	if err != nil {
		return err
	}
	if !pcidForm.MatchString(pcid) {
		return fmt.Errorf("%w: %q does not make 32 hexadecimal digits", ErrNumbers, n.PCID)
	}
	manifest, err := fill(n.Manifest, 10, 2026, 1, 1)
	if err != nil {
		return err
	}
	if !manifestOK.MatchString(manifest) {
		return fmt.Errorf("%w: %q does not make a manifest number", ErrNumbers, n.Manifest)
	}
	return nil
}

// fill puts values into a template; a value that has more digits than its place
// is an error, because it would run into its neighbour.
func fill(template string, base, year, epoch int, counter int64) (string, error) {
	var failed error
	digits := func(value int64, width string) string {
		n, err := strconv.Atoi(width)
		text := strings.ToUpper(strconv.FormatInt(value, base))
		if err != nil || len(text) > n {
			failed = fmt.Errorf("%w: %d does not fit %q", ErrNumbers, value, template)
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
		failed = fmt.Errorf("%w: unknown placeholder in %q", ErrNumbers, template)
	}
	return out, failed
}

// allocate takes the next number of a kind for a card, in the card's own
// transaction: it is never given again, whatever becomes of the card. Numbers that
// the old register has are passed over.
func allocate(ctx context.Context, tx *postgres.Tx, kind, template, cardID string, year int) (string, error) {
	base := 10
	if kind == kindPCID {
		base = 16
	}
	var next struct {
		Epoch   int   `db:"epoch"`
		Counter int64 `db:"counter"`
	}
	if err := tx.Get(ctx, &next, `
		UPDATE number_counter SET next = next + 1, epoch = `+presentEpoch+`, timeline = wal_timeline()
		WHERE kind = $1 RETURNING epoch, next - 1 AS counter`, kind); err != nil {
		return "", fmt.Errorf("perso: counter %s: %w", kind, err)
	}
	value, err := fill(template, base, year, next.Epoch, next.Counter)
	if err != nil {
		return "", err
	}
	known, err := register.Known(ctx, tx, registered[kind], []string{value})
	if err != nil {
		return "", err
	}
	if known[value] {
		if value, err = passOver(ctx, tx, kind, next.Counter+1, func(counter int64) (string, error) {
			return fill(template, base, year, next.Epoch, counter)
		}); err != nil {
			return "", err
		}
	}
	if err := tx.ExecOne(ctx, `
		INSERT INTO card_number (kind, value, card_id) VALUES ($1, $2, $3)`, kind, value, cardID); err != nil {
		return "", fmt.Errorf("perso: number %s: %w", kind, err)
	}
	return value, nil
}

// registered is the register's name of a kind of number.
var registered = map[string]register.Field{kindPCID: register.PCID, kindManifest: register.ManifestNo}

// passOver finds the first number from counter on that the register does not
// have, and leaves the counter behind it. The register may hold a whole former
// series: it is asked for more and more numbers at a time.
func passOver(ctx context.Context, tx *postgres.Tx, kind string, counter int64, number func(int64) (string, error)) (string, error) {
	const most = 8192
	for size := 64; ; size = min(2*size, most) {
		var values []string
		var full error
		for i := range size {
			var value string
			if value, full = number(counter + int64(i)); full != nil {
				break // of use as far as it goes
			}
			values = append(values, value)
		}
		if len(values) == 0 {
			return "", full
		}
		known, err := register.Known(ctx, tx, registered[kind], values)
		if err != nil {
			return "", err
		}
		for i, value := range values {
			if known[value] {
				continue
			}
			if err := tx.ExecOne(ctx, `UPDATE number_counter SET next = $2 WHERE kind = $1`, kind, counter+int64(i)+1); err != nil {
				return "", fmt.Errorf("perso: counter %s: %w", kind, err)
			}
			return value, nil
		}
		counter += int64(len(values))
	}
}

// presentEpoch is a counter's epoch on the present timeline of the database: one
// more for each timeline since the counter was last used.
const presentEpoch = `(epoch + CASE WHEN timeline = wal_timeline() THEN 0 ELSE greatest(wal_timeline() - timeline, 1) END)`

// Epoch is the epoch of the numbers that are given now, the highest of the
// kinds.
func Epoch(ctx context.Context, r postgres.Reader) (epoch int, err error) {
	if err := r.Get(ctx, &epoch, `SELECT coalesce(max(`+presentEpoch+`), 0) FROM number_counter`); err != nil {
		return 0, fmt.Errorf("perso: epoch: %w", err)
	}
	return epoch, nil
}

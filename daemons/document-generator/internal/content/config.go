// Package content says what the office's papers read: it gathers what is true
// of a request or a handover and fills the Word templates and the result list.
package content

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Config is what the papers say about the office itself.
type Config struct {
	// PortalURL is the portal as the public reaches it: papers name their page on it.
	PortalURL string `yaml:"portal_url"`
	// OfficeAddress stands in the BAST where the signatory has no address.
	OfficeAddress string `yaml:"office_address"`
	// LetterNature is the "Sifat" of letters.
	LetterNature string `yaml:"letter_nature"`
	// AddresseePlace follows "di" in the address of letters.
	AddresseePlace string `yaml:"addressee_place"`
	// Copies are the receivers named under "Tembusan".
	Copies []string `yaml:"copies"`
	// Use says in the BAST what the cards are for, by kind of request.
	Use Use `yaml:"use"`
}

// Use is what the cards are for, by kind of request (features.md G20, N11).
type Use struct {
	Reader     string `yaml:"reader"`
	RekamCetak string `yaml:"rekam_cetak"`
}

// Defaults are the office's usual words.
func Defaults() Config {
	return Config{
		PortalURL:     "https://sifilma.dukcapil.kemendagri.go.id",
		OfficeAddress: "Jl. Raya Pasar Minggu Km. 19, Jakarta Selatan 12072", LetterNature: "Biasa", AddresseePlace: "Tempat",
		Use: Use{Reader: "alat baca KTP-el pada Card Reader Terintegrasi", RekamCetak: "sarana perekaman dan pencetakan KTP-el"},
	}
}

// Validate checks the section.
func (c Config) Validate() error {
	if c.OfficeAddress == "" || c.LetterNature == "" || c.AddresseePlace == "" || c.Use.Reader == "" || c.Use.RekamCetak == "" {
		return errors.New("office_address, letter_nature, addressee_place and both of use are needed")
	}
	return checkPortal(c.PortalURL)
}

// Writer writes papers.
type Writer struct {
	cfg Config

	mu     sync.Mutex
	latest map[string]current // by kind
}

// current is the template of a kind that was in force when last asked for.
type current struct {
	id   string // of the edition
	body []byte
	sum  []byte // SHA-256, by which a paper remembers it
}

// New makes a writer.
func New(cfg Config) *Writer { return &Writer{cfg: cfg, latest: map[string]current{}} }

// template is the one that papers of a kind are made with now. Its file is read when
// another edition has come in force.
func (w *Writer) template(ctx context.Context, rd postgres.Reader, kind string) (current, error) {
	e, err := template.InForce(ctx, rd, kind)
	if errors.Is(err, template.ErrNotFound) {
		return current{}, fmt.Errorf("content: no template of %s is in force", kind)
	}
	if err != nil {
		return current{}, err
	}
	w.mu.Lock()
	known := w.latest[kind]
	w.mu.Unlock()
	if known.id == e.ID {
		return known, nil
	}
	body, err := template.Content(ctx, rd, e)
	if err != nil {
		return current{}, err
	}
	now := current{e.ID, body, e.SHA256}
	w.mu.Lock()
	w.latest[kind] = now
	w.mu.Unlock()
	return now, nil
}

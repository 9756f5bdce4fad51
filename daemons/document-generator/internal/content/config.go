// Package content says what the office's papers read: it gathers what is true
// of a request or a handover and fills the Word templates and the result list.
package content

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/letter"
)

// Config is what the papers say about the office itself.
type Config struct {
	// Templates is a folder with the Word templates that staff edit; empty
	// takes those that came with the program (configs/templates).
	Templates string `yaml:"templates"`
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
	if err := checkPortal(c.PortalURL); err != nil {
		return err
	}
	_, err := New(c)
	return err
}

// templateNames are the files of the templates, by kind of paper.
var templateNames = map[string]string{
	letter.BAST: "bast", letter.ReplyLetter: "surat-balasan", letter.CompletionLetter: "surat-keterangan-selesai",
	letter.DestructionReport: "berita-acara-kartu-rusak", letter.BlankReceipt: "tanda-terima-blangko", letter.DaySheet: "lembar-harian",
}

// template is a Word template and the hash that a paper remembers it by.
type template struct {
	body   []byte
	sha256 [sha256.Size]byte
}

// Writer writes papers.
type Writer struct {
	cfg       Config
	templates map[string]template
}

// New makes a writer. It fills each template once with a sample, so that a
// template with a tag nobody knows is found now and not with a paper in hand.
func New(cfg Config) (*Writer, error) {
	var files fs.FS = configs.Files
	dir := "templates/"
	if cfg.Templates != "" {
		files, dir = os.DirFS(cfg.Templates), ""
	}
	w := &Writer{cfg: cfg, templates: map[string]template{}}
	for kind, name := range templateNames {
		body, err := fs.ReadFile(files, dir+name+".docx")
		if err != nil {
			return nil, fmt.Errorf("content: template: %w", err)
		}
		w.templates[kind] = template{body: body, sha256: sha256.Sum256(body)}
		if _, err := w.fill(sample(kind), true); err != nil {
			return nil, fmt.Errorf("content: template %s.docx: %w", name, err)
		}
	}
	return w, nil
}

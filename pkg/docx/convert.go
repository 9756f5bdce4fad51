package docx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ErrUnavailable says that LibreOffice is missing, dead or away. It is no
// fault of the paper: the paper waits and is tried again.
var ErrUnavailable = errors.New("docx: LibreOffice is not available")

// SourceError says that LibreOffice is well but cannot convert this document.
type SourceError struct {
	Name   string
	Reason string
}

// Error names the document and what was wrong with its result.
func (e *SourceError) Error() string {
	return fmt.Sprintf("docx: %s cannot be converted to PDF: %s", e.Name, e.Reason)
}

// Source is a document to convert. Name is only used in errors.
type Source struct {
	Name  string
	Bytes []byte
}

// ConverterConfig sets up a Converter. Zero values take the defaults.
type ConverterConfig struct {
	// Soffice is the program; default "soffice" from PATH.
	Soffice string `yaml:"soffice"`
	// WorkDir is where profiles and jobs live; default the system's temporary directory.
	WorkDir string `yaml:"work_dir"`
	// Timeout bounds one run of LibreOffice; default 60 s.
	Timeout time.Duration `yaml:"timeout"`
	// Batch is the most documents given to one run; default 8.
	Batch int `yaml:"batch"`
}

// Converter turns .docx into PDF with LibreOffice. It is one worker with one
// user profile: two runs on one profile lose documents (users.md F.2), so its
// runs follow each other; make several converters to work in parallel.
type Converter struct {
	cfg  ConverterConfig
	home string
	lock *os.File // of home: held while this process lives

	mu      sync.Mutex
	profile string
}

// NewConverter makes a converter with a directory of its own; Close removes it.
// Directories that killed processes left in the same place are removed now. It
// does not start LibreOffice.
func NewConverter(cfg ConverterConfig) (*Converter, error) {
	if cfg.Soffice == "" {
		cfg.Soffice = "soffice"
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = time.Minute
	}
	if cfg.Batch <= 0 {
		cfg.Batch = 8
	}
	home, lock, err := makeHome(cfg.WorkDir)
	if err != nil {
		return nil, fmt.Errorf("docx: converter directory: %w", err)
	}
	return &Converter{cfg: cfg, home: home, lock: lock}, nil
}

// Close removes the converter's directory. No Convert may be under way.
func (c *Converter) Close() error {
	return errors.Join(os.RemoveAll(c.home), c.lock.Close())
}

// Convert turns each source into a PDF with at least one page, in order.
//
// It fails as a whole: with *SourceError when LibreOffice proves well and a
// document is at fault, with ErrUnavailable when LibreOffice is, or with the
// context's error. Documents of a failed batch are tried one by one first, so
// that a bad neighbour costs time only.
func (c *Converter) Convert(ctx context.Context, sources []Source) ([][]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	results := make([][]byte, 0, len(sources))
	for len(sources) > 0 {
		batch := sources[:min(len(sources), c.cfg.Batch)]
		sources = sources[len(batch):]
		pdfs, err := c.convertBatch(ctx, batch)
		if err != nil {
			return nil, err
		}
		results = append(results, pdfs...)
	}
	return results, nil
}

func (c *Converter) convertBatch(ctx context.Context, batch []Source) ([][]byte, error) {
	results, reasons, err := c.run(ctx, batch, ".docx")
	if err != nil {
		return nil, err
	}
	for i := range batch {
		if results[i] != nil {
			continue
		}
		reason := reasons[i]
		if len(batch) > 1 {
			alone, why, err := c.run(ctx, batch[i:i+1], ".docx")
			if err != nil {
				return nil, err
			}
			results[i], reason = alone[0], why[0]
		}
		if results[i] != nil {
			continue
		}
		if err := c.probe(ctx); err != nil {
			return nil, err
		}
		return nil, &SourceError{Name: batch[i].Name, Reason: reason}
	}
	return results, nil
}

// probe converts a text that cannot fail: it tells a bad document from a bad LibreOffice.
func (c *Converter) probe(ctx context.Context) error {
	results, reasons, err := c.run(ctx, []Source{{Bytes: []byte("SI-FILMA\n")}}, ".txt")
	if err != nil {
		return err
	}
	if results[0] == nil {
		return fmt.Errorf("%w: a plain text is not converted either: %s", ErrUnavailable, reasons[0])
	}
	return nil
}

// run gives LibreOffice one batch in a fresh directory and checks every output.
// A missing or bad output has a reason; err is for faults that are not a document's.
func (c *Converter) run(ctx context.Context, batch []Source, suffix string) (results [][]byte, reasons []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if err := c.prepareProfile(); err != nil {
		return nil, nil, err
	}
	job, err := os.MkdirTemp(c.home, "job-")
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(job)) }()

	args := []string{
		"-env:UserInstallation=file://" + c.profile,
		"--headless", "--invisible", "--nologo", "--nodefault", "--norestore", "--nolockcheck", "--nofirststartwizard",
		"--convert-to", "pdf:writer_pdf_Export", "--outdir", filepath.Join(job, "out"),
	}
	for i, source := range batch {
		name := filepath.Join(job, fmt.Sprintf("%04d%s", i, suffix))
		if err := os.WriteFile(name, source.Bytes, 0o600); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		args = append(args, name)
	}
	said, timedOut, err := c.execute(ctx, args)
	if err != nil {
		return nil, nil, err
	}
	results = make([][]byte, len(batch))
	reasons = make([]string, len(batch))
	for i := range batch {
		b, err := os.ReadFile(filepath.Join(job, "out", fmt.Sprintf("%04d.pdf", i)))
		switch {
		case err != nil && timedOut:
			reasons[i] = fmt.Sprintf("no result within %s", c.cfg.Timeout)
		case err != nil:
			// LibreOffice exits with 0 when it cannot load a document.
			reasons[i] = "no result: " + strings.ReplaceAll(said, job, "")
		default:
			if _, err := PageCount(b); err != nil {
				reasons[i] = err.Error()
				continue
			}
			results[i] = b
		}
	}
	return results, reasons, nil
}

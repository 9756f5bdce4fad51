package ceremony

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Paper is the berita acara of a ceremony. It holds check values, never a key.
type Paper struct {
	At       time.Time
	Place    string
	Operator string // who ran the command
	Token    pkcs11.Info
	Keys     []Key
	Roles    []string // who signs, besides the operator
}

var originLabels = map[keybook.Origin]string{
	keybook.Generated: "dibuat di dalam token", keybook.Components: "digabung dari komponen kustodian",
}

// Word fills the Word template of the berita acara.
func (p Paper) Word() ([]byte, error) {
	template, err := configs.Template("keys/berita-acara-kunci")
	if err != nil {
		return nil, err
	}
	values := map[string]string{
		"date_in_words": terbilang.DateInWords(clock.DateOf(p.At)), "time": p.At.In(clock.Jakarta).Format("15.04") + " WIB", "place": p.Place,
		"token_label": p.Token.Label, "token_serial": p.Token.Serial, "token_maker": strings.TrimSpace(p.Token.Manufacturer + ", " + p.Token.Model),
	}
	var keys, signers []map[string]string
	for i, k := range p.Keys {
		_, version := keybook.Split(k.Label)
		origin := originLabels[k.Origin]
		if n := len(k.Custodians); n > 0 {
			origin = fmt.Sprintf("digabung dari komponen %d (%s) kustodian", n, terbilang.Number(int64(n)))
		}
		if !k.Made {
			origin += " (sudah ada sebelumnya)"
		}
		keys = append(keys, map[string]string{
			"no": strconv.Itoa(i + 1), "label": k.Label, "version": strconv.Itoa(version), "algorithm": k.Kind.String(), "kcv": k.KCV, "origin": origin,
		})
	}
	for i, role := range append(append([]string(nil), p.Roles...), "Pelaksana: "+p.Operator) {
		signers = append(signers, map[string]string{"no": strconv.Itoa(i + 1), "role": role})
	}
	return docx.Fill(template, values, map[string][]map[string]string{"keys": keys, "signers": signers})
}

// PaperMayBe says whether a berita acara could be written to this file; an empty name
// stands for none.
func PaperMayBe(path string) error {
	if path == "" {
		return nil
	}
	if ext := strings.ToLower(filepath.Ext(path)); ext != ".docx" && ext != ".pdf" {
		return fmt.Errorf("nama berkas berita acara %s harus berakhiran .docx atau .pdf", path)
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("berkas %s sudah ada dan tidak ditimpa. Pilih nama lain untuk berita acara", path)
	}
	if err := unix.Access(filepath.Dir(path), unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("berita acara tidak dapat ditulis ke folder %s. Periksa bahwa folder itu ada dan boleh ditulisi", filepath.Dir(path))
	}
	return nil
}

// Write writes the berita acara to a file: as PDF, by LibreOffice, when its name ends so,
// else as a Word file. A file that is there is not overwritten.
func (p Paper) Write(ctx context.Context, path string) error {
	body, err := p.Word()
	if err != nil {
		return err
	}
	return writePaper(ctx, body, path)
}

func writePaper(ctx context.Context, body []byte, path string) (err error) {
	if strings.HasSuffix(strings.ToLower(path), ".pdf") {
		if body, err = printed(ctx, body); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("berita acara tidak dapat ditulis ke %s: %w", path, err)
	}
	if _, err = f.Write(body); err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func printed(ctx context.Context, word []byte) (pdf []byte, err error) {
	converter, err := docx.NewConverter(docx.ConverterConfig{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = converter.Close() }()
	pages, err := converter.Convert(ctx, []docx.Source{{Name: "berita-acara-kunci", Bytes: word}})
	if err != nil {
		return nil, fmt.Errorf("LibreOffice tidak mencetak berita acara; tulis sebagai .docx saja: %w", err)
	}
	return pages[0], nil
}

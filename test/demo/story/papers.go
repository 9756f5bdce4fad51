package story

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/test/demo/people"
	"dukcapil.go.id/sifilma/test/demo/sample"
)

const pdf = "application/pdf"

// papers plays the end of a request: letters are signed and their scans
// uploaded, cards and BAST go to the produsen, who confirms them.
func (p *play) papers(ctx context.Context, v view) (bool, error) {
	if ids := v.unsigned(); len(ids) > 0 {
		return p.sign(ctx, ids[0], "Direktorat Jenderal Dukcapil")
	}
	if len(v.Handovers) == 0 {
		if v.papers() < papersOfRequest-1 {
			return false, nil // the letters are still being made
		}
		p.nextDay(9, 0)
		_, err := p.staff["operator"].Do(ctx, people.Call{Method: http.MethodPost, Path: "/api/v1/requests/" + v.Ticket + "/handovers", JSON: map[string]any{}}, nil)
		return err == nil, err
	}
	h := v.Handovers[0]
	path := "/api/v1/handovers/" + h.ID
	switch h.State {
	case "bast_drafted":
		for _, d := range v.Documents {
			if d.Kind != "bast" || d.State != "awaiting_signature" {
				continue
			}
			scan, err := p.scan(ctx, d.ID, "Pihak Pertama dan Pihak Kedua")
			if err != nil {
				return false, err
			}
			_, err = p.staff["operator"].Do(ctx, people.Call{Method: http.MethodPost, Path: path + "/delivery", Parts: []people.Part{
				{Name: "representative", Body: []byte("PIC Produsen Contoh")},
				{Name: "representative_post", Body: []byte("PIC Produsen")},
				{Name: "representative_of", Body: []byte("produsen")},
				{Name: "delivered_on", Body: []byte(clock.Today(p.office).String())},
				{Name: "scan", File: "bast-ditandatangani.pdf", MediaType: pdf, Body: scan},
			}}, nil)
			return err == nil, err
		}
	case "delivered":
		p.later()
		_, err := p.staff["produsen"].Do(ctx, people.Call{Method: http.MethodPost, Path: path + "/receipt", JSON: map[string]any{"received": h.Quantity}}, nil)
		return err == nil, err
	case "received":
		_, err := p.staff["kasubdit"].Do(ctx, people.Call{Method: http.MethodPost, Path: path + "/closure", JSON: map[string]any{}}, nil)
		return err == nil, err
	}
	return false, nil
}

// sign has a letter signed, and uploads its scan.
func (p *play) sign(ctx context.Context, id, by string) (bool, error) {
	scan, err := p.scan(ctx, id, by)
	if err != nil {
		return false, err
	}
	p.later()
	_, err = p.staff["persuratan"].Do(ctx, people.Call{Method: http.MethodPost, Path: "/api/v1/documents/" + id + "/signature",
		Parts: []people.Part{
			{Name: "signed_on", Body: []byte(clock.Today(p.office).String())},
			{Name: "scan", File: "pindaian.pdf", MediaType: pdf, Body: scan},
		}}, nil)
	return err == nil, err
}

// scan prints a paper and has it signed.
func (p *play) scan(ctx context.Context, id, by string) ([]byte, error) {
	var body []byte
	if _, err := p.staff["operator"].Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/documents/" + id + "/files/pdf"}, &body); err != nil {
		return nil, err
	}
	return sample.Signed(body, by)
}

// summary saves the papers and tells where everything is. Its last line is for
// programs.
func (p *play) summary(ctx context.Context, v view, a *activation) error {
	dir := filepath.Join(p.Dir, "papers", v.Ticket)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	var paths []string
	for _, d := range append(slices.Clone(v.Documents), a.Documents...) {
		for _, f := range d.Formats {
			var body []byte
			if _, err := p.staff["operator"].Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/documents/" + d.ID + "/files/" + f}, &body); err != nil {
				return err
			}
			name, ending := fileName(d.Label), f
			if f == "scan" {
				name, ending = name+"-bertanda-tangan", "pdf"
			}
			path := filepath.Join(dir, name+"."+ending)
			if err := os.WriteFile(path, body, 0o600); err != nil {
				return err
			}
			paths = append(paths, path)
		}
	}
	day := terbilang.FormatDate
	p.out.Say("\nRingkasan (tanggal menurut jam kantor, yang dimajukan oleh peragaan)")
	p.out.Say("  Kode Tiket     %s (%s)", v.Ticket, v.Label)
	if len(v.Timeline) > 0 {
		first, last := span(v)
		p.out.Say("  Tanggal        diajukan %s, diserahkan %s", day(clock.DateOf(first)), day(clock.DateOf(last)))
	}
	if v.Estimate != nil {
		p.out.Say("  Personalisasi  %s (janji pertama %s)", days(v.Estimate.Start, v.Estimate.Finish), days(v.Estimate.FirstStart, v.Estimate.FirstFinish))
	}
	p.out.Say("  Kartu          %d dari %d berhasil; %d gagal dan diganti", v.Cards.Clear, v.CardCount, v.Cards.Failed+v.Cards.Spoiled)
	p.out.Say("  Aktivasi       %s, %d reader aktif; manifestnya diperiksa dengan kunci publik saja, tanpa jaringan: sah", a.Ticket, len(a.Lines))
	p.out.Say("  Dokumen")
	for _, path := range paths {
		p.out.Say("    %s", path)
	}
	p.out.Say("    %s", a.bundle)
	p.out.Say("  Periksa        bin/sifilma verify %s -key %s -at %s", a.bundle, a.keys, clock.Today(p.office))
	p.out.Say("  Portal         %s/permohonan/%s", p.Portal, v.Ticket)
	p.out.Say("  Stasiun        %s/layar  (layar operator; tanpa /layar: halaman teknisi)", p.Station)
	p.out.Say("  Intake         %s  (petunjuk bagi produsen)", p.Intake)
	p.out.Say("  Akun           kata sandi dan kunci API tertulis di atas, sebelum peragaan dimulai")
	if p.Once {
		p.out.Say("demo: ok request=%s cards=%d/%d documents=%d manifests=%d seconds=%.0f", v.Ticket, v.Cards.Clear, v.CardCount, v.papers()+inForce(a.Documents), len(a.Lines), time.Since(p.Began).Seconds())
	} else {
		p.out.Say("Siap: %s", fmt.Sprintf("permohonan %s selesai dalam %.0f detik.", v.Ticket, time.Since(p.Began).Seconds()))
	}
	return nil
}

// fileName makes a file's name of a paper's, such as surat-balasan-permohonan.
func fileName(label string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(label), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "-")
}

// days are the days from first to last, or one day.
func days(first, last clock.Date) string {
	if first == last {
		return terbilang.FormatDate(first)
	}
	return terbilang.FormatDate(first) + " s.d. " + terbilang.FormatDate(last)
}

func span(v view) (first, last time.Time) {
	first, last = v.Timeline[0].OfficeAt, v.Timeline[0].OfficeAt
	for _, t := range v.Timeline {
		if t.OfficeAt.Before(first) {
			first = t.OfficeAt
		}
		if t.OfficeAt.After(last) {
			last = t.OfficeAt
		}
	}
	return first, last
}

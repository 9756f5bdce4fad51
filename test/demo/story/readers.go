package story

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/test/demo/people"
	"dukcapil.go.id/sifilma/test/demo/sample"
)

// readersOfSample is how many readers of a sample are activated.
const readersOfSample = 2

// activation is a letter of readers as the portal shows it.
type activation struct {
	Ticket  string `json:"ticket"`
	Subject string `json:"subject"`
	Version int64  `json:"version"`
	Lines   []struct {
		State    string `json:"state"`
		Label    string `json:"state_label"`
		Disposed string `json:"disposed_on"`
		Manifest string `json:"manifest_serial"`
		Findings []struct {
			Detail string `json:"detail"`
		} `json:"findings"`
	} `json:"lines"`
	Documents []document `json:"documents"`

	bundle, keys string // files of its delivered manifests, and of the public keys
}

// all says whether every reader is in one of these states.
func (a activation) all(states ...string) bool {
	for _, l := range a.Lines {
		if !slices.Contains(states, l.State) {
			return false
		}
	}
	return len(a.Lines) > 0
}

func (a activation) over() bool { return a.all("active") }

// activationOf is the letter for readers of a request; nil while there is none.
func (p *play) activationOf(ctx context.Context, ticket string) (*activation, error) {
	var list struct {
		Activations []activation `json:"activations"`
	}
	if _, err := p.staff["operator"].Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/activations"}, &list); err != nil {
		return nil, err
	}
	for _, a := range list.Activations {
		if a.Subject == activationSubject(ticket) {
			var whole activation
			_, err := p.staff["operator"].Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/activations/" + a.Ticket}, &whole)
			return &whole, err
		}
	}
	return nil, nil
}

func activationSubject(ticket string) string {
	return "Permohonan Aktivasi Perangkat Pembaca KTP-el atas " + ticket
}

// activate plays the second procedure for readers of a request whose cards were handed
// over: the lembaga's letter, the office's decisions, the signed manifests and their
// delivery, until the readers are active.
func (p *play) activate(ctx context.Context, v view) (*activation, error) {
	last, changed := "", time.Now()
	for {
		a, err := p.activationOf(ctx, v.Ticket)
		if err != nil {
			return nil, err
		}
		if a != nil && a.over() {
			return a, p.keepBundle(ctx, v.Ticket, a)
		}
		acted, err := p.actReaders(ctx, v, a)
		if err != nil && !people.Is(err, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired) {
			return a, err
		}
		if now := fmt.Sprint(a); now != last || acted && err == nil {
			last, changed = now, time.Now()
			p.showReaders(a)
		}
		if time.Since(changed) > stuckAfter {
			return a, fmt.Errorf("aktivasi tidak maju sejak %s", stuckAfter)
		}
		if acted && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return a, ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

func (p *play) showReaders(a *activation) {
	if a == nil || len(a.Lines) == 0 {
		return
	}
	steps := []string{"submitted", "validated", "registered", "approved", "accepted", "manifest_ready", "delivered", "active"}
	p.out.Bar("Aktivasi", 1+slices.Index(steps, a.Lines[0].State), len(steps), a.Lines[0].Label)
}

// actReaders does one thing that somebody has to do for the readers.
func (p *play) actReaders(ctx context.Context, v view, a *activation) (bool, error) {
	if a == nil {
		p.nextDay(9, 0)
		return true, p.askReaders(ctx, v)
	}
	verb := func(role, name string, body any) (bool, error) {
		_, err := p.staff[role].Do(ctx, people.Call{Method: http.MethodPost, Path: "/api/v1/activations/" + a.Ticket + "/" + name, JSON: body,
			Header: map[string]string{"If-Match": strconv.Quote(strconv.FormatInt(a.Version, 10))}}, nil)
		return err == nil, err
	}
	today := clock.Today(p.office)
	for _, l := range a.Lines {
		if l.State == "returned" || l.State == "rejected" {
			return false, fmt.Errorf("aktivasi %s berhenti dalam keadaan %q: %v", a.Ticket, l.Label, l.Findings)
		}
	}
	switch {
	case a.all("validated"):
		return verb("persuratan", "registration", map[string]any{"on": today})
	case a.all("registered"):
		p.nextDay(10, 0)
		return verb("dirjen", "approval", map[string]any{})
	case a.all("approved") && a.Lines[0].Disposed == "":
		p.later()
		return verb("direktur", "disposition", map[string]any{"on": clock.Today(p.office)})
	case a.all("approved"):
		p.nextDay(9, 30)
		return verb("kasubdit", "acceptance", map[string]any{})
	case a.all("accepted", "manifest_ready"):
		for _, d := range a.Documents {
			if d.State == "awaiting_signature" {
				return p.sign(ctx, d.ID, "Direktorat Jenderal Dukcapil")
			}
		}
		if !a.all("manifest_ready") || !slices.ContainsFunc(a.Documents, func(d document) bool { return d.State == "issued" }) {
			return false, nil // still being made
		}
		return p.deliver(ctx)
	case a.all("delivered"):
		p.nextDay(9, 0)
		return verb("lembaga", "installation", map[string]any{"on": clock.Today(p.office)})
	}
	return false, nil
}

// askReaders sends the lembaga's letter for the first readers of a request.
func (p *play) askReaders(ctx context.Context, v view) error {
	list, err := p.cards(ctx, v.Ticket)
	if err != nil {
		return err
	}
	var lines []map[string]any
	for _, c := range list {
		if c.State == "clear" && c.Reader != "" && len(lines) < readersOfSample {
			lines = append(lines, map[string]any{
				"reader_serial": c.Reader, "sam_serial": c.Serial, "origin_no": c.Serial, "perso_no": c.ManifestNo, "pcid": c.PCID, "machine_type": "gsx-01", "mode": "offline",
				"address": fmt.Sprintf("Kantor Cabang Contoh %d, Jl. Contoh Perbankan No. %d", len(lines)+1, len(lines)+1), "region": "Kota Bandung, Jawa Barat",
			})
		}
	}
	today := clock.Today(p.office)
	number := "017/AKT/" + v.Ticket
	body, err := json.Marshal(map[string]any{
		"produsen": p.Cast.Produsen, "number": number, "date": today, "subject": activationSubject(v.Ticket),
		"leader": "Pimpinan Lembaga Contoh", "leader_post": "Direktur Utama", "lines": lines,
	})
	if err != nil {
		return err
	}
	scan, err := sample.PDF("SURAT PERMOHONAN AKTIVASI", "Nomor: "+number, "Kepada Yth. Direktur Jenderal Kependudukan dan Pencatatan Sipil",
		fmt.Sprintf("Bersama ini kami mengajukan aktivasi %d perangkat pembaca KTP-el.", len(lines)))
	if err != nil {
		return err
	}
	_, err = p.staff["lembaga"].Do(ctx, people.Call{Method: http.MethodPost, Path: "/api/v1/activations",
		Header: map[string]string{"Idempotency-Key": "aktivasi-" + v.Ticket}, Parts: []people.Part{
			{Name: "activation", MediaType: "application/json", Body: body}, {Name: "letter", File: "surat-permohonan-aktivasi.pdf", MediaType: pdf, Body: scan},
		}}, nil)
	if err == nil {
		p.out.Say("\n%s mengajukan aktivasi %d reader.", p.Cast.Lembaga, len(lines))
	}
	return err
}

// release is a bundle of manifests for the produsen.
type release struct {
	Number    string `json:"number"`
	State     string `json:"state"`
	Manifests int    `json:"manifests"`
}

func (p *play) releases(ctx context.Context) (waiting []readyManifests, list []release, err error) {
	var answer struct {
		Waiting  []readyManifests `json:"waiting"`
		Releases []release        `json:"releases"`
	}
	_, err = p.staff["kasubdit"].Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/manifest-releases"}, &answer)
	return answer.Waiting, answer.Releases, err
}

// readyManifests are signed manifests of a produsen that may be released.
type readyManifests struct {
	ProdusenID string `json:"produsen_id"`
	Ready      int    `json:"ready"`
	Fresh      int    `json:"fresh"`
}

// deliver has Kasubdit KI release what is signed, and the produsen take it.
func (p *play) deliver(ctx context.Context) (bool, error) {
	waiting, list, err := p.releases(ctx)
	if err != nil {
		return false, err
	}
	for _, w := range waiting {
		if w.Fresh > 0 {
			p.nextDay(9, 0)
			_, err := p.staff["kasubdit"].Do(ctx, people.Call{Method: http.MethodPost, Path: "/api/v1/manifest-releases",
				JSON: map[string]any{"produsen_id": w.ProdusenID, "manifests": w.Ready}}, nil)
			return err == nil, err
		}
	}
	for _, r := range list {
		if r.State == "bundled" {
			p.later()
			_, err := p.staff["produsen"].Do(ctx, people.Call{Method: http.MethodPost, Path: "/api/v1/manifest-releases/" + r.Number + "/receipt",
				JSON: map[string]any{"receiver": "PIC Produsen Contoh", "receiver_post": "PIC Produsen"}}, nil)
			return err == nil, err
		}
	}
	return false, nil
}

// keepBundle downloads what the produsen got last, and verifies it with the public key
// alone.
func (p *play) keepBundle(ctx context.Context, ticket string, a *activation) error {
	_, list, err := p.releases(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(r release) bool { return r.State == "delivered" })
	if at < 0 {
		return errors.New("tidak ada bundel manifest yang diserahkan")
	}
	var bundle, keys []byte
	if _, err := p.staff["produsen"].Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/manifest-releases/" + list[at].Number + "/bundle"}, &bundle); err != nil {
		return err
	}
	if _, err := p.staff["produsen"].Do(ctx, people.Call{Method: http.MethodGet, Path: "/manifest/" + manifest.KeysFile}, &keys); err != nil {
		return err
	}
	dir := filepath.Join(p.Dir, "papers", ticket)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	a.bundle, a.keys = filepath.Join(dir, "manifest-"+list[at].Number+".zip"), filepath.Join(dir, manifest.KeysFile)
	if err := errors.Join(os.WriteFile(a.bundle, bundle, 0o600), os.WriteFile(a.keys, keys, 0o600)); err != nil {
		return err
	}
	known, err := sealed.ParseKeys(keys)
	if err != nil {
		return err
	}
	d, err := manifest.Verifier{Keys: known}.OpenDelivery(bytes.NewReader(bundle), int64(len(bundle)), p.office.Now())
	if err != nil {
		return fmt.Errorf("bundel manifest: %w", err)
	}
	for _, m := range d.Manifests {
		if m.Err != nil {
			return fmt.Errorf("manifest %s: %w", m.Name, m.Err)
		}
	}
	if len(d.Manifests) < len(a.Lines) {
		return fmt.Errorf("bundel berisi %d manifest untuk %d reader", len(d.Manifests), len(a.Lines))
	}
	return nil
}

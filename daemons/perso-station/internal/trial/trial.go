// Package trial runs a profile once on a test card, step by step, and compares what
// the card shows after each step with what the profile says it shows: a card in
// doubt is judged by that. It writes numbers that are nobody's, so the card is of no
// further use.
package trial

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/keyring"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/sam"
	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
)

// Step is what came of one step.
type Step struct {
	Do      profile.Step    `json:"do"`
	Name    string          `json:"name,omitempty"` // of a command of the profile's own
	MS      int64           `json:"ms"`
	Shows   []profile.Sight `json:"shows"` // what could be seen of it afterwards
	Problem string          `json:"problem"`
}

// Report is what came of a trial. It holds no secret and no PCID.
type Report struct {
	Profile string `json:"profile"`
	ChipID  string `json:"chip_id"`
	Serial  string `json:"serial"`
	Steps   []Step `json:"steps"`
	Problem string `json:"problem"` // of the whole
	Passed  bool   `json:"passed"`
}

// Office is what a trial asks before it writes to a card.
type Office interface {
	// Free says whether a card is nobody's: nil, or why it must not be tried on.
	Free(ctx context.Context, look sam.Look) error
	// Guard counts the authentications of a chip.
	Guard(chipID string) sam.Guard
}

// Run tries a profile on a card. What goes wrong is in the report.
func Run(ctx context.Context, t globalplatform.Transmitter, p *profile.Profile, ring *keyring.Ring, office Office) Report {
	r := Report{Profile: p.Label(), Steps: []Step{}}
	if err := r.run(ctx, t, p, ring, office); err != nil {
		r.Problem = err.Error()
	}
	r.Passed = r.Problem == "" && !slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Problem != "" })
	return r
}

func (r *Report) run(ctx context.Context, t globalplatform.Transmitter, p *profile.Profile, ring *keyring.Ring, office Office) error {
	if err := p.Runnable(); err != nil {
		return err
	}
	if err := ring.Check(ctx); err != nil {
		return fmt.Errorf("HSM: %w", err)
	}
	card := sam.Open(t, p, ring)
	defer card.Close()
	look, err := card.Look(ctx)
	if err != nil {
		return fmt.Errorf("kartu tidak dapat dikenali: %w", err)
	}
	r.ChipID, r.Serial = look.ChipID, look.Serial
	if !look.Fresh(p) {
		return errors.New("isi kartu bukan blangko baru menurut profil ini")
	}
	if err := office.Free(ctx, look); err != nil {
		return err
	}
	job, err := newJob(ctx, ring)
	if err != nil {
		return err
	}
	defer clear(job.Secret)
	guard := office.Guard(look.ChipID)
	final := false // the final keys are on the card
	for _, step := range p.Steps {
		began := time.Now()
		s := Step{Do: step.Do, Name: step.Name, Shows: []profile.Sight{}}
		err := error(nil)
		if final { // a look has ended the session
			err = card.Authenticate(ctx, p.Keys.Final.Version, guard)
		}
		if err == nil {
			err = card.Do(ctx, step, job, guard)
		}
		s.MS = time.Since(began).Milliseconds()
		final = final || step.Do == profile.Keys
		if err == nil && profile.Writes(step.Do) {
			var next sam.Look
			if next, err = card.Look(ctx); err == nil {
				if s.Shows = seen(look, next, job); !slices.Equal(s.Shows, step.Shows) && len(s.Shows)+len(step.Shows) > 0 {
					s.Problem = fmt.Sprintf("profil menyebut %q terlihat sesudah langkah ini, yang terlihat %q", step.Shows, s.Shows)
				}
				look = next
			}
		}
		if err != nil {
			s.Problem = err.Error()
		}
		r.Steps = append(r.Steps, s)
		if err != nil {
			return fmt.Errorf("berhenti pada langkah %s", step.Title())
		}
	}
	if look.Judge(p, job) != sam.Finished {
		return errors.New("kartu tidak terlihat selesai sesudah langkah terakhir")
	}
	return nil
}

// newJob is content that no card of the office has.
func newJob(ctx context.Context, ring *keyring.Ring) (sam.Job, error) {
	secret, err := ring.NewSecret(ctx)
	if err != nil {
		return sam.Job{}, fmt.Errorf("HSM: %w", err)
	}
	text := func() string {
		b := make([]byte, 16)
		_, _ = rand.Read(b) // never fails
		return strings.ToUpper(hex.EncodeToString(b))
	}
	marker := text()
	return sam.Job{Marker: marker, PCID: text(), Manifest: "UJI-" + marker[:8], Secret: secret}, nil
}

// seen is what a step changed of what can be seen, in the order of profiles.
func seen(before, after sam.Look, job sam.Job) []profile.Sight {
	shows := []profile.Sight{}
	for _, one := range []struct {
		sight profile.Sight
		yes   bool
	}{
		{profile.MarkerSeen, before.Marker != after.Marker && after.Marker == job.Marker},
		{profile.PCIDSeen, before.PCID != after.PCID && after.PCID == job.PCID},
		{profile.ManifestSeen, before.Manifest != after.Manifest && after.Manifest == job.Manifest},
		{profile.KeyVersionSeen, !slices.Equal(before.Keys, after.Keys)},
		{profile.LifeCycleSeen, before.LifeCycle != after.LifeCycle || before.State != after.State},
	} {
		if one.yes {
			shows = append(shows, one.sight)
		}
	}
	return shows
}

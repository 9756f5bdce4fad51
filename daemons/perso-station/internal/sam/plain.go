package sam

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
)

// sights are what a card without a secure channel can show, in the order of reading.
var sights = []profile.Sight{profile.MarkerSeen, profile.PCIDSeen, profile.ManifestSeen, profile.LifeCycleSeen}

// read reads the sights of a card without a secure channel. A place that is full of
// its blank byte, or that the card says is not there, shows nothing.
func (c *Card) read(ctx context.Context, l *Look) error {
	for _, sight := range sights {
		reading, told := c.profile.Read[sight]
		if !told {
			continue
		}
		value, err := c.reading(ctx, reading)
		if err != nil {
			return err
		}
		text := strings.ToUpper(hex.EncodeToString(value))
		switch sight {
		case profile.MarkerSeen:
			l.Marker = text
		case profile.PCIDSeen:
			l.PCID = text
		case profile.ManifestSeen:
			l.Manifest = string(bytes.TrimRight(value, "\x00"))
		case profile.LifeCycleSeen:
			l.State = text
		}
	}
	return nil
}

func (c *Card) reading(ctx context.Context, r profile.Reading) ([]byte, error) {
	command, err := globalplatform.ParseCommand(r.APDU)
	if err != nil {
		return nil, err
	}
	command.Name = "READ"
	answer, err := globalplatform.Plain(c.t).Send(ctx, command)
	if globalplatform.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var blank byte
	if len(r.Blank) > 0 {
		blank = r.Blank[0]
	}
	if bytes.Count(answer.Data, []byte{blank}) == len(answer.Data) {
		return nil, nil
	}
	return answer.Data, nil
}

// judgePlain compares a look with a job on a card without a secure channel, and says
// at which step the writing goes on. What is on the card must be a beginning of the
// job: the steps are in one order. Steps that show nothing were done if a later one
// shows; behind the last that shows they may have been, and only those that do no
// harm when done twice can be taken up.
func (l Look) judgePlain(p *profile.Profile, job Job) (v Verdict, from int) {
	ours := func(have, want string) bool { return have == "" || have == want }
	if !ours(l.Marker, job.Marker) || !ours(l.PCID, job.PCID) || !ours(l.Manifest, job.Manifest) {
		return Foreign, 0
	}
	if l.Marker == "" {
		if l.Fresh(p) {
			return Partial, 0
		}
		return Foreign, 0
	}
	reached := l.reached(p)
	if l.State != "" && reached < 0 {
		return Foreign, 0
	}
	last := -1 // the last writing step
	ended := false
	for i, act := range p.Steps {
		if !profile.Writes(act.Do) {
			continue
		}
		last = i
		if len(act.Shows) == 0 {
			continue
		}
		n := 0
		for _, sight := range act.Shows {
			if l.shows(sight, i, reached) {
				n++
			}
		}
		switch {
		case n == len(act.Shows) && !ended:
			from = i + 1
		case n > 0: // half of a step, or one after a gap
			return Foreign, 0
		default:
			ended = true
		}
	}
	if from > last {
		return Finished, from
	}
	for _, act := range p.Steps[from:] {
		if !profile.Writes(act.Do) {
			continue
		}
		if len(act.Shows) > 0 {
			break
		}
		if !act.Again {
			return Foreign, 0 // it may have been done, and must not be twice
		}
	}
	return Partial, from
}

// reached is the last step that leaves the life cycle as the card has it; -1 for none.
func (l Look) reached(p *profile.Profile) int {
	reached := -1
	for i, act := range p.Steps {
		if len(act.Leaves) > 0 && strings.EqualFold(hex.EncodeToString(act.Leaves), l.State) {
			reached = i
		}
	}
	return reached
}

// shows tells whether a sight of a step is there.
func (l Look) shows(sight profile.Sight, step, reached int) bool {
	switch sight {
	case profile.MarkerSeen:
		return l.Marker != ""
	case profile.PCIDSeen:
		return l.PCID != ""
	case profile.ManifestSeen:
		return l.Manifest != ""
	case profile.LifeCycleSeen:
		return reached >= step
	}
	return false
}

// plainly does one step of a profile without a secure channel, one time.
func (c *Card) plainly(ctx context.Context, act profile.Act, job Job) error {
	switch act.Do {
	case profile.Send:
		return c.send(ctx, act, job)
	case profile.ReadBack:
		return c.compare(ctx, job)
	case profile.Confirm:
		l := Look{plain: true}
		if err := c.read(ctx, &l); err != nil {
			return err
		}
		if verdict, _ := l.judgePlain(c.profile, job); verdict != Finished {
			return fmt.Errorf("%w: life cycle %s", ErrMismatch, l.State)
		}
		return nil
	}
	return fmt.Errorf("sam: unknown step %q", act.Do)
}

// Fits says whether what is the card's own fits in the places that the profile has for
// it; nothing is sent. The secret need not be drawn yet.
func (c *Card) Fits(job Job) error {
	for _, act := range c.profile.Steps {
		if act.Do != profile.Send {
			continue
		}
		_, err := act.Fill(profile.Filling{Marker: make([]byte, 16), PCID: make([]byte, 16), Secret: make([]byte, c.profile.SecretBytes), Manifest: job.Manifest})
		if err != nil {
			return &StepError{Act: act, Err: err}
		}
	}
	return nil
}

// send sends the command of a step with the card's content in it. Status words other
// than those that the step expects are a *globalplatform.StatusError.
func (c *Card) send(ctx context.Context, act profile.Act, job Job) error {
	with := profile.Filling{Secret: job.Secret, Manifest: job.Manifest}
	var err error
	if with.Marker, err = hex.DecodeString(job.Marker); err == nil {
		with.PCID, err = hex.DecodeString(job.PCID)
	}
	if err != nil {
		return fmt.Errorf("sam: numbers of the card: %w", err)
	}
	raw, err := act.Fill(with)
	if err != nil {
		return err
	}
	defer clear(raw)
	command, err := globalplatform.ParseCommand(raw)
	if err != nil {
		return err
	}
	defer clear(command.Data)
	command.Name = act.Name
	r, err := globalplatform.Exchange(ctx, c.t, command)
	if err != nil {
		return err
	}
	if !act.Done(uint16(r.SW)) {
		return &globalplatform.StatusError{SW: r.SW, Command: act.Name}
	}
	return nil
}

// compare compares what is readable with the job.
func (c *Card) compare(ctx context.Context, job Job) error {
	l := Look{plain: true}
	if err := c.read(ctx, &l); err != nil {
		return err
	}
	for _, one := range []struct {
		sight      profile.Sight
		have, want string
	}{{profile.MarkerSeen, l.Marker, job.Marker}, {profile.PCIDSeen, l.PCID, job.PCID}, {profile.ManifestSeen, l.Manifest, job.Manifest}} {
		if _, told := c.profile.Read[one.sight]; told && one.have != one.want {
			return fmt.Errorf("%w: %s", ErrMismatch, one.sight)
		}
	}
	return nil
}

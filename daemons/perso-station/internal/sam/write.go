package sam

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
)

// ErrMismatch says that the card holds something else than was written to it.
var ErrMismatch = errors.New("sam: the card does not hold what was written")

// StepError says at which step a dialogue ended.
type StepError struct {
	Act profile.Act
	Err error
}

func (e *StepError) Error() string { return fmt.Sprintf("sam: step %s: %v", e.Act.Title(), e.Err) }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// Write does the profile's steps that are not on the card yet, as look shows
// it, and proves the result. before is called before each step that may change
// the card, after when the step is done; their errors end the dialogue with
// nothing sent in between. The first error ends it, as a *StepError.
func (c *Card) Write(ctx context.Context, job Job, look Look, g Guard, before, after func(profile.Act) error) error {
	done := look.done(c.profile, job)
	for i, act := range c.profile.Steps {
		if done(i) {
			continue
		}
		err := before(act)
		if err == nil {
			err = c.do(ctx, act, job, g)
		}
		if err == nil {
			err = after(act)
		}
		if err != nil {
			return &StepError{Act: act, Err: err}
		}
	}
	return nil
}

// done tells of each step, by its place, whether the card shows that it was done.
func (l Look) done(p *profile.Profile, job Job) func(i int) bool {
	if p.Plain() {
		_, from := l.judgePlain(p, job)
		return func(i int) bool { return i < from && profile.Writes(p.Steps[i].Do) }
	}
	final := l.Has(p.Keys.Final.Version)
	return func(i int) bool {
		step := p.Steps[i].Do
		return final && preliminary(step) || // PUT KEY comes after all of these
			step == profile.Marker && l.Marker == job.Marker
	}
}

// preliminary are the steps whose work is on a card that has its final keys.
func preliminary(s profile.Step) bool {
	switch s {
	case profile.Marker, profile.Initialize, profile.Numbers, profile.Secret, profile.Keys:
		return true
	}
	return false
}

// Prove checks a card that looks finished, and changes nothing on it: the final
// keys, the content, one OPEN SAM, the life cycle. before is called before each step;
// its error ends the dialogue with nothing sent in between. The first error ends it, as
// a *StepError.
func (c *Card) Prove(ctx context.Context, job Job, g Guard, before func(profile.Act) error) error {
	for _, step := range []profile.Step{profile.Authenticate, profile.ReadBack, profile.OpenSAM, profile.Confirm} {
		act := profile.Act{Do: step}
		if c.profile.Plain() && step == profile.Authenticate {
			continue
		}
		err := before(act)
		if err == nil {
			err = c.do(ctx, act, job, g)
		}
		if err != nil {
			return &StepError{Act: act, Err: err}
		}
	}
	return nil
}

// Opens checks by one OPEN SAM, without any key, that the card holds the job's
// PCID and CONF. With the marker and the life cycle SECURED that a look shows,
// which no card takes but in a session of the final keys, this proves a card that
// must not be authenticated any more. before as of Prove. An error is a *StepError.
func (c *Card) Opens(ctx context.Context, job Job, before func(profile.Act) error) error {
	c.Close()
	act := profile.Act{Do: profile.OpenSAM}
	err := c.choose(ctx)
	if err == nil {
		err = before(act)
	}
	if err == nil {
		err = c.openSAM(ctx, job)
	}
	if err != nil {
		return &StepError{Act: act, Err: err}
	}
	return nil
}

// Do does one step, as Write does it. It is for trials: Write alone keeps the order
// that lets a card's state be told.
func (c *Card) Do(ctx context.Context, act profile.Act, job Job, g Guard) error {
	return c.do(ctx, act, job, g)
}

// do does one step: what authenticates and OPEN SAM once, the rest as often as the
// card asks for and the profile allows.
func (c *Card) do(ctx context.Context, act profile.Act, job Job, g Guard) error {
	transport, final := c.profile.Keys.Transport.Version, c.profile.Keys.Final.Version
	if preliminary(act.Do) {
		if err := c.Authenticate(ctx, transport, g); err != nil {
			return err
		}
	}
	switch act.Do {
	case profile.Authenticate:
		return c.Authenticate(ctx, final, g)
	case profile.OpenSAM:
		return c.openSAM(ctx, job)
	}
	if c.session == nil && !c.profile.Plain() {
		return errNoSession
	}
	for tries := 0; ; tries++ {
		err := c.once(ctx, act, job)
		sw, answered := globalplatform.StatusOf(err)
		if err == nil || !answered || tries >= c.profile.Retries.Times {
			return err
		}
		switch c.profile.ClassOf(uint16(sw)) {
		case profile.Retry:
		case profile.Wait:
			if serr := clock.Sleep(ctx, c.clock, c.profile.Retries.Wait.Duration()); serr != nil {
				return err // the card has answered; nothing more was sent
			}
		default:
			return err
		}
	}
}

// once does one step one time.
func (c *Card) once(ctx context.Context, act profile.Act, job Job) error {
	if c.profile.Plain() {
		return c.plainly(ctx, act, job)
	}
	switch act.Do {
	case profile.Marker:
		return c.store(ctx, hexGroup{c.profile.Data.Marker, job.Marker})
	case profile.Initialize:
		_, err := globalplatform.SetStatus(ctx, c.session, globalplatform.Initialized)
		return err
	case profile.Numbers:
		return c.store(ctx, hexGroup{c.profile.Data.PCID, job.PCID},
			hexGroup{c.profile.Data.Manifest, hex.EncodeToString([]byte(job.Manifest))})
	case profile.Secret:
		return c.session.StoreData(ctx, globalplatform.DGI{ID: uint16(c.profile.Data.Secret), Value: job.Secret, Encrypt: true})
	case profile.Keys:
		return c.putKeys(ctx, c.profile.Keys.Transport.Version, c.profile.Keys.Final.Version)
	case profile.ReadBack:
		return c.readBack(ctx, job)
	case profile.Secure:
		_, err := globalplatform.SetStatus(ctx, c.session, globalplatform.Secured)
		return err
	case profile.Confirm:
		status, err := globalplatform.GetStatus(ctx, c.session)
		if err == nil && status.LifeCycle != globalplatform.Secured {
			err = fmt.Errorf("%w: life cycle %s", ErrMismatch, status.LifeCycle)
		}
		return err
	}
	return fmt.Errorf("sam: unknown step %q", act.Do)
}

type hexGroup struct {
	tag   profile.Tag
	value string
}

// store sends groups as one STORE DATA sequence from block 00.
func (c *Card) store(ctx context.Context, groups ...hexGroup) error {
	out := make([]globalplatform.DGI, len(groups))
	for i, g := range groups {
		value, err := hex.DecodeString(g.value)
		if err != nil {
			return fmt.Errorf("sam: value of %04X: %w", uint16(g.tag), err)
		}
		out[i] = globalplatform.DGI{ID: uint16(g.tag), Value: value}
	}
	return c.session.StoreData(ctx, out...)
}

func (c *Card) putKeys(ctx context.Context, transport, final profile.Byte) error {
	keys, err := c.source.KeysFor(ctx, c.session.Card().Diversification, byte(final))
	if err != nil {
		return err
	}
	_, err = c.session.PutKeys(ctx, byte(transport), byte(final), keys)
	return err
}

// readBack compares what is readable over the secure channel with the job.
func (c *Card) readBack(ctx context.Context, job Job) error {
	marker, pcid, manifest, err := c.content(ctx, c.session)
	if err != nil {
		return err
	}
	keys, err := globalplatform.ReadKeyInformation(ctx, c.session)
	if err != nil {
		return err
	}
	versions := keys.Versions()
	switch {
	case marker != job.Marker:
		return fmt.Errorf("%w: marker", ErrMismatch)
	case pcid != job.PCID:
		return fmt.Errorf("%w: PCID", ErrMismatch)
	case manifest != job.Manifest:
		return fmt.Errorf("%w: manifest number", ErrMismatch)
	case len(versions) != 1 || versions[0] != byte(c.profile.Keys.Final.Version):
		return fmt.Errorf("%w: key versions", ErrMismatch)
	}
	return nil
}

// openSAM is the command a reader uses: (PCID xor CONF[0:16]) followed by
// (PCID xor CONF[16:32]) (card-perso.md A4). It is sent once; a card may count
// wrong ones.
func (c *Card) openSAM(ctx context.Context, job Job) error {
	pcid, err := hex.DecodeString(job.PCID)
	if err != nil || len(pcid) != 16 || len(job.Secret) != 32 {
		return errors.New("sam: PCID or CONF of another length")
	}
	data := make([]byte, 32)
	defer clear(data)
	subtle.XORBytes(data[:16], pcid, job.Secret[:16])
	subtle.XORBytes(data[16:], pcid, job.Secret[16:])
	_, err = globalplatform.Plain(c.t).Send(ctx, globalplatform.Command{Name: "OPEN SAM", INS: 0xF0, Data: data})
	return err
}

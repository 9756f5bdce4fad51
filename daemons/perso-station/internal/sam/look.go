// Package sam is the dialogue with one card in one insertion: say who you are,
// show what is on you, take this, prove it. It knows GlobalPlatform and the
// profile; it knows no database and decides nothing about the card's fate.
//
// Nothing here repeats a command whose outcome is unknown.
package sam

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/keyring"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/perso/numbers"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
)

// Look is what a card shows without any key. Nothing in it is secret.
type Look struct {
	ChipID    string
	Serial    string // printed serial, normalised; empty when the chip does not hold it
	LifeCycle globalplatform.LifeCycle
	Keys      []byte // key versions
	Marker    string // attempt id in hexadecimal, empty if none
	PCID      string // hexadecimal, empty if none
	Manifest  string
	State     string // of a card without GlobalPlatform: its life_cycle in hexadecimal, empty if none

	plain bool // of such a card
}

// Detail is the look as it is kept with a finding.
func (l Look) Detail() map[string]any {
	detail := map[string]any{
		"marker": told(l.Marker, len(l.Marker) == markerDigits), "pcid": l.PCID != "", "manifest_no": told(l.Manifest, numbers.IsManifest(l.Manifest)),
	}
	if l.plain {
		detail["life_cycle"] = told(l.State, len(l.State) <= longestState)
		return detail
	}
	detail["life_cycle"], detail["key_versions"] = l.LifeCycle.String(), strings.ToUpper(hex.EncodeToString(l.Keys))
	return detail
}

// Lengths of what a Look tells, in hexadecimal digits.
const (
	markerDigits = 32
	longestState = 32 // half of a CONF
)

// told is what a place on the card holds, as it can be kept. A place that was torn, or
// that a profile has read at the wrong address, holds anything: bytes that the database
// does not take, or a CONF. Of such only the length is told, and a fingerprint that says
// whether it is the same another time.
func told(held string, fits bool) string {
	if held == "" || fits {
		return held
	}
	sum := sha256.Sum256([]byte(held))
	return fmt.Sprintf("isi lain (%d karakter, sidik %X)", len(held), sum[:4])
}

// Job is what is to be on a card.
type Job struct {
	Marker   string // attempt id, 32 hexadecimal digits
	PCID     string // 32 hexadecimal digits
	Manifest string
	Secret   []byte // CONF
}

// Guard brackets an authentication: Before commits the failure counter, After
// clears it.
type Guard struct {
	Before, After func(ctx context.Context) error
}

// Card is the card in the slot.
type Card struct {
	t       globalplatform.Transmitter
	profile *profile.Profile
	ring    *keyring.Ring

	session *globalplatform.Session
	source  *keyring.Source
	version profile.Byte // of the keys the session was opened with
	clock   clock.Machine
}

// Open begins the dialogue. Nothing is sent.
func Open(t globalplatform.Transmitter, p *profile.Profile, ring *keyring.Ring) *Card {
	return &Card{t: t, profile: p, ring: ring, clock: clock.Real()}
}

// Close forgets the session and destroys its keys in the HSM.
func (c *Card) Close() {
	if c.session != nil {
		c.session.Close()
	}
	if c.source != nil {
		c.source.Close()
	}
	c.session, c.source, c.version = nil, nil, 0
}

// Look selects the application, if the profile names one, and reads everything that
// needs no key. It ends a session that is open.
func (c *Card) Look(ctx context.Context) (Look, error) {
	c.Close()
	l := Look{plain: c.profile.Plain()}
	if err := c.choose(ctx); err != nil {
		return l, err
	}
	plain := globalplatform.Plain(c.t)
	if err := c.identify(ctx, plain, &l); err != nil {
		return l, err
	}
	if c.profile.Plain() {
		return l, c.read(ctx, &l)
	}
	keys, err := globalplatform.ReadKeyInformation(ctx, plain)
	if err != nil {
		return l, err
	}
	l.Keys = keys.Versions()
	status, err := globalplatform.GetStatus(ctx, plain)
	if err != nil {
		return l, err
	}
	l.LifeCycle = status.LifeCycle
	marker, pcid, manifest, err := c.content(ctx, plain)
	l.Marker, l.PCID, l.Manifest = marker, pcid, manifest
	return l, err
}

// choose selects the profile's application.
func (c *Card) choose(ctx context.Context) error {
	if len(c.profile.Domain) == 0 {
		return nil
	}
	_, err := globalplatform.Select(ctx, c.t, c.profile.Domain)
	return err
}

// longestUID bounds what a chip may call itself, in bytes.
const longestUID = 32

// identify reads which chip it is and, where the chip holds it, the printed serial.
func (c *Card) identify(ctx context.Context, ch globalplatform.Channel, l *Look) error {
	if c.profile.Identify.Chip == profile.ByUID {
		r, err := ch.Send(ctx, globalplatform.Command{Name: "UID SAM", INS: 0xF7, Ne: globalplatform.MaxNe})
		if err != nil {
			return err
		}
		if len(r.Data) == 0 || len(r.Data) > longestUID {
			return fmt.Errorf("%w: UID of %d bytes", globalplatform.ErrMalformed, len(r.Data))
		}
		l.ChipID = strings.ToUpper(hex.EncodeToString(r.Data))
	} else {
		cplc, err := globalplatform.ReadCPLC(ctx, ch)
		if err != nil {
			return err
		}
		l.ChipID = cplc.ChipID()
	}
	if c.profile.Identify.Serial.From != profile.FromChip {
		return nil
	}
	cin, err := globalplatform.ReadCIN(ctx, ch)
	if err != nil {
		return err
	}
	if l.Serial = cardlist.Normalise(string(cin)); l.Serial == "" {
		return fmt.Errorf("%w: empty CIN", globalplatform.ErrMalformed)
	}
	return nil
}

// content reads the three readable data objects over a channel.
func (c *Card) content(ctx context.Context, ch globalplatform.Channel) (marker, pcid, manifest string, err error) {
	d := c.profile.Data
	var values [3][]byte
	for i, tag := range []profile.Tag{d.Marker, d.PCID, d.Manifest} {
		values[i], err = globalplatform.GetValue(ctx, ch, uint16(tag))
		if err != nil && !globalplatform.IsNotFound(err) {
			return "", "", "", err
		}
	}
	upper := func(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }
	return upper(values[0]), upper(values[1]), string(values[2]), nil
}

// Has tells whether a key version is on the card.
func (l Look) Has(version profile.Byte) bool {
	for _, v := range l.Keys {
		if v == byte(version) {
			return true
		}
	}
	return false
}

// Fresh tells whether the card is a blank of the profile: transport keys and
// nothing else.
func (l Look) Fresh(p *profile.Profile) bool {
	if p.Plain() {
		return l.Marker == "" && l.PCID == "" && l.Manifest == "" && l.State == ""
	}
	return l.LifeCycle == globalplatform.OPReady && l.Marker == "" && l.PCID == "" && l.Manifest == "" &&
		len(l.Keys) == 1 && l.Has(p.Keys.Transport.Version)
}

// Verdict is what a look says about a card that a job was begun on.
type Verdict int

// Verdicts.
const (
	Foreign  Verdict = iota // not as any prefix of the job leaves it
	Partial                 // a prefix of the job is on it; the rest can be written
	Finished                // everything that can be seen without keys is there
)

// Judge compares a look with a job. The steps are in one order, so what is on
// the card must be a beginning of it.
func (l Look) Judge(p *profile.Profile, job Job) Verdict {
	if p.Plain() {
		verdict, _ := l.judgePlain(p, job)
		return verdict
	}
	transport, final := l.Has(p.Keys.Transport.Version), l.Has(p.Keys.Final.Version)
	if len(l.Keys) != 1 || transport == final {
		return Foreign
	}
	ours := func(have, want string) bool { return have == "" || have == want }
	if !ours(l.Marker, job.Marker) || !ours(l.PCID, job.PCID) || !ours(l.Manifest, job.Manifest) {
		return Foreign
	}
	all := l.Marker != "" && l.PCID != "" && l.Manifest != ""
	switch {
	case l.Marker == "":
		// Not even the marker: the intent was committed and nothing came of it.
		if l.Fresh(p) {
			return Partial
		}
		return Foreign
	case final && all && l.LifeCycle == globalplatform.Secured:
		return Finished
	case final && all && l.LifeCycle == globalplatform.Initialized:
		return Partial
	case final:
		return Foreign // the keys go on after all content
	case l.LifeCycle == globalplatform.OPReady && l.PCID == "" && l.Manifest == "",
		l.LifeCycle == globalplatform.Initialized:
		return Partial
	}
	return Foreign
}

// Seen is what a look says about one step of a job.
type Seen string

// What a look says about a step.
const (
	Done    Seen = "done"     // what it leaves on the card is there, as the job has it
	NotDone Seen = "not_done" // nothing of it is there
	Differs Seen = "differs"  // something else is there
	Unseen  Seen = "unseen"   // nothing of it can be seen from outside
)

// StepSeen is what a look says about one of the steps.
type StepSeen struct {
	Step profile.Step `json:"step"`
	Seen Seen         `json:"seen"`
}

// Steps says of each step that changes the card what can be seen of it without keys, in
// their order: the evidence that Judge goes by.
func (l Look) Steps(p *profile.Profile, job Job) []StepSeen {
	is := func(have, want string) Seen {
		switch have {
		case "":
			return NotDone
		case want:
			return Done
		}
		return Differs
	}
	sights := map[profile.Sight]func(profile.Step) Seen{
		profile.MarkerSeen:   func(profile.Step) Seen { return is(l.Marker, job.Marker) },
		profile.PCIDSeen:     func(profile.Step) Seen { return is(l.PCID, job.PCID) },
		profile.ManifestSeen: func(profile.Step) Seen { return is(l.Manifest, job.Manifest) },
		profile.KeyVersionSeen: func(profile.Step) Seen {
			switch transport, final := l.Has(p.Keys.Transport.Version), l.Has(p.Keys.Final.Version); {
			case len(l.Keys) != 1 || transport == final:
				return Differs
			case final:
				return Done
			}
			return NotDone
		},
		profile.LifeCycleSeen: func(s profile.Step) Seen {
			switch {
			case l.LifeCycle == globalplatform.Secured, s == profile.Initialize && l.LifeCycle == globalplatform.Initialized:
				return Done
			case l.LifeCycle == globalplatform.OPReady, l.LifeCycle == globalplatform.Initialized:
				return NotDone
			}
			return Differs
		},
	}
	var all []StepSeen
	for _, step := range p.Steps {
		if !profile.Writes(step.Do) {
			continue
		}
		one := StepSeen{step.Do, Unseen}
		for i, sight := range step.Shows {
			if seen := sights[sight](step.Do); i == 0 || one.Seen == Done || seen == Differs {
				one.Seen = seen
			}
		}
		all = append(all, one)
	}
	return all
}

// Authenticate opens a session with the keys of a version, once. A session that
// is open with these keys is kept.
func (c *Card) Authenticate(ctx context.Context, version profile.Byte, g Guard) error {
	if c.session != nil && c.version == version {
		return nil
	}
	c.Close()
	// A session of other keys may be open on the card.
	if err := c.choose(ctx); err != nil {
		return err
	}
	source := c.ring.Source()
	session, err := globalplatform.OpenSession(ctx, c.t, source, globalplatform.OpenOptions{
		Protocol: protocols[c.profile.Channel.Protocol], Options: byte(c.profile.Channel.Option),
		KeyVersion: byte(version), SecurityLevel: globalplatform.SecurityLevel(c.profile.Channel.SecurityLevel), AID: c.profile.Domain,
		BeforeAuthenticate: func() error { return g.Before(ctx) },
		Authenticated:      func() error { return g.After(ctx) },
	})
	if err != nil {
		source.Close()
		return err
	}
	c.session, c.source, c.version = session, source, version
	return nil
}

// protocols are the channels of profiles that a station can speak.
var protocols = map[profile.Protocol]globalplatform.Protocol{profile.SCP02: globalplatform.SCP02, profile.SCP03: globalplatform.SCP03}

var errNoSession = errors.New("sam: no session")

// Package profile reads personalisation profiles: how cards of one kind are
// identified, written and checked, as data. The station's code knows the steps;
// the profile says which, in what order, over which channel and with which tags,
// and a KeyCode says with which keys. A profile is named by its hash in each
// attempt, so that it stays known how a card was written.
package profile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"dukcapil.go.id/sifilma/pkg/form"
)

// ErrProfile says that a profile cannot be used; the text names the place.
var ErrProfile = errors.New("profile")

// Step is one thing done to a card.
type Step string

// The steps a station can do.
const (
	Marker       Step = "marker"       // STORE DATA: the attempt's id
	Initialize   Step = "initialize"   // SET STATUS INITIALIZED
	Numbers      Step = "numbers"      // STORE DATA: PCID and manifest number
	Secret       Step = "secret"       // STORE DATA: CONF, under the DEK
	Keys         Step = "keys"         // PUT KEY: transport to final keyset
	Authenticate Step = "authenticate" // a session with the final keys
	ReadBack     Step = "read_back"    // what is readable equals what was written
	OpenSAM      Step = "open_sam"     // the functional check, once
	Secure       Step = "secure"       // SET STATUS SECURED
	Confirm      Step = "confirm"      // GET STATUS says SECURED
)

// Labels are the steps as people read them.
var Labels = map[Step]string{ //nolint:gosec // the words for a step are no secret
	Marker: "penandaan", Initialize: "inisialisasi", Numbers: "penulisan nomor",
	Secret: "penulisan CONF", Keys: "penggantian kunci", Authenticate: "autentikasi kunci baru",
	ReadBack: "pembacaan kembali", OpenSAM: "uji OPEN SAM", Secure: "penguncian akhir", Confirm: "pemeriksaan akhir",
}

// Send is one command of a profile without a secure channel.
const Send Step = "send"

// writing are the steps that change the card.
var writing = []Step{Marker, Initialize, Numbers, Secret, Keys, Secure, Send}

// order is the one order that lets a station tell afterwards how far it came:
// the marker before any content, the secret before the keys that prove it, and
// SECURED when all is proven.
var order = []Step{Marker, Initialize, Numbers, Secret, Keys, Authenticate, ReadBack, OpenSAM, Secure, Confirm}

// Class says what a status word means for the card.
type Class string

// Classes of status words. A word not listed refuses. No word makes a station repeat
// an authentication or OPEN SAM, whose failures the card may count.
const (
	Refuses Class = "refuses" // the card did not do it, and says so: it has failed
	Unknown Class = "unknown" // the card does not say whether it did it: it is in doubt
	Retry   Class = "retry"   // the card did not do it, and may if it is asked again at once
	Wait    Class = "wait"    // the same, after Retries.Wait
	Stop    Class = "stop"    // the card has failed, and the others of its lot would too
)

var classes = []Class{Refuses, Unknown, Retry, Wait, Stop}

// Protocol is how commands to the card are protected.
type Protocol string

// Protocols.
const (
	SCP02 Protocol = "scp02"
	SCP03 Protocol = "scp03"
	Open  Protocol = "none" // plain ISO 7816 commands
)

// Sight is something that reading the card without keys shows.
type Sight string

// Sights. What no sight shows can only be spoiled when it is in doubt.
const (
	MarkerSeen     Sight = "marker"
	PCIDSeen       Sight = "pcid"
	ManifestSeen   Sight = "manifest"
	KeyVersionSeen Sight = "key_version"
	LifeCycleSeen  Sight = "life_cycle" // of a card without GlobalPlatform: the bytes that say how far it is
)

// How a chip says which one it is, and where the serial printed on it is found.
const (
	ByCPLC      = "cplc"
	ByUID       = "uid_sam"    // the SAM's own command F7 (card-perso.md A5)
	FromChip    = "chip"       // the chip holds it too
	FromBarcode = "barcode"    // a scanner reads it off the card
	FromUID     = "uid_column" // the list says which chip has it
)

// ErrNotBuilt says that no station can work with the profile yet.
var ErrNotBuilt = errors.New("profile: this program does not know how to")

// Byte is a byte written as two hexadecimal digits.
type Byte byte

// Tag is a data object tag of two bytes, written as four hexadecimal digits.
type Tag uint16

// Word is a status word, written as four hexadecimal digits.
type Word uint16

// Hex is bytes written as hexadecimal digits.
type Hex []byte

// Span is a duration written as "10s".
type Span time.Duration

// Keyset names the keys of a card under a key version, and the master key in
// the HSM that they are diversified from.
type Keyset struct {
	Version Byte   `json:"version"`
	Master  string `json:"master"`
}

// KeyCode is a Kode Kunci: which keys a data set or application has (Permendagri
// 76/2020). The keys are in the HSM; here they are named.
type KeyCode struct {
	Code       string `json:"code"`
	Version    int    `json:"version"`
	Name       string `json:"name"`
	Transport  Keyset `json:"transport"` // on a blank
	Final      Keyset `json:"final"`     // on a finished card
	SecretWrap string `json:"secret_wrap"`
}

// Act is one step of a profile.
type Act struct {
	Do    Step    `json:"do"`
	Shows []Sight `json:"shows"` // afterwards, to whoever reads the card without keys
	// Of Send. APDU is the command in hexadecimal digits, with what is the card's own in
	// braces: {marker}, {pcid}, {secret} and {manifest:N}, the number as ASCII filled up
	// to N bytes with 00.
	Name   string `json:"name"`
	APDU   string `json:"apdu"`
	Expect []Word `json:"expect"` // status words that say it is done; 9000 if none
	Leaves Hex    `json:"leaves"` // what life_cycle reads as afterwards, where it is shown
	Again  bool   `json:"again"`  // it shows nothing, and does no harm when done twice
}

// Title is the step as the status and the journal name it.
func (a Act) Title() string {
	if a.Do == Send {
		return a.Name
	}
	return string(a.Do)
}

// Label is the step as people read it.
func (a Act) Label() string {
	if a.Do == Send {
		return "“" + a.Name + "”"
	}
	return Labels[a.Do]
}

// Reading is how a card without a secure channel tells a sight.
type Reading struct {
	APDU  Hex `json:"apdu"`
	Blank Hex `json:"blank"` // the byte that an untouched place is full of; 00 if not said
}

// Lot says how the cards of one work order are guarded together.
type Lot struct {
	// FirstCard has the lot wait after its first card, until a person approves it.
	FirstCard bool `json:"first_card"`
	// StopAfter is how many cards in a row may fail, or be in doubt by what they answer,
	// for one cause; then the lot stops.
	// usualStop if it is not said.
	StopAfter int `json:"stop_after"`
}

// usualStop is as pySim's users wish for (card-perso.md B4).
const usualStop = 3

// Retries bound what the classes Retry and Wait ask for.
type Retries struct {
	Times int  `json:"times"` // after the first try, of one step
	Wait  Span `json:"wait"`  // before each, for the class Wait
}

// Profile is a personalisation profile.
type Profile struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Note    string `json:"note"`
	Channel struct {
		Protocol      Protocol `json:"protocol"`
		Option        Byte     `json:"option"` // "i" of the protocol, where the card must have it
		SecurityLevel Byte     `json:"security_level"`
	} `json:"channel"`
	Domain Hex `json:"domain"` // AID of the issuer security domain
	Keys   struct {
		Bytes           int    `json:"bytes"`
		Diversification string `json:"diversification"`
		// Of the KeyCode; see Use.
		Transport  Keyset `json:"-"`
		Final      Keyset `json:"-"`
		SecretWrap string `json:"-"`
	} `json:"keys"`
	Identify struct {
		Chip   string `json:"chip"` // ByCPLC or ByUID
		Serial struct {
			From   string `json:"from"`   // FromChip, FromBarcode or FromUID
			Object string `json:"object"` // of the chip: cin
			Column string `json:"column"` // of the list that has the chip's id
		} `json:"serial"`
	} `json:"identify"`
	Data struct {
		Marker   Tag `json:"marker"`
		PCID     Tag `json:"pcid"`
		Secret   Tag `json:"secret"`
		Manifest Tag `json:"manifest"`
	} `json:"data"`
	SecretBytes int `json:"secret_bytes"`
	// Read says how each sight is read, of a card without a secure channel.
	Read     map[Sight]Reading `json:"read"`
	Steps    []Act             `json:"steps"`
	Timeouts struct {
		Command Span `json:"command"` // one APDU
		Card    Span `json:"card"`    // one card from claim to end
	} `json:"timeouts"`
	StatusWords map[Word]Class `json:"status_words"`
	Retries     Retries        `json:"retries"`
	Lot         Lot            `json:"lot"`

	// SHA256 is the hash of the file the profile was read from.
	SHA256 []byte `json:"-"`
}

// Parse reads a profile strictly. Its errors are ErrProfile, with form.Faults whose
// pointers are into the file where it is JSON of the right shape. The shape itself
// is described by the schema of pkg/perso/recipe.
func Parse(file []byte) (*Profile, error) {
	p := &Profile{}
	if err := strict(file, p); err != nil {
		return nil, err
	}
	if err := p.check().Err(); err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrProfile, p.Name, err)
	}
	if p.Lot.StopAfter == 0 {
		p.Lot.StopAfter = usualStop
	}
	sum := sha256.Sum256(file)
	p.SHA256 = sum[:]
	return p, nil
}

// ParseKeyCode reads a Kode Kunci, as Parse reads a profile.
func ParseKeyCode(file []byte) (KeyCode, error) {
	var k KeyCode
	if err := strict(file, &k); err != nil {
		return k, err
	}
	var f form.Faults
	for _, s := range []struct {
		at  string
		set Keyset
	}{{"/transport", k.Transport}, {"/final", k.Final}} {
		if s.set.Version < 1 || s.set.Version > 0x7F {
			f.Add(s.at+"/version", "out_of_range", "Versi kunci antara 01 dan 7F.")
		}
	}
	if k.Transport.Version == k.Final.Version {
		f.Add("/final/version", "same", "Kunci transport dan kunci akhir bernomor versi sama, sehingga kartu baru dan kartu jadi tidak dapat dibedakan.")
	}
	labels := []string{k.Transport.Master, k.Final.Master, k.SecretWrap}
	for i, at := range []string{"/transport/master", "/final/master", "/secret_wrap"} {
		if labels[i] == "" {
			f.Add(at, "missing", "Label kunci di HSM wajib diisi.")
		} else if slices.Contains(labels[:i], labels[i]) {
			f.Add(at, "same", "Label kunci ini sudah dipakai untuk keperluan lain.")
		}
	}
	if err := f.Err(); err != nil {
		return k, fmt.Errorf("%w: %w", ErrProfile, err)
	}
	return k, nil
}

func strict(file []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(file))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrProfile, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more than one document", ErrProfile)
	}
	return nil
}

// Use joins the profile to the keys it is to work with.
func (p *Profile) Use(k KeyCode) {
	p.Keys.Transport, p.Keys.Final, p.Keys.SecretWrap = k.Transport, k.Final, k.SecretWrap
}

// Runnable says whether this program's stations can work with the profile:
// ErrNotBuilt and what they cannot do.
func (p *Profile) Runnable() error {
	can := func(ok bool, what string) error {
		if ok {
			return nil
		}
		return fmt.Errorf("%w %s (profile %s)", ErrNotBuilt, what, p.Label())
	}
	return errors.Join(
		can(p.Channel.Protocol != SCP03 || p.Channel.Option == 0, "a demanded option of SCP03"),
		can(p.Channel.Protocol != SCP02 || p.Channel.Option == 0x15 || p.Channel.Option == 0x55, "SCP02 but with option 15 or 55"),
	)
}

// check is what the shape alone does not say: what keeps a card's state tellable.
func (p *Profile) check() form.Faults {
	var f form.Faults
	for i, s := range p.Steps {
		if at := fmt.Sprintf("/steps/%d/shows", i); len(s.Shows) > 0 && !slices.Contains(writing, s.Do) {
			f.Add(at, "not_used", "Langkah “%s” tidak mengubah kartu, jadi tidak ada yang terlihat sesudahnya. Hapus shows.", s.Do)
		}
	}
	if p.Timeouts.Command < Span(100*time.Millisecond) {
		f.Add("/timeouts/command", "out_of_range", "Batas waktu satu perintah sekurangnya 100ms.")
	}
	if p.Timeouts.Card <= p.Timeouts.Command {
		f.Add("/timeouts/card", "out_of_range", "Batas waktu satu kartu harus lebih lama daripada batas waktu satu perintah.")
	}
	for word, class := range p.StatusWords {
		if at := fmt.Sprintf("/status_words/%04X", uint16(word)); word == 0x9000 {
			f.Add(at, "not_used", "9000 selalu berarti berhasil dan tidak digolongkan.")
		} else if !slices.Contains(classes, class) {
			f.Add(at, "unknown_value", "Golongan status %04X harus salah satu dari %v.", uint16(word), classes)
		} else if (class == Retry || class == Wait) && p.Retries.Times == 0 {
			f.Add("/retries", "missing", "Golongan %s perlu batas pengulangan: retries.times.", class)
		} else if class == Wait && p.Retries.Wait == 0 {
			f.Add("/retries/wait", "missing", "Golongan wait perlu lama menunggu.")
		}
	}
	if p.Channel.Protocol == Open {
		p.checkPlain(&f)
		return f
	}
	level, schemes := Byte(0x33), []string{"kdf3", "an10922"}
	if p.Channel.Protocol == SCP02 { // which has no proof of answers with these options
		level, schemes = 0x03, []string{"emv", "visa2", "an10922"}
	}
	if p.Channel.SecurityLevel != level {
		f.Add("/channel/security_level", "out_of_range", "Tingkat pengamanan %s harus %02X: yang paling aman pada saluran itu.", p.Channel.Protocol, byte(level))
	}
	if !slices.Contains(schemes, p.Keys.Diversification) {
		f.Add("/keys/diversification", "differs", "Kunci %s diturunkan dengan salah satu dari %v.", p.Channel.Protocol, schemes)
	}
	if p.Channel.Protocol == SCP02 && p.Keys.Bytes != 16 || p.Channel.Protocol == SCP03 && p.Keys.Bytes == 24 && p.Keys.Diversification == "kdf3" {
		f.Add("/keys/bytes", "differs", "Panjang kunci ini tidak dipakai pada saluran dan penurunan itu.")
	}
	if !distinct(p.Data.Marker, p.Data.PCID, p.Data.Secret, p.Data.Manifest) {
		f.Add("/data", "same", "Diperlukan empat tag yang berbeda, dan bukan 0000.")
	}
	if !slices.Equal(p.order(), order) {
		f.Add("/steps", "wrong_order", "Langkah harus tepat: %v. Hanya urutan ini yang membuat keadaan kartu selalu dapat diketahui.", order)
		return f
	}
	for i, s := range p.Steps {
		if want, fixed := shown[s.Do]; fixed && !slices.Equal(s.Shows, want) {
			f.Add(fmt.Sprintf("/steps/%d/shows", i), "differs", "Sesudah langkah “%s” yang terlihat dari luar adalah %q.", s.Do, want)
		}
	}
	return f
}

// shown is what can be seen after each step of a GlobalPlatform card: the station
// judges a card in doubt by it.
var shown = map[Step][]Sight{
	Marker: {MarkerSeen}, Initialize: {LifeCycleSeen}, Numbers: {PCIDSeen, ManifestSeen}, Keys: {KeyVersionSeen}, Secure: {LifeCycleSeen},
	Secret: nil, // CONF is never read back; OPEN SAM proves it
}

func (p *Profile) order() []Step {
	var steps []Step
	for _, s := range p.Steps {
		steps = append(steps, s.Do)
	}
	return steps
}

func distinct(tags ...Tag) bool {
	seen := map[Tag]bool{0: true}
	for _, t := range tags {
		if seen[t] {
			return false
		}
		seen[t] = true
	}
	return true
}

// ClassOf is what a status word other than 9000 means.
func (p *Profile) ClassOf(word uint16) Class {
	if c, ok := p.StatusWords[Word(word)]; ok {
		return c
	}
	return Refuses
}

// Label names the profile and its version, as attempts keep it.
func (p *Profile) Label() string { return fmt.Sprintf("%s/%d", p.Name, p.Version) }

func number(text []byte, digits int) (uint64, error) {
	if len(text) != digits {
		return 0, fmt.Errorf("%q is not %d hexadecimal digits", text, digits)
	}
	return strconv.ParseUint(string(text), 16, 4*digits)
}

// UnmarshalText reads two hexadecimal digits.
func (b *Byte) UnmarshalText(text []byte) error {
	n, err := number(text, 2)
	*b = Byte(n)
	return err
}

// UnmarshalText reads four hexadecimal digits.
func (t *Tag) UnmarshalText(text []byte) error {
	n, err := number(text, 4)
	*t = Tag(n)
	return err
}

// UnmarshalText reads four hexadecimal digits.
func (w *Word) UnmarshalText(text []byte) error {
	n, err := number(text, 4)
	*w = Word(n)
	return err
}

// UnmarshalText reads hexadecimal digits.
func (h *Hex) UnmarshalText(text []byte) error {
	out, err := hex.DecodeString(string(text))
	*h = out
	return err
}

// UnmarshalText reads a duration.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = Span(d)
	return err
}

// Duration is the span as a time.Duration.
func (s Span) Duration() time.Duration { return time.Duration(s) }

// Writes says whether a step changes the card.
func Writes(s Step) bool { return slices.Contains(writing, s) }

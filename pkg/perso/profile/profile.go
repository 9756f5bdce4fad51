// Package profile reads personalisation profiles: how cards of one kind are
// identified, written and checked, as data. The station's code knows the steps;
// the profile says which, in what order, with which keys and tags. A profile is
// named by its hash in each attempt, so that it stays known how a card was
// written.
package profile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"
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

// order is the one order that lets a station tell afterwards how far it came:
// the marker before any content, the secret before the keys that prove it, and
// SECURED when all is proven.
var order = []Step{Marker, Initialize, Numbers, Secret, Keys, Authenticate, ReadBack, OpenSAM, Secure, Confirm}

// Class says what a status word means for the card.
type Class string

// Classes of status words. A word not listed refuses.
const (
	Refuses Class = "refuses" // the card did not do it, and says so
	Unknown Class = "unknown" // the card does not say whether it did it
)

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

// Profile is a personalisation profile.
type Profile struct {
	Name          string `json:"name"`
	Version       int    `json:"version"`
	Domain        Hex    `json:"domain"` // AID of the issuer security domain
	SecurityLevel Byte   `json:"security_level"`
	Keys          struct {
		Bytes           int    `json:"bytes"`
		Diversification string `json:"diversification"`
		Transport       Keyset `json:"transport"`
		Final           Keyset `json:"final"`
		SecretWrap      string `json:"secret_wrap"`
	} `json:"keys"`
	Identify struct {
		Chip   string `json:"chip"`
		Serial string `json:"serial"`
	} `json:"identify"`
	Data struct {
		Marker   Tag `json:"marker"`
		PCID     Tag `json:"pcid"`
		Secret   Tag `json:"secret"`
		Manifest Tag `json:"manifest"`
	} `json:"data"`
	SecretBytes int `json:"secret_bytes"`
	Steps       []struct {
		Do         Step `json:"do"`
		Observable bool `json:"observable"` // reading the card shows whether it was done
	} `json:"steps"`
	Timeouts struct {
		Command Span `json:"command"` // one APDU
		Card    Span `json:"card"`    // one card from claim to end
	} `json:"timeouts"`
	StatusWords map[Word]Class `json:"status_words"`

	// SHA256 is the hash of the file the profile was read from.
	SHA256 []byte `json:"-"`
}

// Parse reads a profile strictly: an unknown key or a missing part is an error.
func Parse(file []byte) (*Profile, error) {
	decoder := json.NewDecoder(bytes.NewReader(file))
	decoder.DisallowUnknownFields()
	p := &Profile{}
	if err := decoder.Decode(p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfile, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one document", ErrProfile)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(file)
	p.SHA256 = sum[:]
	return p, nil
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// Validate checks the profile against what a station can do and what keeps a
// card's state tellable.
func (p *Profile) Validate() error {
	check := func(ok bool, text string) error {
		if ok {
			return nil
		}
		return fmt.Errorf("%w %s: %s", ErrProfile, p.Name, text)
	}
	k := p.Keys
	d := p.Data
	return errors.Join(
		check(namePattern.MatchString(p.Name), "name is missing or not lower case letters, digits and hyphens"),
		check(p.Version > 0, "version is missing"),
		check(len(p.Domain) >= 5 && len(p.Domain) <= 16, "domain is not an AID of 5 to 16 bytes"),
		check(p.SecurityLevel == 0x33, "security_level is not 33: content must be encrypted and answers proven"),
		check(k.Bytes == 16 || k.Bytes == 32, "keys.bytes is neither 16 nor 32"),
		check(k.Diversification == "kdf3", "keys.diversification is not kdf3"),
		check(k.Transport.Version >= 1 && k.Transport.Version <= 0x7F && k.Transport.Master != "", "keys.transport"),
		check(k.Final.Version >= 1 && k.Final.Version <= 0x7F && k.Final.Master != "", "keys.final"),
		check(k.Transport.Version != k.Final.Version, "transport and final keys have one version: nothing tells them apart"),
		check(k.Transport.Master != k.Final.Master, "transport and final keys have one master"),
		check(k.SecretWrap != "", "keys.secret_wrap is missing"),
		check(p.Identify.Chip == "cplc", "identify.chip is not cplc"),
		check(p.Identify.Serial == "cin", "identify.serial is not cin"),
		check(distinct(d.Marker, d.PCID, d.Secret, d.Manifest), "data: four different tags are needed"),
		check(p.SecretBytes == 32, "secret_bytes is not 32"),
		check(slices.Equal(p.order(), order), fmt.Sprintf("steps are not %v", order)),
		check(p.Timeouts.Command >= Span(100*time.Millisecond), "timeouts.command is under 100ms"),
		check(p.Timeouts.Card > p.Timeouts.Command, "timeouts.card is not longer than timeouts.command"),
		p.checkWords(),
	)
}

func (p *Profile) order() []Step {
	var steps []Step
	for _, s := range p.Steps {
		steps = append(steps, s.Do)
	}
	return steps
}

func (p *Profile) checkWords() error {
	for word, class := range p.StatusWords {
		if word == 0x9000 || class != Refuses && class != Unknown {
			return fmt.Errorf("%w %s: status_words %04X: %q", ErrProfile, p.Name, uint16(word), class)
		}
	}
	return nil
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

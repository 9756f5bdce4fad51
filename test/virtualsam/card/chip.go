// Package card is one virtual "SAM KTP-el" chip seen from its contacts: APDU
// in, answer out. It is GlobalPlatform with SCP02 or SCP03 on the card's side, plus
// the two SAM commands a reader uses (OPEN SAM, UID SAM) and settable faults.
//
// It shares no code with the host: a mistake made on both sides would
// otherwise prove itself right. It is held to published vectors instead.
package card

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Life cycle states of the card (GPC 2.3.1 table 11-6).
const (
	OpReady     byte = 0x01
	Initialized byte = 0x07
	Secured     byte = 0x0F
)

// Limits of the chip's two try counters.
const (
	// MaxAuthFailures failed mutual authentications in a row lock the chip.
	MaxAuthFailures = 10
	// MaxOpenFailures wrong OPEN SAM in a row block that command.
	MaxOpenFailures = 3
)

var defaultAID = []byte{0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00}

// Keys is one keyset, three keys of one length: AES keys of 16, 24 or 32 bytes for
// SCP03, DES keys of 16 bytes for SCP02.
type Keys struct{ ENC, MAC, DEK []byte }

func (k Keys) check(protocol byte) error {
	n := len(k.ENC)
	if n != 16 && (protocol == SCP02 || n != 24 && n != 32) {
		return errors.New("card: an AES key has 16, 24 or 32 bytes, a DES key 16")
	}
	if len(k.MAC) != n || len(k.DEK) != n {
		return errors.New("card: the three keys differ in length")
	}
	return nil
}

// String hides the values, so that a keyset cannot slip into a log.
func (k Keys) String() string { return fmt.Sprintf("three keys of %d bits", len(k.ENC)*8) }

// GoString hides the values from %#v as String does from %v.
func (k Keys) GoString() string { return k.String() }

// Config describes a chip as it leaves its maker.
type Config struct {
	ChipID    []byte // 10 bytes: fabricator, fabrication date, serial, batch of CPLC
	Serial    string // printed on the card's body, answered as CIN; not the chip id
	KDD       []byte // 10 bytes of key diversification data; the chip id when empty
	KVN       byte   // key version number of the first keyset, 01 to 7F
	Keys      Keys
	Sequence  uint32 // sequence counter before the first INITIALIZE UPDATE
	LifeCycle byte   // OpReady when 0
	Marker    []byte // 16 bytes, of a chip somebody wrote before; may be empty
	AID       []byte // issuer security domain; A000000151000000 when empty
	Protocol  byte   // SCP03 when 0; Plain for a chip without GlobalPlatform, keys and key version
	I         byte   // parameter i; 70 when 0, 15 for SCP02
	// Random is where an SCP02 chip without pseudo-random challenge draws it from;
	// crypto/rand when nil.
	Random io.Reader
}

// SeedChipID makes a chip id out of any text: different texts, different chips.
func SeedChipID(seed string) []byte {
	sum := sha256.Sum256([]byte("chip " + seed))
	return append([]byte{0x4B, 0x54, 0x60, 0x15}, sum[:6]...)
}

// Recorder takes the chip's own account of what was written to it. An entry is
// recorded before the memory changes; when it cannot be, nothing is written.
type Recorder interface {
	Record(Entry) error
}

// Entry is one write, refused write or failed authentication. It never holds a
// secret: of keys the check values, of CONF the length.
type Entry struct {
	Chip   string   `json:"chip"` // chip id, hex
	Serial string   `json:"serial"`
	Step   Step     `json:"step"`
	Digest string   `json:"digest,omitempty"` // SHA-256 of the value, hex
	Length int      `json:"length,omitempty"` // bytes of the value
	Value  string   `json:"value,omitempty"`  // life cycle state, key version or count, hex
	KCV    []string `json:"kcv,omitempty"`
	SW     string   `json:"sw"`
}

// Chip is one chip: what it holds outlives power-off and removal, its session does not.
type Chip struct {
	mu  sync.Mutex
	log Recorder

	id, kdd, aid []byte
	serial       string
	protocol, i  byte
	random       io.Reader

	keys         Keys
	kvn          byte
	generation   int // counts replaced keysets
	sequence     uint32
	life         byte
	authFailures int
	openFailures int
	marker       []byte
	pcid         []byte
	conf         []byte
	manifest     []byte

	fault Fault
	fate  Fate          // set by a fault while a command runs
	dead  bool          // mute until the next reset
	held  chan struct{} // closed by Release; nil while no command is held

	session channel
	aborted bool
	store   storeBuffer

	commands int       // since it was made
	first    time.Time // of them

	secrets  []Secret
	sessions int
}

// New makes a chip.
func New(cfg Config, log Recorder) (*Chip, error) {
	c := &Chip{
		log: log, id: cfg.ChipID, serial: cfg.Serial, kdd: cfg.KDD, aid: cfg.AID,
		protocol: cfg.Protocol, i: cfg.I, random: cfg.Random,
		keys: cfg.Keys, kvn: cfg.KVN, sequence: cfg.Sequence, life: cfg.LifeCycle, marker: cfg.Marker,
	}
	if c.kdd == nil {
		c.kdd = c.id
	}
	if c.aid == nil {
		c.aid = defaultAID
	}
	if c.protocol == 0 {
		c.protocol = SCP03
	}
	if c.i == 0 {
		c.i = map[byte]byte{SCP02: 0x15, SCP03: 0x70}[c.protocol]
	}
	if c.random == nil {
		c.random = rand.Reader
	}
	if c.life == 0 && c.protocol != Plain {
		c.life = OpReady
	}
	switch {
	case log == nil:
		return nil, errors.New("card: no recorder")
	case c.protocol == Plain:
		if len(c.id) != 10 || c.life != 0 && c.life != 1 {
			return nil, errors.New("card: a plain chip has an id of 10 bytes and is open or closed")
		}
		return c, nil
	case c.protocol != SCP02 && c.protocol != SCP03:
		return nil, errors.New("card: the protocol is SCP02 or SCP03")
	case c.protocol == SCP02 && c.i&^(optionICV|optionRMAC|optionPseudo) != optionAlways:
		return nil, errors.New("card: SCP02 options that this chip cannot have")
	case len(c.id) != 10 || len(c.kdd) != 10:
		return nil, errors.New("card: chip id and key diversification data have 10 bytes")
	case c.serial == "" || len(c.serial) > 32:
		return nil, errors.New("card: the printed serial has 1 to 32 characters")
	case c.kvn < 0x01 || c.kvn > 0x7F:
		return nil, errors.New("card: the key version is 01 to 7F")
	case c.life != OpReady && c.life != Initialized && c.life != Secured:
		return nil, errors.New("card: the life cycle is 01, 07 or 0F")
	case len(c.marker) != 0 && len(c.marker) != 16:
		return nil, errors.New("card: the marker has 16 bytes")
	}
	c.keepKeys(0, c.keys)
	return c, c.keys.check(c.protocol)
}

// ATR answers the historical bytes "SAMKTPELV1"; T=1 is the only protocol.
func (c *Chip) ATR() []byte {
	atr := []byte{0x3B, 0x8A, 0x81, 0x31, 0xFE, 0x45}
	atr = append(atr, "SAMKTPELV1"...)
	var check byte
	for _, b := range atr[1:] {
		check ^= b
	}
	return append(atr, check)
}

// Reset is power-off, reset and removal: the session is gone, the memory stays.
func (c *Chip) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endSession()
	c.dead = false
}

func (c *Chip) endSession() {
	c.session, c.aborted, c.store = nil, false, storeBuffer{}
}

func (c *Chip) abortSession() {
	c.endSession()
	c.aborted = true
}

// State is what can be shown of a chip: no key, no PCID, no CONF.
type State struct {
	ChipID       string `json:"chip_id"`
	Serial       string `json:"serial"`
	LifeCycle    string `json:"life_cycle"` // "01", "07", "0F"
	Marker       string `json:"marker,omitempty"`
	Manifest     string `json:"manifest,omitempty"`
	HasPCID      bool   `json:"has_pcid"`
	HasCONF      bool   `json:"has_conf"`
	KVN          string `json:"kvn"`
	AuthFailures int    `json:"auth_failures"`
	OpenFailures int    `json:"open_failures"`
	Held         bool   `json:"held,omitempty"` // a command waits for Release
	Fault        Fault  `json:"fault"`
}

// Heard tells how many commands the chip has had since it was made, and when the first
// came.
func (c *Chip) Heard() (commands int, first time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commands, c.first
}

// State reads the chip's state from behind its contacts.
func (c *Chip) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return State{
		ChipID: upperHex(c.id), Serial: c.serial, LifeCycle: upperHex([]byte{c.life}),
		Marker: upperHex(c.marker), Manifest: string(c.manifest),
		HasPCID: c.pcid != nil, HasCONF: c.conf != nil, KVN: upperHex([]byte{c.kvn}),
		AuthFailures: c.authFailures, OpenFailures: c.openFailures, Held: c.held != nil, Fault: c.fault,
	}
}

// Answer is what the contacts show after a command.
type Answer struct {
	Data  []byte // response with status word; empty unless Fate is Answered
	Fate  Fate
	Delay time.Duration // to wait before the answer
}

// Transmit runs one command.
func (c *Chip) Transmit(raw []byte) Answer { return c.TransmitWithin(context.Background(), raw) }

// TransmitWithin runs one command of a connection that ends with ctx: then a command
// that is held goes no further, and its answer is Vanish.
func (c *Chip) TransmitWithin(ctx context.Context, raw []byte) Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return Answer{Fate: Mute}
	}
	if c.commands++; c.commands == 1 {
		c.first = time.Now()
	}
	hold, executed := strike(&c.fault.HoldAtAPDU), c.fault.Executed
	fate, before := c.fault.count()
	delay := time.Duration(c.fault.SlowMS) * time.Millisecond
	if hold && !executed && !c.hold(ctx) {
		return Answer{Fate: Vanish}
	}
	var data []byte
	if !before {
		c.fate = Answered
		data = c.process(raw)
		if fate == Answered {
			fate = c.fate
		}
	}
	if hold && executed && !c.hold(ctx) {
		return Answer{Fate: Vanish}
	}
	if fate != Answered {
		c.dead = fate == Mute
		return Answer{Fate: fate, Delay: delay}
	}
	return Answer{Data: data, Delay: delay}
}

// hold waits, with the chip unlocked, until it is released or ctx ends; false for the
// latter.
func (c *Chip) hold(ctx context.Context) (released bool) {
	held := make(chan struct{})
	c.held = held
	c.mu.Unlock()
	select {
	case <-held:
	case <-ctx.Done():
	}
	c.mu.Lock()
	if c.held == held { // nobody released it
		c.held = nil
		return false
	}
	return true
}

// Release lets the command that is held go on; false if there is none.
func (c *Chip) Release() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		return false
	}
	close(c.held)
	c.held = nil
	return true
}

func (c *Chip) record(e Entry, sw uint16) error {
	e.Chip, e.Serial, e.SW = upperHex(c.id), c.serial, upperHex(statusBytes(sw))
	return c.log.Record(e)
}

// write is the one gate every change of content passes: faults first, then the
// record, then the memory.
func (c *Chip) write(e Entry, apply func()) uint16 {
	sw := c.fault.refuse(e.Step)
	if fate, before := c.fault.atStep(e.Step); fate != Answered {
		c.fate = fate
		if before {
			return swRecordUnavailable // nobody hears it
		}
	}
	if err := c.record(e, sw); err != nil {
		return swRecordUnavailable
	}
	if sw == swOK {
		apply()
	}
	return sw
}

// refused records a write that broke a rule of the card.
func (c *Chip) refused(e Entry, sw uint16) uint16 {
	if err := c.record(e, sw); err != nil {
		return swRecordUnavailable
	}
	return sw
}

func digest(value []byte) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:])
}

func upperHex(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }

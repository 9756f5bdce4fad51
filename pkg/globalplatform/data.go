package globalplatform

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
)

// Tags of GET DATA (GPC 2.3.1 11.3 and H).
const (
	TagIIN             = 0x0042
	TagCIN             = 0x0045
	TagCardData        = 0x0066
	TagCapabilities    = 0x0067
	TagSequenceCounter = 0x00C1
	TagKeyInformation  = 0x00E0
	TagCPLC            = 0x9F7F
)

// GetData is GET DATA of one tag (GPC 2.3.1 11.3): the answer as the card gives
// it. IsNotFound(err) tells that the card has no such object.
func GetData(ctx context.Context, ch Channel, tag uint16) ([]byte, error) {
	r, err := ch.Send(ctx, Command{
		Name: fmt.Sprintf("GET DATA %04X", tag), CLA: 0x80, INS: 0xCA, P1: byte(tag >> 8), P2: byte(tag), Ne: MaxNe,
	})
	if err != nil {
		return nil, err
	}
	return r.Data, nil
}

// GetValue is GetData without the object's own tag and length, which must be
// those asked for.
func GetValue(ctx context.Context, ch Channel, tag uint16) ([]byte, error) {
	data, err := GetData(ctx, ch, tag)
	if err != nil {
		return nil, err
	}
	value, err := findTLV(data, uint32(tag))
	if err != nil {
		return nil, fmt.Errorf("GET DATA %04X: %w", tag, err)
	}
	return value, nil
}

// CPLC is the card production life cycle data (GPC 2.3.1 H.6 names the tag; the
// layout is that of Visa's GlobalPlatform guide): 42 bytes, all public.
type CPLC struct {
	Fabricator        [2]byte // IC fabricator
	ICType            [2]byte
	OSID              [2]byte
	OSDate            [2]byte
	OSLevel           [2]byte
	FabricationDate   [2]byte // last digit of the year, day of the year (BCD)
	Serial            [4]byte // IC serial number
	Batch             [2]byte // IC batch
	ModuleFabricator  [2]byte
	PackagingDate     [2]byte
	ICCManufacturer   [2]byte
	EmbeddingDate     [2]byte
	PrePersonalizer   [2]byte
	PrePersoDate      [2]byte
	PrePersoEquipment [4]byte
	Personalizer      [2]byte
	PersoDate         [2]byte
	PersoEquipment    [4]byte
}

const cplcLength = 42

// ParseCPLC reads the 42 bytes, with or without tag 9F7F before them.
func ParseCPLC(data []byte) (CPLC, error) {
	if len(data) != cplcLength {
		value, err := findTLV(data, TagCPLC)
		if err != nil {
			return CPLC{}, fmt.Errorf("CPLC: %w", err)
		}
		data = value
	}
	if len(data) != cplcLength {
		return CPLC{}, fmt.Errorf("CPLC: %w: %d bytes", ErrMalformed, len(data))
	}
	var c CPLC
	for _, field := range c.fields() {
		data = data[copy(field, data):]
	}
	return c, nil
}

func (c *CPLC) fields() [][]byte {
	return [][]byte{
		c.Fabricator[:], c.ICType[:], c.OSID[:], c.OSDate[:], c.OSLevel[:], c.FabricationDate[:], c.Serial[:], c.Batch[:],
		c.ModuleFabricator[:], c.PackagingDate[:], c.ICCManufacturer[:], c.EmbeddingDate[:],
		c.PrePersonalizer[:], c.PrePersoDate[:], c.PrePersoEquipment[:], c.Personalizer[:], c.PersoDate[:], c.PersoEquipment[:],
	}
}

// Bytes is the 42 bytes without a tag.
func (c CPLC) Bytes() []byte {
	out := make([]byte, 0, cplcLength)
	for _, field := range c.fields() {
		out = append(out, field...)
	}
	return out
}

// ChipID identifies the chip for its whole life: IC fabricator, fabrication
// date, serial number and batch, 20 upper-case hexadecimal digits.
func (c CPLC) ChipID() string {
	id := append(append([]byte(nil), c.Fabricator[:]...), c.FabricationDate[:]...)
	id = append(append(id, c.Serial[:]...), c.Batch[:]...)
	return strings.ToUpper(hex.EncodeToString(id))
}

// ReadCPLC is GET DATA 9F7F. Some cards have none: IsNotFound(err).
func ReadCPLC(ctx context.Context, ch Channel) (CPLC, error) {
	data, err := GetData(ctx, ch, TagCPLC)
	if err != nil {
		return CPLC{}, err
	}
	return ParseCPLC(data)
}

// ReadCIN is the card image number (GET DATA 45, GPC 2.3.1 H.4).
func ReadCIN(ctx context.Context, ch Channel) ([]byte, error) { return GetValue(ctx, ch, TagCIN) }

// ReadSequenceCounter is the secure channel sequence counter of the security
// domain (GET DATA C1, GPC 2.3.1 11.3.3.1; Amendment D 5.4): the card counts it
// up with each session it opens, from 0 after a keyset is replaced.
func ReadSequenceCounter(ctx context.Context, ch Channel) (uint32, error) {
	value, err := GetValue(ctx, ch, TagSequenceCounter)
	if err != nil {
		return 0, err
	}
	if len(value) < 1 || len(value) > 4 {
		return 0, fmt.Errorf("sequence counter: %w: %d bytes", ErrMalformed, len(value))
	}
	var n uint32
	for _, b := range value {
		n = n<<8 | uint32(b)
	}
	return n, nil
}

// Key types (GPC 2.3.1 table 11-16).
const (
	KeyTypeDES byte = 0x80
	KeyTypeAES byte = 0x88
)

// KeyComponent is the type of one component of a key and its length in bytes.
type KeyComponent struct {
	Type   byte
	Length int
}

// KeyInfo describes one key of a security domain.
type KeyInfo struct {
	ID         byte
	Version    byte
	Components []KeyComponent
}

// KeyInformation is the key information template (GPC 2.3.1 11.3.3.1).
type KeyInformation []KeyInfo

// ParseKeyInformation reads the template E0 with its C0 objects, in the basic
// and the extended form (first component type FF).
func ParseKeyInformation(data []byte) (KeyInformation, error) {
	template, err := findTLV(data, TagKeyInformation)
	if err != nil {
		return nil, fmt.Errorf("key information: %w", err)
	}
	objects, err := ParseTLV(template)
	if err != nil {
		return nil, fmt.Errorf("key information: %w", err)
	}
	var out KeyInformation
	for _, o := range objects {
		if o.Tag != 0xC0 {
			continue
		}
		if len(o.Value) < 4 {
			return nil, fmt.Errorf("key information: %w: entry of %d bytes", ErrMalformed, len(o.Value))
		}
		info := KeyInfo{ID: o.Value[0], Version: o.Value[1]}
		if info.Components, err = keyComponents(o.Value[2:]); err != nil {
			return nil, err
		}
		out = append(out, info)
	}
	return out, nil
}

func keyComponents(data []byte) ([]KeyComponent, error) {
	var out []KeyComponent
	if data[0] != 0xFF {
		if len(data)%2 != 0 {
			return nil, fmt.Errorf("key information: %w: odd component list", ErrMalformed)
		}
		for ; len(data) > 0; data = data[2:] {
			out = append(out, KeyComponent{Type: data[0], Length: int(data[1])})
		}
		return out, nil
	}
	// Extended form: FF, type and two length bytes per component, then usage
	// and access of the key, which nobody here needs.
	for len(data) >= 4 && data[0] == 0xFF {
		out = append(out, KeyComponent{Type: data[1], Length: int(data[2])<<8 | int(data[3])})
		data = data[4:]
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("key information: %w: extended component", ErrMalformed)
	}
	return out, nil
}

// Has tells whether the security domain holds a key of this version.
func (k KeyInformation) Has(version byte) bool {
	for _, one := range k {
		if one.Version == version {
			return true
		}
	}
	return false
}

// Versions lists the key versions, each once, in the card's order.
func (k KeyInformation) Versions() []byte {
	var out []byte
	seen := map[byte]bool{}
	for _, one := range k {
		if !seen[one.Version] {
			seen[one.Version] = true
			out = append(out, one.Version)
		}
	}
	return out
}

// ReadKeyInformation is GET DATA E0.
func ReadKeyInformation(ctx context.Context, ch Channel) (KeyInformation, error) {
	data, err := GetData(ctx, ch, TagKeyInformation)
	if err != nil {
		return nil, err
	}
	return ParseKeyInformation(data)
}

package globalplatform

import (
	"context"
	"fmt"
)

// DGI is one data grouping of STORE DATA (GPC 2.3.1 11.11.2.3, EMV CPS 1.1):
// two bytes of identifier, one length byte or FF and two, value.
type DGI struct {
	ID    uint16
	Value []byte
	// Encrypt sends the value under the session's data encryption key and says so
	// in P1. The value is then whole blocks, 16 bytes for SCP03, 8 for SCP02.
	Encrypt bool
}

// DataObject is one BER-TLV object of STORE DATA (GPC 2.3.1 11.11.2.3).
type DataObject struct {
	Tag     uint32 // of one to three bytes, as it is written
	Value   []byte
	Encrypt bool // as in DGI
}

// P1 of STORE DATA (GPC 2.3.1 table 11-89).
const (
	storeLast      = 0x80
	storeEncrypted = 0x60
	storeDGI       = 0x08
	storeTLV       = 0x10
)

// StoreData sends data groupings to the selected security domain, or to the
// application that INSTALL [for personalization] named, as one sequence (GPC
// 2.3.1 11.11): each grouping starts a block of its own, long ones go over
// several, P2 counts the blocks from 00, the last one is marked. After any error
// the card has forgotten the sequence: send it again whole, from block 00, in a
// session that still lives. A sequence is not atomic.
func (s *Session) StoreData(ctx context.Context, groups ...DGI) error {
	items := make([]storeItem, len(groups))
	for i, g := range groups {
		items[i] = storeItem{fmt.Sprintf("%04X", g.ID), g.Value, g.Encrypt, func(value []byte) ([]byte, error) { return encodeDGI(g.ID, value) }}
	}
	return s.store(ctx, storeDGI, items)
}

// StoreObjects is StoreData in BER-TLV format.
func (s *Session) StoreObjects(ctx context.Context, objects ...DataObject) error {
	items := make([]storeItem, len(objects))
	for i, o := range objects {
		items[i] = storeItem{fmt.Sprintf("%X", o.Tag), o.Value, o.Encrypt, func(value []byte) ([]byte, error) { return encodeTLV(o.Tag, value) }}
	}
	return s.store(ctx, storeTLV, items)
}

// storeItem is one grouping or object.
type storeItem struct {
	name    string
	value   []byte
	encrypt bool
	encode  func(value []byte) ([]byte, error)
}

func (s *Session) store(ctx context.Context, format byte, items []storeItem) error {
	const name = "STORE DATA"
	var blocks []Command
	for _, item := range items {
		value, p1 := item.value, format
		if item.encrypt {
			dek, err := s.channel.dataKey(ctx)
			if err == nil {
				value, err = dek.EncryptData(ctx, item.value)
			}
			if err != nil {
				return fmt.Errorf("%s %s: %w", name, item.name, err)
			}
			p1 |= storeEncrypted
		}
		encoded, err := item.encode(value)
		if err != nil {
			return fmt.Errorf("%s %s: %w", name, item.name, err)
		}
		for len(encoded) > 0 {
			n := min(len(encoded), s.MaxData())
			blocks = append(blocks, Command{
				Name: fmt.Sprintf("%s %s block %d", name, item.name, len(blocks)),
				CLA:  0x80, INS: 0xE2, P1: p1, P2: byte(len(blocks)), Data: encoded[:n],
			})
			encoded = encoded[n:]
		}
	}
	if len(blocks) == 0 || len(blocks) > 256 {
		return fmt.Errorf("%s: %w: %d blocks", name, ErrCommand, len(blocks))
	}
	blocks[len(blocks)-1].P1 |= storeLast
	for _, b := range blocks {
		if _, err := s.Send(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func encodeDGI(id uint16, value []byte) ([]byte, error) {
	if len(value) > 0xFFFF {
		return nil, fmt.Errorf("%w: DGI of %d bytes", ErrCommand, len(value))
	}
	out := []byte{byte(id >> 8), byte(id)}
	if len(value) < 0xFF {
		out = append(out, byte(len(value)))
	} else {
		out = append(out, 0xFF, byte(len(value)>>8), byte(len(value)))
	}
	return append(out, value...), nil
}

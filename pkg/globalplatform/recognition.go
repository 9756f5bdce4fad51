package globalplatform

import (
	"bytes"
	"context"
	"fmt"
)

// ChannelOption is a secure channel protocol that a security domain offers, with
// its parameter i.
type ChannelOption struct {
	Protocol Protocol
	I        byte
}

// gpOID is {iso(1) member-body(2) country-USA(840) globalPlatform(114283)}.
var gpOID = []byte{0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B}

// ParseCardData reads the secure channels out of the answer to GET DATA 66: the
// objects 64 of the card recognition data, an object identifier {globalPlatform
// 4 scp i} (GPC 2.3.1 H.2).
func ParseCardData(data []byte) ([]ChannelOption, error) {
	template, err := findTLV(data, TagCardData)
	if err != nil {
		return nil, fmt.Errorf("card data: %w", err)
	}
	recognition, err := findTLV(template, 0x73)
	if err != nil {
		return nil, fmt.Errorf("card data: %w", err)
	}
	objects, err := ParseTLV(recognition)
	if err != nil {
		return nil, fmt.Errorf("card data: %w", err)
	}
	var out []ChannelOption
	for _, o := range objects {
		if o.Tag != 0x64 {
			continue
		}
		identifiers, err := ParseTLV(o.Value)
		if err != nil {
			return nil, fmt.Errorf("card data: %w", err)
		}
		for _, id := range identifiers {
			arcs, ok := bytes.CutPrefix(id.Value, append(bytes.Clone(gpOID), 0x04))
			if id.Tag != 0x06 || !ok || len(arcs) != 2 || arcs[0] > 0x7F || arcs[1] > 0x7F {
				continue // an arc of two bytes is no i
			}
			out = append(out, ChannelOption{Protocol: Protocol(arcs[0]), I: arcs[1]})
		}
	}
	return out, nil
}

// ReadSecureChannels is GET DATA 66 of the selected security domain. It is the
// only place where an SCP02 card tells its options.
func ReadSecureChannels(ctx context.Context, ch Channel) ([]ChannelOption, error) {
	data, err := GetData(ctx, ch, TagCardData)
	if err != nil {
		return nil, err
	}
	return ParseCardData(data)
}

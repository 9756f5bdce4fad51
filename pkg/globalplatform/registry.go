package globalplatform

import (
	"context"
	"fmt"
)

// Scope says which entries of the card's registry GET STATUS lists (GPC 2.3.1
// table 11-33).
type Scope byte

// Scopes.
const (
	ScopeIssuerDomain Scope = 0x80
	ScopeApplications Scope = 0x40 // applications and other security domains
	ScopeLoadFiles    Scope = 0x20
)

// Entry is one entry of the card's registry (GPC 2.3.1 tables 11-36 and 11-37).
type Entry struct {
	AID       []byte
	LifeCycle byte   // coded by table 11-3, 11-4, 11-5 or 11-6, as the entry is
	Rights    []byte // privileges, 3 bytes; none for load files
	Domain    []byte // AID of the associated security domain, where the card tells
}

// ParseEntries reads the answer of GET STATUS in TLV form: any number of
// templates E3.
func ParseEntries(data []byte) ([]Entry, error) {
	templates, err := ParseTLV(data)
	if err != nil {
		return nil, fmt.Errorf("GET STATUS: %w", err)
	}
	var out []Entry
	for _, one := range templates {
		if one.Tag != 0xE3 {
			continue
		}
		objects, err := ParseTLV(one.Value)
		if err != nil {
			return nil, fmt.Errorf("GET STATUS: %w", err)
		}
		var e Entry
		state := false
		for _, o := range objects {
			value := append([]byte(nil), o.Value...)
			switch o.Tag {
			case 0x4F:
				e.AID = value
			case 0x9F70:
				if state = len(value) > 0; state {
					e.LifeCycle = value[0]
				}
			case 0xC5:
				e.Rights = value
			case 0xCC:
				e.Domain = value
			}
		}
		if e.AID == nil || !state {
			return nil, fmt.Errorf("GET STATUS: %w: entry without AID or life cycle", ErrMalformed)
		}
		out = append(out, e)
	}
	return out, nil
}

// maxOccurrences bounds GET STATUS: a card that always has more entries must
// not hold the line for ever.
const maxOccurrences = 64

// ListEntries is GET STATUS of a whole scope (GPC 2.3.1 11.4). It goes on while
// the card says that more data is available (6310). Nothing found is no error.
func ListEntries(ctx context.Context, ch Channel, scope Scope) ([]Entry, error) {
	var out []Entry
	command := Command{Name: "GET STATUS", CLA: 0x80, INS: 0xF2, P1: byte(scope), P2: 0x02, Data: []byte{0x4F, 0x00}, Ne: MaxNe}
	for range maxOccurrences {
		r, err := ch.Send(ctx, command)
		sw, refused := StatusOf(err)
		if err != nil && !refused {
			return nil, err
		}
		switch {
		case sw == SWNotFound:
			return out, nil
		case refused && sw != SWMoreData:
			return nil, err
		}
		entries, err := ParseEntries(r.Data)
		if err != nil {
			return nil, err
		}
		out = append(out, entries...)
		if sw != SWMoreData {
			return out, nil
		}
		command.P2 = 0x03 // next occurrences
	}
	return nil, fmt.Errorf("GET STATUS: %w: the list does not end", ErrMalformed)
}

// SetEntryStatus is SET STATUS of an application or a security domain other than
// the issuer's (GPC 2.3.1 11.10, tables 11-4 and 11-5). A card refuses the state
// the entry is in already; ListEntries tells it.
func SetEntryStatus(ctx context.Context, ch Channel, aid []byte, state byte) error {
	if err := checkAID(aid); err != nil {
		return fmt.Errorf("SET STATUS: %w", err)
	}
	_, err := ch.Send(ctx, Command{Name: "SET STATUS", CLA: 0x80, INS: 0xF0, P1: byte(ScopeApplications), P2: state, Data: aid})
	return err
}

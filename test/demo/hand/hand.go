// Package hand is the hand beside the perso station: it has the blank cards, as
// the chip maker delivered them, puts them into the readers, and takes them out
// when the station says so.
package hand

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/demo/people"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/control"
	"dukcapil.go.id/sifilma/test/virtualsam/control/client"
)

// Keys of the blank cards, as the station's profile gp-scp03-sam expects them.
const (
	transportMaster = "sam-transport-master"
	transportKVN    = "30"
	keyBytes        = 16
)

// ChipMaker makes blank cards: its cards carry transport keys, each its own,
// derived from the master key in the token.
type ChipMaker struct {
	sam    *client.Client
	master *pkcs11.Key
	made   map[string]bool
}

// NewChipMaker uses the master key in the token.
func NewChipMaker(ctx context.Context, sam *client.Client, token *pkcs11.Token) (*ChipMaker, error) {
	master, err := token.FindKey(ctx, transportMaster)
	if err != nil {
		return nil, fmt.Errorf("kunci pembuat chip: %w", err)
	}
	_, chips, err := sam.List(ctx)
	if err != nil {
		return nil, err
	}
	m := &ChipMaker{sam: sam, master: master, made: map[string]bool{}}
	for _, c := range chips {
		m.made[c.ID] = true
	}
	return m, nil
}

// Make makes the card with a printed serial, unless it exists. The keys are in
// memory for this card only.
func (m *ChipMaker) Make(ctx context.Context, serial string, fault card.Fault) error {
	return m.make(ctx, serial, serial, fault)
}

// Twin makes another card with the same printed serial, a misprint, and a chip
// of its own, under another name.
func (m *ChipMaker) Twin(ctx context.Context, name, serial string) error {
	return m.make(ctx, name, serial, card.Fault{})
}

func (m *ChipMaker) make(ctx context.Context, name, serial string, fault card.Fault) error {
	if m.made[name] {
		return nil
	}
	kdd := card.SeedChipID(name)
	var keys [3]control.Secret
	for i, purpose := range []byte{pkcs11.PurposeENC, pkcs11.PurposeMAC, pkcs11.PurposeDEK} {
		key, err := m.master.KDF3(ctx, purpose, kdd, keyBytes)
		if err != nil {
			return fmt.Errorf("kunci kartu %s: %w", name, err)
		}
		keys[i] = control.Secret(hex.EncodeToString(key))
		pkcs11.Zeroise(key)
	}
	err := m.sam.Make(ctx, control.Make{ID: name, Serial: serial, Seed: name, KVN: transportKVN,
		ENC: keys[0], MAC: keys[1], DEK: keys[2], Fault: fault})
	if err != nil {
		return err
	}
	m.made[name] = true
	return nil
}

// Made says whether the card with this serial is there: cards live in the memory
// of the virtual readers' program and are gone with it.
func (m *ChipMaker) Made(serial string) bool { return m.made[serial] }

// Slot is a reader as the station shows it.
type Slot struct {
	Name        string `json:"name"`
	State       string `json:"state"`
	Instruction string `json:"instruction"`
	Serial      string `json:"serial"`
	Outcome     string `json:"outcome"`
	Reason      string `json:"reason"`
	CardID      string `json:"card_id"`
	Step        string `json:"step"`
}

// May says whether the station asks for the card to be taken out.
func (s Slot) May() bool { return s.Instruction == "ambil" || s.Instruction == "sisihkan" }

// InDoubt says whether people must decide on the card in the slot.
func (s Slot) InDoubt() bool { return s.Outcome == "in_doubt" }

// Slots are the readers as the station with this address shows them.
func Slots(ctx context.Context, station *people.Client) ([]Slot, error) {
	var status struct {
		Values struct {
			Readers []Slot `json:"readers"`
		} `json:"values"`
	}
	_, err := station.Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/status"}, &status)
	return status.Values.Readers, err
}

// Package control steers the virtual chips and slots from outside: a unix
// socket, one JSON request a line, one JSON response a line.
package control

import (
	"time"

	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

// Op is the operation of a request.
type Op string

// Operations.
const (
	OpMake    Op = "make"    // a new chip out of Chip
	OpInsert  Op = "insert"  // chip ID into Reader; WaitMS > 0 waits until the driver has spoken to it
	OpRemove  Op = "remove"  // whatever is in Reader
	OpList    Op = "list"    // readers and chips
	OpLog     Op = "log"     // write log lines of this run from number Since on
	OpFault   Op = "fault"   // replaces the fault of chip ID
	OpRelease Op = "release" // lets the command go on that chip ID holds

	// OpSecrets tells what nobody may write down of chip ID, for those who look whether
	// anybody did.
	OpSecrets Op = "secrets"
)

// Request is one line to the server.
type Request struct {
	Op     Op          `json:"op"`
	ID     string      `json:"id,omitempty"`
	Reader string      `json:"reader,omitempty"` // name, or index from 0
	WaitMS int         `json:"wait_ms,omitempty"`
	Since  int         `json:"since,omitempty"`
	Chip   *Make       `json:"chip,omitempty"`
	Fault  *card.Fault `json:"fault,omitempty"`
}

// Make describes a chip to make. Bytes are hex.
type Make struct {
	ID        string     `json:"id"`                   // handle on this socket
	Serial    string     `json:"serial"`               // printed on the body
	Seed      string     `json:"seed,omitempty"`       // gives the chip id; the handle when both are empty
	ChipID    string     `json:"chip_id,omitempty"`    // 10 bytes, instead of a seed; may repeat, for a cloned chip
	KDD       string     `json:"kdd,omitempty"`        // 10 bytes; the chip id when empty
	KVN       string     `json:"kvn"`                  // one byte
	Protocol  string     `json:"protocol,omitempty"`   // 02 or 03, FF for a plain chip; 03 when empty
	I         string     `json:"i,omitempty"`          // parameter i of the protocol; 15 or 70 when empty
	ENC       Secret     `json:"enc"`                  // key
	MAC       Secret     `json:"mac"`                  // key
	DEK       Secret     `json:"dek"`                  // key
	LifeCycle string     `json:"life_cycle,omitempty"` // 01 when empty
	Marker    string     `json:"marker,omitempty"`     // 16 bytes, of a chip written before
	Sequence  uint32     `json:"sequence,omitempty"`
	Fault     card.Fault `json:"fault"`
}

// Secret is a hex value that prints as stars.
type Secret string

// String hides the value.
func (Secret) String() string { return "***" }

// GoString hides the value.
func (Secret) GoString() string { return "***" }

// Reader is one slot as list shows it.
type Reader struct {
	Index   int    `json:"index"`
	Name    string `json:"name"`
	Address string `json:"address"`
	ID      string `json:"id,omitempty"` // handle of the chip inside
	Seen    bool   `json:"seen"`         // the driver has spoken to it
}

// Chip is one chip as list shows it.
type Chip struct {
	ID     string `json:"id"`
	Reader string `json:"reader,omitempty"` // name of the slot it is in
	card.State
	// Commands are those since it was made, the first of which came at First.
	Commands int       `json:"commands"`
	First    time.Time `json:"first,omitzero"`
}

// ChipSecret is a value that a chip was told, or has made with a terminal.
type ChipSecret struct {
	Name  string `json:"name"`
	Value Secret `json:"value"`
}

// Response is one line from the server.
type Response struct {
	OK      bool            `json:"ok"`
	Error   string          `json:"error,omitempty"`
	Readers []Reader        `json:"readers,omitempty"`
	Chips   []Chip          `json:"chips,omitempty"`
	Lines   []writelog.Line `json:"lines,omitempty"`
	Secrets []ChipSecret    `json:"secrets,omitempty"`
}

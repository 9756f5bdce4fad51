package globalplatform

import (
	"errors"
	"fmt"
)

// SW is a status word (GPC 2.3.1 table 11-10, ISO 7816-4 5.6).
type SW uint16

// Status words that callers decide on.
const (
	OK                     SW = 0x9000
	SWWrongHostCryptogram  SW = 0x6300 // EXTERNAL AUTHENTICATE, GPC 2.3.1 tables D-8 and E-12
	SWMoreData             SW = 0x6310 // GET STATUS, GPC 2.3.1 table 11-38
	SWMemoryFailure        SW = 0x6581
	SWWrongLength          SW = 0x6700
	SWSecurityNotSatisfied SW = 0x6982
	SWAuthBlocked          SW = 0x6983
	SWConditions           SW = 0x6985
	SWWrongData            SW = 0x6A80
	SWFileNotFound         SW = 0x6A82
	SWNotEnoughMemory      SW = 0x6A84
	SWWrongP1P2            SW = 0x6A86
	SWNotFound             SW = 0x6A88
	SWWrongINS             SW = 0x6D00
	SWWrongCLA             SW = 0x6E00
)

var swText = map[SW]string{
	OK:                     "ok",
	SWWrongHostCryptogram:  "host cryptogram refused",
	SWMoreData:             "more data available",
	SWMemoryFailure:        "memory failure",
	SWWrongLength:          "wrong length",
	SWSecurityNotSatisfied: "security status not satisfied",
	SWAuthBlocked:          "authentication method blocked",
	SWConditions:           "conditions of use not satisfied",
	SWWrongData:            "wrong data",
	SWFileNotFound:         "application not found",
	SWNotEnoughMemory:      "not enough memory",
	SWWrongP1P2:            "wrong P1 P2",
	SWNotFound:             "referenced data not found",
	SWWrongINS:             "instruction not supported",
	SWWrongCLA:             "class not supported",
}

// SW1 is the first status byte.
func (s SW) SW1() byte { return byte(s >> 8) }

// SW2 is the second status byte.
func (s SW) SW2() byte { return byte(s) }

// Warning tells whether the command was processed with a warning (62xx, 63xx).
func (s SW) Warning() bool { return s.SW1() == 0x62 || s.SW1() == 0x63 }

// String is the four hexadecimal digits, with the meaning when it is known.
func (s SW) String() string {
	if text, ok := swText[s]; ok {
		return fmt.Sprintf("%04X (%s)", uint16(s), text)
	}
	return fmt.Sprintf("%04X", uint16(s))
}

// StatusError is a clear refusal: the card answered, and not with 9000.
type StatusError struct {
	SW      SW
	Command string // name of the command, never its data
}

// Error names the command and the status word.
func (e *StatusError) Error() string { return e.Command + ": status " + e.SW.String() }

// StatusOf is the status word inside err; ok is false when err carries none.
func StatusOf(err error) (sw SW, ok bool) {
	var s *StatusError
	if errors.As(err, &s) {
		return s.SW, true
	}
	return 0, false
}

// IsNotFound tells that the card answered "no such data object": 6A88, or one
// of the answers that cards without the object give in its place (6A82, 6A86,
// 6D00, 6E00 are seen in the field for GET DATA CPLC).
func IsNotFound(err error) bool {
	sw, ok := StatusOf(err)
	if !ok {
		return false
	}
	switch sw {
	case SWNotFound, SWFileNotFound, SWWrongP1P2, SWWrongINS, SWWrongCLA:
		return true
	}
	return false
}

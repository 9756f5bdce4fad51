package smartcard

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// maxFrame bounds one frame: the longest extended APDU in base64, with room
// for the other fields.
const maxFrame = 128 << 10

// Commands from the supervisor to the child.
const (
	opConnect    = "connect"
	opTransmit   = "transmit"
	opDisconnect = "disconnect"
)

// class is the child's verdict on a command.
type class string

const (
	classOK         class = "ok"
	classUnknown    class = "outcome_unknown"
	classCardGone   class = "card_gone"
	classReaderGone class = "reader_gone"
	classBusy       class = "busy"
	classUnusable   class = "unusable"
	classRefused    class = "refused"
)

// err gives the typed error of a verdict, nil for ok. A class this side does
// not know is treated as the worst one.
func (c class) err(detail string) error {
	var base error
	switch c {
	case classOK:
		return nil
	case classCardGone:
		base = ErrCardGone
	case classReaderGone:
		base = ErrReaderGone
	case classBusy:
		base = ErrReaderBusy
	case classUnusable:
		base = ErrCardUnusable
	case classRefused:
		base = ErrBadCommand
	default:
		base = ErrOutcomeUnknown
	}
	if detail == "" {
		return base
	}
	return fmt.Errorf("%w: %s", base, detail)
}

// message is one frame in either direction: a command (Op), its answer (Class,
// same ID) or an event (Event, no ID).
type message struct {
	ID       uint64 `json:"id,omitempty"`
	Op       string `json:"op,omitempty"`
	Class    class  `json:"class,omitempty"`
	Event    Kind   `json:"event,omitempty"`
	Session  uint64 `json:"session,omitempty"`
	Seq      uint64 `json:"seq,omitempty"`
	Reset    bool   `json:"reset,omitempty"`
	Data     []byte `json:"data,omitempty"`
	ATR      []byte `json:"atr,omitempty"`
	Mute     bool   `json:"mute,omitempty"`
	Protocol uint32 `json:"protocol,omitempty"`
	Detail   string `json:"detail,omitempty"`
}

// frameWriter writes frames from several goroutines. After a failed write the
// stream is out of step, so every later write fails too. Frames are wiped when they are
// written: a command may carry a card's secret.
type frameWriter struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

func (f *frameWriter) write(m message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	defer clear(body)
	if len(body) > maxFrame {
		return fmt.Errorf("smartcard: frame of %d bytes is too long", len(body))
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	frame = append(frame, body...)
	defer clear(frame)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	_, f.err = f.w.Write(frame)
	return f.err
}

// readFrame reads one frame. It returns io.EOF only between frames.
func readFrame(r io.Reader) (message, error) {
	var m message
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return m, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxFrame {
		return m, fmt.Errorf("smartcard: frame length %d is out of range", n)
	}
	body := make([]byte, n)
	defer clear(body)
	if _, err := io.ReadFull(r, body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return m, err
	}
	if err := json.Unmarshal(body, &m); err != nil {
		// The cause is left out on purpose: it may quote the frame.
		return message{}, errors.New("smartcard: frame is not valid")
	}
	return m, nil
}

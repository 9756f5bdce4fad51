package scanner

import (
	"encoding/binary"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// openKeyboard opens the input device of a scanner that plays a keyboard, and keeps
// its keys from everybody else: they would be typed into whatever the machine shows.
func openKeyboard(path string) (io.ReadCloser, error) {
	device, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if control, err := device.SyscallConn(); err == nil {
		// What is no input device, as in tests, cannot be kept and need not be.
		_ = control.Control(func(fd uintptr) { _ = unix.IoctlSetInt(int(fd), eviocGrab, 1) })
	}
	return &keyboard{device: device}, nil
}

// Of linux/input.h and linux/input-event-codes.h.
const (
	eviocGrab = 0x40044590 // _IOW('E', 0x90, int)
	eventSize = 24         // struct input_event with a time of 64 bits: 16 bytes of time, type, code, value
	evKey     = 1
	leftShift = 42
	rightShft = 54
	pressed   = 1
	released  = 0
)

// keys are what the key codes stand for on the keyboard that scanners play, plain and
// with shift.
var keys = func() map[uint16][2]byte {
	out := map[uint16][2]byte{28: {'\n', '\n'}, 96: {'\n', '\n'}, 57: {' ', ' '}}
	for first, row := range map[uint16][2]string{
		2: {"1234567890-=", "!@#$%^&*()_+"}, 16: {"qwertyuiop[]", "QWERTYUIOP{}"}, 30: {"asdfghjkl;'", `ASDFGHJKL:"`}, 44: {"zxcvbnm,./", "ZXCVBNM<>?"},
	} {
		for i := range len(row[0]) {
			out[first+uint16(i)] = [2]byte{row[0][i], row[1][i]}
		}
	}
	return out
}()

// keyboard turns key events into the text they type.
type keyboard struct {
	device *os.File
	shift  bool
}

// Read implements io.Reader: one typed character at a time.
func (k *keyboard) Read(p []byte) (int, error) {
	var event [eventSize]byte
	for {
		if _, err := io.ReadFull(k.device, event[:]); err != nil {
			return 0, err
		}
		kind, code := binary.NativeEndian.Uint16(event[16:]), binary.NativeEndian.Uint16(event[18:])
		value := binary.NativeEndian.Uint32(event[20:])
		switch {
		case kind != evKey:
		case code == leftShift || code == rightShft:
			k.shift = value != released
		case value == pressed && len(p) > 0:
			typed, ok := keys[code]
			if !ok {
				continue
			}
			p[0] = typed[0]
			if k.shift {
				p[0] = typed[1]
			}
			return 1, nil
		}
	}
}

// Close implements io.Closer.
func (k *keyboard) Close() error { return k.device.Close() }

package vpcd

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// Control bytes, in a frame of length 1 (vsmartcard vpcd.h).
const (
	controlOff   = 0x00
	controlOn    = 0x01
	controlReset = 0x02
	controlATR   = 0x04
)

// serve answers the driver until the connection ends. heard: the driver spoke
// at all; torn: a fault tore the card out.
func (s *Slot) serve(ctx context.Context, conn net.Conn, in *insertion) (heard, torn bool) {
	defer func() { _ = conn.Close() }()
	ctx, over := context.WithCancel(ctx)
	defer over()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	frames := make(chan []byte)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer over()
	reading.Go(func() {
		defer over() // a command that is held notices that nobody waits any more
		s.listen(ctx, conn, frames)
	})
	for {
		var body []byte
		select {
		case body = <-frames:
		case <-ctx.Done():
			return heard, false
		}
		heard = true
		s.markSeen(in, true)
		var answer []byte
		switch {
		case len(body) == 0:
		case len(body) > 1:
			result := in.chip.TransmitWithin(ctx, body)
			if result.Delay > 0 {
				pause(ctx, result.Delay)
			}
			if ctx.Err() != nil {
				return heard, false
			}
			// The driver gives an empty answer to its host when the card is gone, and
			// in no other way.
			if result.Fate == card.Vanish || result.Fate == card.Empty {
				return heard, true
			}
			answer = result.Data // empty when mute
		case body[0] == controlATR:
			answer = in.chip.ATR()
		case body[0] == controlOff, body[0] == controlOn, body[0] == controlReset:
			in.chip.Reset()
		}
		// A frame of length zero hangs the driver for good: say nothing instead.
		if len(answer) == 0 {
			continue
		}
		if err := writeFrame(conn, answer); err != nil {
			return heard, false
		}
	}
}

// listen passes on what the driver says until the connection ends, or ctx.
func (s *Slot) listen(ctx context.Context, conn net.Conn, frames chan<- []byte) {
	reader := acknowledging{conn}
	for {
		body, err := readFrame(reader)
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				s.log.Debug().Err(err).Msg("connection to the driver lost")
			}
			return
		}
		select {
		case frames <- body:
		case <-ctx.Done():
			return
		}
	}
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	return body, nil
}

func writeFrame(w io.Writer, body []byte) error {
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(body)), uint16(len(body)))
	_, err := w.Write(append(frame, body...))
	return err
}

// acknowledging arms TCP_QUICKACK around every read. The driver sends length
// and body apart; with Nagle on its side and a delayed acknowledgement on ours
// each APDU would cost 44 ms. The kernel disarms the option by itself.
type acknowledging struct{ net.Conn }

func (a acknowledging) Read(p []byte) (int, error) {
	a.arm()
	n, err := a.Conn.Read(p)
	a.arm()
	return n, err
}

func (a acknowledging) arm() {
	tcp, ok := a.Conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		// Only speed depends on it.
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
		})
	}
}

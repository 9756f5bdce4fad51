// Package scanner reads lines from the barcode scanners of a station: from a TCP
// address, a serial device, or a keyboard that the scanner plays. Each belongs to one
// reader; what it reads is the serial of a card for that reader.
package scanner

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/clock"
)

// Port is a scanner and the reader that it is for.
type Port struct {
	Reader string `yaml:"reader"` // whole name, as PC/SC has it
	// Port is tcp:HOST:PORT, keyboard:/dev/input/..., or the path of a serial device that
	// gives lines.
	Port string `yaml:"port"`
}

const (
	overTCP    = "tcp:"
	asKeyboard = "keyboard:"
)

// Validate checks what a port is given as.
func (p Port) Validate() error {
	where, isKeyboard := strings.CutPrefix(p.Port, asKeyboard)
	address, isTCP := strings.CutPrefix(p.Port, overTCP)
	switch {
	case strings.TrimSpace(p.Reader) == "":
		return errors.New("scanner: reader is missing")
	case isTCP:
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("scanner: port %q: %w", p.Port, err)
		}
	case isKeyboard && strings.HasPrefix(where, "/"), strings.HasPrefix(p.Port, "/"):
	default:
		return fmt.Errorf("scanner: port %q is neither tcp:HOST:PORT, keyboard:/dev/input/... nor a device", p.Port)
	}
	return nil
}

// Validate checks the ports together: a scan belongs to one reader.
func Validate(all []Port) error {
	seen := map[string]bool{}
	for _, p := range all {
		if err := p.Validate(); err != nil {
			return err
		}
		if seen["reader "+p.Reader] || seen[p.Port] {
			return fmt.Errorf("scanner: reader %q or port %q is there twice", p.Reader, p.Port)
		}
		seen["reader "+p.Reader], seen[p.Port] = true, true
	}
	return nil
}

// Desk runs the scanners of a station.
type Desk struct {
	Ports   []Port
	Scanned func(reader, text string)
	Clock   clock.Machine
	Log     zerolog.Logger

	mu   sync.Mutex
	away map[string]error // by reader
}

// Waits between tries to open a port.
const (
	firstWait = 200 * time.Millisecond
	lastWait  = 10 * time.Second
)

// longestLine bounds what a scanner may say at once; a longer line is none.
const longestLine = 256

// Run reads all ports until ctx is done; a port that goes away is opened again.
func (d *Desk) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, p := range d.Ports {
		d.set(p, errors.New("scanner: not opened yet"))
		all.Go(func() { d.keep(ctx, p) })
	}
	all.Wait()
	<-ctx.Done()
	return nil
}

// Check tells readyz whether the scanners are there.
func (d *Desk) Check(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []error
	for _, p := range d.Ports {
		if err := d.away[p.Reader]; err != nil {
			found = append(found, fmt.Errorf("scanner of %s: %w", p.Reader, err))
		}
	}
	return errors.Join(found...)
}

func (d *Desk) set(p Port, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away == nil {
		d.away = map[string]error{}
	}
	d.away[p.Reader] = err
}

func (d *Desk) keep(ctx context.Context, p Port) {
	log := d.Log.With().Str("reader", p.Reader).Str("scanner", p.Port).Logger()
	wait := firstWait
	for ctx.Err() == nil {
		in, err := open(ctx, p)
		if err == nil {
			d.set(p, nil)
			log.Info().Msg("scanner is there")
			wait = firstWait
			stop := context.AfterFunc(ctx, func() { _ = in.Close() })
			err = d.lines(in, p)
			stop()
			_ = in.Close()
		}
		if ctx.Err() != nil {
			return
		}
		if wait == firstWait {
			log.Warn().Err(err).Msg("scanner is away; trying until it is back")
		}
		d.set(p, err)
		if clock.Sleep(ctx, d.Clock, wait) != nil {
			return
		}
		wait = min(2*wait, lastWait)
	}
}

// open opens a port.
func open(ctx context.Context, p Port) (io.ReadCloser, error) {
	if address, ok := strings.CutPrefix(p.Port, overTCP); ok {
		conn, err := (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return conn, nil
	}
	if path, ok := strings.CutPrefix(p.Port, asKeyboard); ok {
		return openKeyboard(path)
	}
	return os.Open(p.Port)
}

// lines hands on each line until the port ends. Scanners end a line with CR, LF or
// both; one that is too long to be a serial is dropped whole.
func (d *Desk) lines(in io.Reader, p Port) error {
	var line []byte
	long := false
	for from := bufio.NewReader(in); ; {
		b, err := from.ReadByte()
		if err != nil {
			return err
		}
		switch {
		case b != '\r' && b != '\n':
			if long = long || len(line) >= longestLine; !long {
				line = append(line, b)
			}
			continue
		case !long && len(line) > 0:
			d.Scanned(p.Reader, string(line))
		}
		line, long = line[:0], false
	}
}

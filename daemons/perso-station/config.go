package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/console"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/feeder"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/readers"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/scanner"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/daemon/ground"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// Config is the station's configuration; configs/perso-station.yaml explains it.
type Config struct {
	daemon.Common `yaml:",inline"`
	ground.Config `yaml:",inline"`
	Token         pkcs11.Config `yaml:"token"`
	// Station is the unique name under which cards are claimed.
	Station    string `yaml:"station"`
	Production bool   `yaml:"production"`
	Journal    string `yaml:"journal"`
	// DiskReserve is the room, in bytes, that must be free on the journal's disk
	// for a card to be begun.
	DiskReserve int64 `yaml:"disk_reserve"`
	// Profile names the profile by which cards are looked at first. What a card is
	// written by, which edition, and with which keys, is what people approved in the
	// database, whatever its name.
	Profile string        `yaml:"profile"`
	Look    time.Duration `yaml:"look"`
	Readers []string      `yaml:"readers"`
	// Console is what people see and are told of.
	Console console.Config `yaml:"console"`
	// Scanners read the serials of cards whose profile finds them by barcode.
	Scanners []scanner.Port `yaml:"scanners"`
	// ScanWithin is how long a scan waits for its card to be inserted.
	ScanWithin time.Duration `yaml:"scan_within"`
	// Feeders move the cards of readers by commands; a reader without one is fed by hand.
	Feeders []feeder.Config `yaml:"feeders"`
	// TestCards is a regular expression for the whole serial (or, where nothing tells the
	// serial, the chip's UID) of test cards: one of them has to pass each office day
	// before the first card of a request. Empty: no such test.
	TestCards string `yaml:"test_cards"`
	// What a production station refuses unless it is allowed in so many words.
	AllowVirtualReaders bool `yaml:"allow_virtual_readers"`
	AllowSoftHSM        bool `yaml:"allow_softhsm"`
}

var (
	stationName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	profileName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
)

// Validate checks what the sections cannot check alone.
func (c *Config) Validate() error {
	switch {
	case !stationName.MatchString(c.Station):
		return errors.New("station is missing or not lower case letters, digits and hyphens")
	case !profileName.MatchString(c.Profile):
		return errors.New("profile is missing or not the name of one in the database")
	case c.Journal == "":
		return errors.New("journal is missing")
	case c.DiskReserve < 0:
		return errors.New("disk_reserve is negative")
	case c.Look < 0:
		return errors.New("look is negative")
	case c.Production && !c.AllowSoftHSM && software(c.Token.Module):
		return errors.New("token.module: SoftHSM is refused in production unless allow_softhsm is true")
	}
	if _, err := c.testCards(); err != nil {
		return err
	}
	if c.ScanWithin < 0 {
		return errors.New("scan_within is negative")
	}
	if err := feeder.Validate(c.Feeders); err != nil {
		return err
	}
	if err := scanner.Validate(c.Scanners); err != nil {
		return err
	}
	return c.readers().Validate()
}

func (c *Config) readers() readers.Rule {
	return readers.Rule{Only: c.Readers, RefuseVirtual: c.Production && !c.AllowVirtualReaders}
}

// testCards compiles the pattern of test cards; nil for none. A pattern that takes the
// empty serial would take every card.
func (c *Config) testCards() (*regexp.Regexp, error) {
	if c.TestCards == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	pattern, err := regexp.Compile(`^(?:` + c.TestCards + `)$`)
	if err != nil {
		return nil, fmt.Errorf("test_cards: %w", err)
	}
	if pattern.MatchString("") {
		return nil, errors.New("test_cards: the pattern takes an empty serial")
	}
	return pattern, nil
}

// openJournal opens the station's journal, in a folder of its own if need be.
func (c *Config) openJournal() (*journal.Journal, error) {
	if err := os.MkdirAll(filepath.Dir(c.Journal), 0o700); err != nil {
		return nil, err
	}
	return journal.Open(c.Journal)
}

// software tells whether a PKCS#11 module is SoftHSM, also behind a link.
func software(module string) bool {
	if real, err := filepath.EvalSymlinks(module); err == nil {
		module = real
	}
	return strings.Contains(strings.ToLower(module), "softhsm")
}

func defaults() Config {
	return Config{
		Station: "perso-1", Production: true, Journal: "perso-station.journal", DiskReserve: 16 << 20, Profile: "gp-scp03-sam", Look: line.DefaultLook, ScanWithin: line.DefaultScanWithin,
		Console: console.Defaults(),
	}
}

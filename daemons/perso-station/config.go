package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/console"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/readers"
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
	// Profile names the profile that the station works with; which edition of it,
	// and with which keys, is what people approved in the database.
	Profile string        `yaml:"profile"`
	Look    time.Duration `yaml:"look"`
	Readers []string      `yaml:"readers"`
	// Console is what people see and are told of.
	Console console.Config `yaml:"console"`
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
	return c.readers().Validate()
}

func (c *Config) readers() readers.Rule {
	return readers.Rule{Only: c.Readers, RefuseVirtual: c.Production && !c.AllowVirtualReaders}
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
		Station: "perso-1", Production: true, Journal: "perso-station.journal", DiskReserve: 16 << 20, Profile: "gp-scp03-sam", Look: line.DefaultLook,
		Console: console.Defaults(),
	}
}

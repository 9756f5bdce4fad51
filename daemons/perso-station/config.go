package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/readers"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

// Config is the station's configuration; configs/perso-station.yaml explains it.
type Config struct {
	daemon.Common `yaml:",inline"`
	Postgres      postgres.Config `yaml:"postgres"`
	Rabbit        rabbit.Config   `yaml:"rabbit"`
	HSM           HSM             `yaml:"hsm"`
	Station       Station         `yaml:"station"`
	Readers       readers.Config  `yaml:"readers"`
	Numbers       perso.Numbers   `yaml:"numbers"`
}

// HSM is the token and what a production station allows it to be.
type HSM struct {
	pkcs11.Config `yaml:",inline"`
	AllowSoftHSM  bool `yaml:"allow_softhsm"`
}

// Station says which station this is and how it works.
type Station struct {
	Name       string        `yaml:"name"`
	Production bool          `yaml:"production"`
	Journal    string        `yaml:"journal"`
	Profile    string        `yaml:"profile"`
	Look       time.Duration `yaml:"look"`
}

var stationName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Validate checks the section.
func (s Station) Validate() error {
	switch {
	case !stationName.MatchString(s.Name):
		return errors.New("name is missing or not lower case letters, digits and hyphens")
	case s.Journal == "":
		return errors.New("journal is missing")
	case s.Look < 0:
		return errors.New("look is negative")
	}
	_, err := s.profile()
	return err
}

// profile reads the profile: a file, or the name of one that is built in.
func (s Station) profile() (*profile.Profile, error) {
	if !strings.ContainsAny(s.Profile, `/\.`) {
		file, err := configs.Profile(s.Profile)
		if err != nil {
			return nil, fmt.Errorf("profile %q is not built in; a file needs a path", s.Profile)
		}
		return profile.Parse(file)
	}
	file, err := os.ReadFile(s.Profile)
	if err != nil {
		return nil, err
	}
	return profile.Parse(file)
}

// Validate checks what the sections cannot check alone.
func (c *Config) Validate() error {
	if c.Rabbit.URL == "" {
		return errors.New("rabbit.url is missing")
	}
	if c.Station.Production && !c.HSM.AllowSoftHSM && software(c.HSM.Module) {
		return errors.New("hsm.module: SoftHSM is refused in production unless hsm.allow_softhsm is true")
	}
	return nil
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
		Station: Station{Name: "perso-1", Production: true, Journal: "perso-station.journal", Profile: "gp-scp03-sam", Look: 2 * time.Second},
		Rabbit:  rabbit.Config{Name: "perso-station"},
		Numbers: perso.Numbers{PCID: "3671{epoch:4}{counter:24}", Manifest: "M-{year}-{epoch:2}{counter:6}"},
	}
}

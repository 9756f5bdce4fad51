package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/daemon/ground"
	"dukcapil.go.id/sifilma/pkg/esign"
	"dukcapil.go.id/sifilma/pkg/esign/bsre"
	"dukcapil.go.id/sifilma/pkg/filetype"
)

// Config is the portal's configuration; configs/portal.yaml explains it.
type Config struct {
	daemon.Common `yaml:",inline"`
	ground.Config `yaml:",inline"`
	Portal        Portal `yaml:"portal"`
}

// Portal is the section of the portal itself.
type Portal struct {
	PublicURL string `yaml:"public_url"` // as browsers see it; empty for a local run without TLS
	IntakeURL string `yaml:"intake_url"` // the intake as browsers see it, where requests are filled in; empty shows no link
	Spool     string `yaml:"spool"`      // folder that scans pass through; empty for the system's
	MaxScan   int64  `yaml:"max_scan"`   // bytes
	// OneTime is how long a password for once can be used.
	OneTime time.Duration `yaml:"one_time_password"`
	// BSrE is the service that signs papers with certificates; without an address all is
	// signed with a pen.
	BSrE bsre.Config `yaml:"bsre"`
}

// signer is the service that signs papers, or nil. With one, passphrases pass through this
// process, which therefore leaves no core dump.
func (p Portal) signer() (esign.Driver, error) {
	if p.BSrE.URL == "" {
		return nil, nil //nolint:nilnil // none is configured, and nothing is wrong
	}
	if err := daemon.Harden(); err != nil {
		return nil, err
	}
	return bsre.New(p.BSrE)
}

// mostOneTime bounds how long a password that somebody else knows can lie about.
const mostOneTime = 30 * 24 * time.Hour

// Validate checks the section.
func (p Portal) Validate() error {
	if p.MaxScan < 1<<10 {
		return errors.New("max_scan is too small")
	}
	if p.MaxScan > filetype.MaxBytes {
		return fmt.Errorf("max_scan is %d, above %d (16 MB): larger scans cannot be looked at", p.MaxScan, filetype.MaxBytes)
	}
	if p.OneTime < time.Hour || p.OneTime > mostOneTime {
		return errors.New("one_time_password must be between 1h and 720h")
	}
	if p.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(p.PublicURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("public_url %q is not an origin such as https://portal.example", p.PublicURL)
	}
	return nil
}

// origins are the sites whose forms may change something.
func (p Portal) origins() []string {
	if p.PublicURL == "" {
		return nil
	}
	return []string{strings.TrimRight(p.PublicURL, "/")}
}

// secure says whether browsers come by HTTPS.
func (p Portal) secure() bool { return strings.HasPrefix(p.PublicURL, "https://") }

func defaults() Config {
	return Config{Portal: Portal{MaxScan: 10 << 20, OneTime: 72 * time.Hour, BSrE: bsre.Config{Timeout: time.Minute}}}
}

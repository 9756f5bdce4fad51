package main

import (
	"errors"

	"dukcapil.go.id/sifilma/daemons/document-generator/internal/content"
	"dukcapil.go.id/sifilma/daemons/document-generator/internal/desk"
	"dukcapil.go.id/sifilma/daemons/document-generator/internal/press"
	"dukcapil.go.id/sifilma/daemons/document-generator/internal/sampler"
	"dukcapil.go.id/sifilma/daemons/document-generator/internal/seal"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/daemon/ground"
	"dukcapil.go.id/sifilma/pkg/docx"
)

// Config is the document generator's configuration;
// configs/document-generator.yaml explains it.
type Config struct {
	daemon.Common `yaml:",inline"`
	ground.Config `yaml:",inline"`
	Desk          desk.Config          `yaml:"desk"`
	Content       content.Config       `yaml:"content"`
	Press         press.Config         `yaml:"press"`
	Sampler       sampler.Config       `yaml:"sampler"`
	LibreOffice   docx.ConverterConfig `yaml:"libreoffice"`
	Manifest      seal.Config          `yaml:"manifest"`
	// DiskReserve is the room, in bytes, that must be free where LibreOffice
	// works for papers to be made.
	DiskReserve int64 `yaml:"disk_reserve"`
}

// Validate checks what the sections cannot check alone.
func (c *Config) Validate() error {
	if c.DiskReserve < 0 {
		return errors.New("disk_reserve is negative")
	}
	if c.LibreOffice.Soffice == "" {
		return errors.New("libreoffice.soffice is missing")
	}
	return nil
}

func defaults() Config {
	return Config{
		Desk: desk.Defaults(), Content: content.Defaults(), Press: press.Defaults(), Sampler: sampler.Defaults(),
		LibreOffice: docx.ConverterConfig{Soffice: "soffice"}, DiskReserve: 256 << 20,
		Manifest: seal.Defaults(),
	}
}

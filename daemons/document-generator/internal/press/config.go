package press

import (
	"errors"
	"time"
)

// Config says how the files of papers are made.
type Config struct {
	// Workers is how many LibreOffice processes may run at the same time.
	Workers int `yaml:"workers"`
	// Poll is how often the press looks for papers nobody rang for, such as
	// those that an earlier process left behind.
	Poll time.Duration `yaml:"poll"`
	// Retry is the wait before a paper that could not be made is tried again;
	// it doubles with each failure up to RetryMost.
	Retry     time.Duration `yaml:"retry"`
	RetryMost time.Duration `yaml:"retry_most"`
}

// Defaults suit one office on two processors.
func Defaults() Config {
	return Config{Workers: 2, Poll: 10 * time.Second, Retry: 2 * time.Second, RetryMost: 5 * time.Minute}
}

// Validate checks the section.
func (c Config) Validate() error {
	if c.Workers < 1 || c.Workers > 16 {
		return errors.New("workers must be 1 to 16")
	}
	if c.Poll < 100*time.Millisecond || c.Retry < 10*time.Millisecond || c.RetryMost < c.Retry {
		return errors.New("poll must be at least 100ms, retry at least 10ms and retry_most no less than retry")
	}
	return nil
}

// Package feeder moves cards by commands of whoever made the machine that does it: one
// for the next card and one for each bin. No shell is between.
package feeder

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/config"
)

// Config is the feeder of one reader: argument vectors, the program's whole path first.
type Config struct {
	Reader string   `yaml:"reader"` // whole name, as PC/SC has it
	Next   []string `yaml:"next"`
	Good   []string `yaml:"good"`
	Reject []string `yaml:"reject"`
	Doubt  []string `yaml:"doubt"`
	// Timeout is the longest time for one command; then it is killed with all that it
	// has started, and has failed.
	Timeout time.Duration `yaml:"timeout"`
}

// DefaultTimeout is that of a command for which none is configured.
const DefaultTimeout = 30 * time.Second

// Validate checks the feeders of a station.
func Validate(all []Config) error {
	seen := map[string]bool{}
	for _, c := range all {
		switch {
		case strings.TrimSpace(c.Reader) == "":
			return errors.New("feeder: reader is missing")
		case seen[c.Reader]:
			return fmt.Errorf("feeder: reader %q is there twice", c.Reader)
		case c.Timeout < 0:
			return errors.New("feeder: timeout is negative")
		}
		seen[c.Reader] = true
		for name, command := range map[string][]string{"next": c.Next, "good": c.Good, "reject": c.Reject, "doubt": c.Doubt} {
			if len(command) == 0 || !strings.HasPrefix(command[0], "/") {
				return fmt.Errorf("feeder of %s: %s is not a command with the program's whole path", c.Reader, name)
			}
		}
	}
	return nil
}

// For returns the feeder of a reader; nil where a person feeds it.
func For(all []Config, reader string) line.Feeder {
	for _, c := range all {
		if c.Reader == reader {
			return commands{c}
		}
	}
	return nil
}

type commands struct{ Config }

// Next implements line.Feeder.
func (c commands) Next(ctx context.Context) error { return c.run(ctx, c.Config.Next) }

// Bin implements line.Feeder.
func (c commands) Bin(ctx context.Context, b line.Bin) error {
	switch b {
	case line.GoodBin:
		return c.run(ctx, c.Good)
	case line.DoubtBin:
		return c.run(ctx, c.Doubt)
	case line.RejectBin:
		return c.run(ctx, c.Reject)
	}
	return fmt.Errorf("feeder: unknown bin %q", b)
}

// longestSaid is how much of what a failing command says is kept.
const longestSaid = 300

func (c commands) run(ctx context.Context, command []string) error {
	limit := c.Timeout
	if limit == 0 {
		limit = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = config.Strangers(cmd.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for whoever has left its group and keeps the output open
	var said beginning
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("killed after %s", limit)
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", command[0], err, strings.TrimSpace(string(said)))
}

// beginning keeps the first longestSaid bytes of what is written to it.
type beginning []byte

// Write implements io.Writer.
func (b *beginning) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), longestSaid-len(*b))]...)
	return len(p), nil
}

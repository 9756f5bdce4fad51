package docx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pdfcpu/pdfcpu/pkg/api"
)

// profileSettings keep macros and links of a document from doing anything.
const profileSettings = `<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="MacroSecurityLevel" oor:op="fuse"><value>3</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="DisableMacrosExecution" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Writer/Content/Update"><prop oor:name="Link" oor:op="fuse"><value>0</value></prop></item>
</oor:items>
`

// saidLimit is how much of LibreOffice's own words is kept for an error.
const saidLimit = 2 << 10

// prepareProfile makes the user profile if there is none.
func (c *Converter) prepareProfile() error {
	if c.profile != "" {
		return nil
	}
	profile, err := os.MkdirTemp(c.home, "profile-")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	user := filepath.Join(profile, "user")
	if err := os.Mkdir(user, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := os.WriteFile(filepath.Join(user, "registrymodifications.xcu"), []byte(profileSettings), 0o600); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	c.profile = profile
	return nil
}

// restartCode is how LibreOffice asks to be started again, as it does once
// with a new profile. Its own starter would do that.
const restartCode = 81

// program is the executable to start. The command soffice is a script before a
// starter before soffice.bin: started itself, soffice.bin dies with this
// process, also by SIGKILL, and leaves nothing behind that runs on.
func (c *Converter) program() string {
	found, err := exec.LookPath(c.cfg.Soffice)
	if err != nil {
		return c.cfg.Soffice
	}
	if target, err := filepath.EvalSymlinks(found); err == nil && filepath.Base(target) == "soffice" {
		if info, err := os.Stat(target + ".bin"); err == nil && info.Mode().IsRegular() {
			return target + ".bin"
		}
	}
	return found
}

// execute runs LibreOffice in a process group of its own and returns its words.
// It may start further programs: at a timeout or cancellation the whole group
// is killed and its profile thrown away.
func (c *Converter) execute(ctx context.Context, args []string) (said string, timedOut bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	// The kernel sends the parent-death signal when the starting thread ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	output := &limitedBuffer{most: saidLimit}
	var cmd *exec.Cmd
	for range 3 {
		cmd = exec.CommandContext(bounded, c.program(), args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		cmd.WaitDelay = 5 * time.Second
		// Nothing of the daemon's own environment: it may hold secrets.
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.home, "TMPDIR=" + c.home, "LANG=C.UTF-8", "SAL_USE_VCLPLUGIN=svp"}
		cmd.Dir = c.home
		cmd.Stdout, cmd.Stderr = output, output
		if err := cmd.Start(); err != nil {
			return "", false, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if err = cmd.Wait(); cmd.ProcessState.ExitCode() != restartCode {
			break
		}
	}
	said = strings.ReplaceAll(strings.Join(strings.Fields(output.String()), " "), c.home, "")
	if err == nil {
		return said, false, nil
	}
	// Whatever ended it, no part of the group may live on and no half-written profile be used again.
	if killed := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); killed != nil && !errors.Is(killed, syscall.ESRCH) {
		err = errors.Join(err, killed)
	}
	if removed := os.RemoveAll(c.profile); removed != nil {
		err = errors.Join(err, removed)
	}
	c.profile = ""
	switch {
	case ctx.Err() != nil:
		return said, false, ctx.Err()
	case bounded.Err() != nil:
		return said, true, nil
	default:
		// A crash: the outputs tell which documents came through.
		return said + " (" + err.Error() + ")", false, nil
	}
}

// disableConfigDir keeps pdfcpu from writing into the home directory. Once: its
// flag is not guarded.
var disableConfigDir = sync.OnceFunc(api.DisableConfigDir)

// PageCount checks that b is a PDF with pages and returns their number.
func PageCount(b []byte) (int, error) {
	if !bytes.HasPrefix(b, []byte("%PDF")) {
		return 0, errors.New("docx: not a PDF")
	}
	// pdfcpu mends a file cut short; a paper must be whole.
	if tail := b[max(0, len(b)-1024):]; !bytes.Contains(tail, []byte("%%EOF")) {
		return 0, errors.New("docx: PDF cut short")
	}
	disableConfigDir()
	n, err := api.PageCount(bytes.NewReader(b), nil)
	if err != nil {
		return 0, fmt.Errorf("docx: damaged PDF: %w", err)
	}
	if n < 1 {
		return 0, errors.New("docx: PDF without pages")
	}
	return n, nil
}

// limitedBuffer keeps the first bytes written to it and swallows the rest.
type limitedBuffer struct {
	bytes.Buffer
	most int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := b.most - b.Len(); room > 0 {
		_, _ = b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

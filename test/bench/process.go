package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	readyLimit = 2 * time.Minute
	stopLimit  = 30 * time.Second
)

// process is a daemon that runs.
type process struct {
	cmd     *exec.Cmd
	address string
	exited  chan error
	ready   time.Duration // from the start of the process to readyz 200
}

// launch starts a daemon and waits until it is ready.
func (g *ground) launch(ctx context.Context, daemon, config, address string, env []string) (_ *process, err error) {
	log, err := os.Create(filepath.Join(g.dir, "bench-"+daemon+".log"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	p := &process{address: address, exited: make(chan error, 1)}
	p.cmd = exec.Command(filepath.Join(g.bin, daemon), "-config", config)
	// The mark lets whoever stops the services find it, should this process be killed.
	p.cmd.Env = append(append(os.Environ(), env...), g.services.Mark("bench-"+daemon))
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us, who stop it in order
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.exited <- p.cmd.Wait() }()
	err = until(ctx, 2*time.Millisecond, readyLimit, daemon, func() (bool, error) {
		select {
		case err := <-p.exited:
			p.exited <- err
			return false, fmt.Errorf("%s ended (%w); see %s", daemon, err, log.Name())
		default:
		}
		return answersOK(ctx, client, address+"/readyz"), nil
	})
	p.ready = time.Since(began)
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func answersOK(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// stop ends the daemon in order, and by force when it takes too long.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case err := <-p.exited:
		return err
	case <-time.After(stopLimit):
		_ = p.cmd.Process.Kill()
		return errors.Join(<-p.exited, fmt.Errorf("%s did not end within %s", p.cmd.Path, stopLimit))
	}
}

// resident reads a line such as VmRSS or VmHWM of a process, in MB of 1024 KiB.
func resident(pid int, line string) (float64, bool) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, false
	}
	for l := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(l, line+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib / 1024, err == nil
		}
	}
	return 0, false
}

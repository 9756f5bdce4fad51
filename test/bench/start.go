package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"gopkg.in/yaml.v3"

	"dukcapil.go.id/sifilma/deploy/local"
)

// daemons of the office.
var daemons = []string{"intake", "validator", "scheduler", "perso-station", "document-generator", "portal"}

const (
	readyPromise = 1000.0 // ms from process start to ready
	idlePromise  = 40.0   // MB resident when idle
	idleAfter    = 3 * time.Second
)

// benchStart runs the demonstration once, to have the office set up and to see
// what each daemon's memory grows to, and then starts each daemon alone.
func benchStart(ctx context.Context, g *ground) (err error) {
	peaks, err := g.demonstrate(ctx)
	if err != nil {
		return err
	}
	if err := g.open(ctx); err != nil { // the demonstration has stopped them
		return err
	}
	ready, idle := map[string]*result{}, map[string]*result{}
	for _, d := range daemons {
		ready[d], idle[d] = &result{name: "start-" + d}, &result{name: "idle-" + d}
	}
	for n := range g.rounds {
		for _, d := range daemons {
			ms, mb, err := g.startOnce(ctx, d)
			if err != nil {
				return err
			}
			ready[d].values, idle[d].values = append(ready[d].values, ms), append(idle[d].values, mb)
			fmt.Printf("round start %d/%d %s ready_ms=%s idle_mb=%s load=%s\n", n+1, g.rounds, d, figure(ms), figure(mb), load())
		}
	}
	for _, d := range daemons {
		compare(os.Stdout, "start-"+d, "ms", *ready[d], limit("promise", readyPromise))
		compare(os.Stdout, "idle-"+d, "MB", *idle[d], limit("promise", idlePromise))
		compare(os.Stdout, "loaded-"+d, "MB", limit("peak", peaks[d]), *idle[d])
	}
	return nil
}

// demonstrate plays the demonstration and returns the largest resident memory
// of each daemon meanwhile, in MB.
func (g *ground) demonstrate(ctx context.Context) (map[string]float64, error) {
	if err := local.StopDir(ctx, g.dir); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(g.dir, "bench-demo.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, filepath.Join(g.bin, "sifilma"), "up", "-dir", g.dir, "-play", filepath.Join(g.bin, "demo"), "-once")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	peaks := map[string]float64{}
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-exited:
			if err != nil {
				return nil, fmt.Errorf("the demonstration ended with %w; see %s", err, log.Name())
			}
			for _, d := range daemons {
				if peaks[d] == 0 {
					return nil, fmt.Errorf("%s was not seen in the demonstration", d)
				}
			}
			return peaks, nil
		case <-look.C:
			g.notePeaks(peaks)
		}
	}
}

// notePeaks looks at the processes that the fleet says it runs.
func (g *ground) notePeaks(peaks map[string]float64) {
	text, err := os.ReadFile(filepath.Join(g.dir, "fleet.json"))
	if err != nil {
		return // nothing runs yet
	}
	running := map[string]local.Process{}
	if json.Unmarshal(text, &running) != nil {
		return
	}
	for _, d := range daemons {
		if p, ok := running[d]; ok && p.Alive() {
			if mb, ok := resident(p.PID, "VmHWM"); ok {
				peaks[d] = max(peaks[d], mb)
			}
		}
	}
}

// startOnce starts a daemon with the configuration of the office and returns
// the time until it was ready in ms, and its resident memory at rest in MB.
func (g *ground) startOnce(ctx context.Context, daemon string) (ms, mb float64, err error) {
	path := filepath.Join(g.dir, "etc", daemon+".yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err
	}
	var cfg struct {
		HTTP struct {
			Addr string `yaml:"addr"`
		} `yaml:"http"`
	}
	if err := yaml.Unmarshal(text, &cfg); err != nil {
		return 0, 0, err
	}
	env := []string{"SOFTHSM2_CONF=" + g.services.HSM.Config, "PCSCLITE_CSOCK_NAME=" + g.services.PCSC.Socket}
	p, err := g.launch(ctx, daemon, path, "http://"+cfg.HTTP.Addr, env)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	select {
	case <-time.After(idleAfter):
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	mb, ok := resident(p.cmd.Process.Pid, "VmRSS")
	if !ok {
		return 0, 0, fmt.Errorf("%s has no resident memory", daemon)
	}
	return float64(p.ready) / float64(time.Millisecond), mb, nil
}

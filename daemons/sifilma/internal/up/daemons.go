package up

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/fleet"
	"dukcapil.go.id/sifilma/daemons/sifilma/internal/setup"
	"dukcapil.go.id/sifilma/deploy/local"
)

// daemons in the order of their start.
var daemons = []string{"intake", "validator", "scheduler", "perso-station", "document-generator", "portal"}

// ports are the HTTP ports of the daemons.
type ports map[string]int

// choosePorts gives each daemon the port that it had in the last run, if that
// is free, so that a bookmark goes on working.
func (of *office) choosePorts() (ports, error) {
	path := filepath.Join(of.Dir, "ports.json")
	had := ports{}
	if body, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(body, &had) // a damaged file only costs the old ports
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	base := of.services.Postgres.Port + 100
	if had["portal"] != 0 {
		base = had["portal"] - len(daemons) + 1
	}
	free, err := local.FreePorts(base, len(daemons))
	if err != nil {
		return nil, err
	}
	now := ports{}
	for i, d := range daemons {
		now[d] = free[i]
	}
	body, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		return nil, err
	}
	return now, os.WriteFile(path, body, 0o600)
}

func (of *office) address(daemon string) string {
	return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(of.ports[daemon]))
}

// controlPath is the virtual SAM's control socket; beside the PC/SC socket,
// whose path is short enough for one.
func (of *office) controlPath() string {
	return filepath.Join(filepath.Dir(of.services.PCSC.Socket), "virtualsam.sock")
}

func (of *office) startDaemons() error {
	if err := of.startVirtualSAM(); err != nil {
		return err
	}
	for _, d := range daemons {
		values := fleet.Values{
			"http":         fleet.Values{"addr": net.JoinHostPort("127.0.0.1", strconv.Itoa(of.ports[d]))},
			"office_clock": "file:" + of.clockPath(),
			"postgres": fleet.Values{
				"url": of.services.Postgres.RoleURL(database, setup.Roles[d], ""), "password_file": of.secrets[d],
			},
			"rabbit": fleet.Values{"url": of.services.Rabbit.URL(vhost), "password_file": of.services.Rabbit.PasswordFile, "name": d},
		}
		for k, v := range of.special(d) {
			values[k] = v
		}
		path, err := fleet.WriteConfig(of.Dir, d, values)
		if err != nil {
			return err
		}
		m := fleet.Member{Name: d, Argv: []string{filepath.Join(of.bin, d), "-config", path}, Env: []string{of.services.Mark(d)}}
		if d == "perso-station" {
			m.Env = append(m.Env, of.cardEnv()...)
		}
		of.fleet.Start(m)
	}
	return nil
}

func (of *office) startVirtualSAM() error {
	argv := []string{filepath.Join(of.bin, "virtualsam"), "-control", of.controlPath(),
		"-write-log", filepath.Join(of.Dir, "virtualsam-writes.jsonl")}
	for _, r := range of.services.PCSC.Primary() {
		argv = append(argv, "-reader", fmt.Sprintf("%s=127.0.0.1:%d", r.Name, r.Port))
	}
	of.fleet.Start(fleet.Member{Name: "virtualsam", Argv: argv, Env: []string{of.services.Mark("virtualsam")}, Adjust: of.services.InReaderNamespace})
	return nil
}

// waitReady waits until every daemon says that it is ready.
func (of *office) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	client := &http.Client{Timeout: 2 * time.Second}
	for _, d := range daemons {
		for {
			if ready(ctx, client, of.address(d)+"/readyz") {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s tidak siap dalam %s; lihat %s", d, readyWithin, filepath.Join(of.Dir, "log", d+".log"))
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

func ready(ctx context.Context, client *http.Client, address string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
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

// tell prints where everything is, for a run without a play.
func (of *office) tell() {
	say("\nPortal: " + of.address("portal") + "   Intake: " + of.address("intake"))
	say("Akun portal (kata sandi berganti pada tiap kali dijalankan):")
	for _, l := range of.cast.Logins {
		say(fmt.Sprintf("  %-14s %-28s %s", l.Username, l.Password, l.Name))
	}
}

// special are the values of one daemon only.
func (of *office) special(daemon string) fleet.Values {
	switch daemon {
	case "perso-station":
		var readers []string
		for _, r := range of.services.PCSC.Primary() {
			readers = append(readers, r.Name)
		}
		return fleet.Values{
			"production": false, "readers": readers,
			"token":   fleet.Values{"module": of.services.HSM.Module, "token_label": of.services.HSM.Label, "pin_file": of.services.HSM.PINFile},
			"journal": filepath.Join(of.Dir, "station", "journal.jsonl"),
		}
	default:
		return nil
	}
}

package up

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/fleet"
	"dukcapil.go.id/sifilma/daemons/sifilma/internal/setup"
	"dukcapil.go.id/sifilma/deploy/local"
)

// daemons in the order of their start.
var daemons = []string{"intake", "validator", "scheduler", "perso-station", "document-generator", "portal"}

// instance is one process of a daemon. The first has the daemon's name, further
// ones have a number behind it.
type instance struct {
	name, daemon string
	copy         int // from 1
}

// instances are the processes of this office, in the order of their start.
func (of *office) instances() (all []instance) {
	for _, d := range daemons {
		for n := 1; n <= of.Copies; n++ {
			in := instance{name: d, daemon: d, copy: n}
			if n > 1 {
				in.name = d + "-" + strconv.Itoa(n)
			}
			all = append(all, in)
		}
	}
	return all
}

// ports are the HTTP ports of the instances.
type ports map[string]int

// choosePorts gives each daemon the port that it had in the last run, if that
// is free, so that a bookmark goes on working. The ports are kept for this
// office as long as it runs, also while a daemon is away.
func (of *office) choosePorts() (ports, error) {
	path := filepath.Join(of.Dir, "ports.json")
	had := ports{}
	if body, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(body, &had) // a damaged file only costs the old ports
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	all := of.instances()
	base := of.services.Postgres.Port + 100
	if had[all[0].name] != 0 {
		base = had[all[0].name]
	}
	free, release, err := local.FreePorts(base, len(all))
	if err != nil {
		return nil, err
	}
	of.releasePorts = release
	now := ports{}
	for i, in := range all {
		now[in.name] = free[i]
	}
	body, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		return nil, err
	}
	return now, os.WriteFile(path, body, 0o600)
}

func (of *office) address(instance string) string {
	return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(of.ports[instance]))
}

// Way is how an instance reaches the services, host:port each; empty for
// directly.
type Way struct {
	Postgres string `json:"postgres"`
	Rabbit   string `json:"rabbit"`
}

// via puts a way's host and port into an address.
func via(address, hostPort string) (string, error) {
	if hostPort == "" {
		return address, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	u.Host = hostPort
	return u.String(), nil
}

// ways reads the file of ways by instance, if there is one.
func (of *office) ways() (map[string]Way, error) {
	ways := map[string]Way{}
	if of.Ways == "" {
		return ways, nil
	}
	body, err := os.ReadFile(of.Ways)
	if err != nil {
		return nil, err
	}
	return ways, json.Unmarshal(body, &ways)
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
	ways, err := of.ways()
	if err != nil {
		return err
	}
	for _, in := range of.instances() {
		way := ways[in.name]
		db, err := via(of.services.Postgres.RoleURL(database, setup.Roles[in.daemon], ""), way.Postgres)
		if err != nil {
			return err
		}
		broker, err := via(of.services.Rabbit.URL(vhost), way.Rabbit)
		if err != nil {
			return err
		}
		values := fleet.Values{
			"http":         fleet.Values{"addr": net.JoinHostPort("127.0.0.1", strconv.Itoa(of.ports[in.name]))},
			"office_clock": "file:" + of.clockPath(),
			"postgres":     fleet.Values{"url": db, "password_file": of.secrets[in.daemon]},
			"rabbit":       fleet.Values{"url": broker, "password_file": of.services.Rabbit.PasswordFile, "name": in.name},
		}
		for k, v := range of.special(in) {
			values[k] = v
		}
		path, err := fleet.WriteConfig(of.Dir, in.daemon, in.name, values)
		if err != nil {
			return err
		}
		m := fleet.Member{Name: in.name, Argv: []string{filepath.Join(of.bin, in.daemon), "-config", path}, Env: []string{of.services.Mark(in.name)}}
		if in.daemon == "perso-station" || in.daemon == "document-generator" {
			m.Adjust = of.withToken(in)
		}
		of.fleet.Start(m)
	}
	return nil
}

// withToken lets a process reach a token of its own, and the readers. The copy is made anew
// at each start: from a process that shared it, it would be taken away.
func (of *office) withToken(in instance) func(*exec.Cmd) error {
	return func(cmd *exec.Cmd) error {
		own, err := of.services.HSM.CopyTo(filepath.Join(of.Dir, of.home(in), "softhsm"))
		if err != nil {
			return err
		}
		cmd.Env = append(cmd.Env, "SOFTHSM2_CONF="+own.Config, "PCSCLITE_CSOCK_NAME="+of.services.PCSC.Socket)
		return nil
	}
}

// home is the folder of what an instance keeps, below the run directory.
func (of *office) home(in instance) string {
	folder := in.daemon
	if folder == "perso-station" {
		folder = "station"
	}
	if in.copy == 1 {
		return folder
	}
	return folder + "-" + strconv.Itoa(in.copy)
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
	for _, in := range of.instances() {
		for {
			if ready(ctx, client, of.address(in.name)+"/readyz") {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s tidak siap dalam %s; lihat %s", in.name, readyWithin, filepath.Join(of.Dir, "log", in.name+".log"))
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
	say("Stasiun: " + of.address("perso-station") + "   Layar operatornya: " + of.address("perso-station") + "/layar")
	say("Kunci API " + of.cast.Produsen + ": " + of.cast.APIKey)
	say("PKS " + of.cast.Lembaga + ": " + of.cast.PKS)
	say("Akun portal (kata sandi berganti pada tiap kali dijalankan):")
	for _, l := range of.cast.Logins {
		say(fmt.Sprintf("  %-14s %-28s %s", l.Username, l.Password, l.Name))
	}
}

// smallReserve is enough for the cards in all readers and for a few drops, in
// bytes; a private office's disk may be small.
const smallReserve = 1 << 20

// special are the values of one instance only. Stations share out the readers.
func (of *office) special(in instance) fleet.Values {
	switch in.daemon {
	case "intake":
		return fleet.Values{
			"spool_dir": filepath.Join(of.Dir, "spool-"+in.name), "disk_reserve": smallReserve,
			"api": fleet.Values{"portal_url": of.address("portal")},
		}
	case "portal":
		return fleet.Values{"portal": fleet.Values{"intake_url": of.address("intake")}}
	case "document-generator":
		return fleet.Values{
			"content":  fleet.Values{"portal_url": of.address("portal")},
			"manifest": fleet.Values{"token": of.tokenValues()},
		}
	case "perso-station":
	default:
		return nil
	}
	readers := []string{}
	for i, r := range of.services.PCSC.Primary() {
		if i%of.Copies == in.copy-1 {
			readers = append(readers, r.Name)
		}
	}
	return fleet.Values{
		"production": false, "readers": readers, "station": "perso-" + strconv.Itoa(in.copy),
		"token":        of.tokenValues(),
		"journal":      filepath.Join(of.Dir, of.home(in), "journal.jsonl"),
		"disk_reserve": smallReserve,
	}
}

func (of *office) tokenValues() fleet.Values {
	return fleet.Values{"module": of.services.HSM.Module, "token_label": of.services.HSM.Label, "pin_file": of.services.HSM.PINFile}
}

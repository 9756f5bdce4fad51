package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"filippo.io/age"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/control"
	"dukcapil.go.id/sifilma/test/virtualsam/control/client"
)

const (
	persoName = "bench_perso"
	persoSAM  = "BENCH"
	persoDay  = "2026-03-02"
	cardLimit = time.Minute
)

var persoAt = time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)

// hall is an office with one released work order, its station, and chips for it.
type hall struct {
	g       *ground
	db      *postgres.DB
	token   *pkcs11.Token
	readers []local.Reader
	sam     *client.Client
	samEnd  func() error
	station *process
	serials []string // of cards that are listed and have no chip yet
}

func newHall(ctx context.Context, g *ground, cards int) (h *hall, err error) {
	h = &hall{g: g, readers: g.services.PCSC.Primary()}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if len(h.readers) < benchReaders {
		return h, fmt.Errorf("%d virtual readers; %d are needed", len(h.readers), benchReaders)
	}
	for name, value := range map[string]string{"SOFTHSM2_CONF": g.services.HSM.Config, "PCSCLITE_CSOCK_NAME": g.services.PCSC.Socket} {
		if err := os.Setenv(name, value); err != nil {
			return h, err
		}
	}
	if h.db, err = g.freshDatabase(ctx, persoName); err != nil {
		return h, err
	}
	if err := h.seed(ctx, cards); err != nil {
		return h, err
	}
	if err := g.freshVhost(ctx, persoName); err != nil {
		return h, err
	}
	if err := h.openToken(ctx); err != nil {
		return h, err
	}
	if err := h.startChips(ctx); err != nil {
		return h, err
	}
	return h, h.startStation(ctx)
}

func (h *hall) close() error {
	var errs []error
	if h.station != nil {
		errs = append(errs, h.station.stop())
	}
	if h.sam != nil {
		errs = append(errs, h.sam.Close())
	}
	if h.samEnd != nil {
		errs = append(errs, h.samEnd())
	}
	if h.token != nil {
		errs = append(errs, h.token.Close())
	}
	if h.db != nil {
		errs = append(errs, h.db.Close())
	}
	return errors.Join(errs...)
}

// seed makes a request in production whose cards are all released today.
func (h *hall) seed(ctx context.Context, cards int) error {
	if err := machine.Sync(ctx, h.db, request.Machine, capacity.Machine, perso.Machine, recipe.Machine); err != nil {
		return err
	}
	shipped, err := recipe.FromProgram()
	if err != nil {
		return err
	}
	const id = "00000000-0000-7000-8000-000000000002"
	return h.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := recipe.Ship(ctx, tx, shipped, recipe.Change{OfficeAt: persoAt}); err != nil {
			return err
		}
		for _, q := range []string{
			`SET LOCAL session_replication_role = replica`, // how the request gets here is not measured
			`INSERT INTO institution (id, kind, name) VALUES ('00000000-0000-7000-8000-000000000001', 'produsen', 'Produsen Contoh')`,
			`INSERT INTO machine_type (code, name, uses_reader, sam_pattern, reader_pattern) VALUES ('` + persoSAM + `', 'Mesin uji', false, '.*', '')`,
			fmt.Sprintf(`INSERT INTO request (id, ticket, kind, institution_id, reference, title, sam_function, card_count, machine_type,
				letter_sender, letter_post, letter_number, letter_date, letter_subject, state, disposition_date, created_by, created_at)
				VALUES ('%s', 'PSAM-2026-000001', 'reader', '00000000-0000-7000-8000-000000000001', 'R-1', 'Uji', 'R', %d, '%s',
				'x', 'x', 'x', '2026-02-01', 'x', 'in_progress', '2026-03-01', 'uji', now())`, id, cards, persoSAM),
			fmt.Sprintf(`INSERT INTO capacity_day (day, capacity) VALUES ('%s', %d)`, persoDay, cards),
			fmt.Sprintf(`INSERT INTO work_order (id, request_id, day, slots, capacity, remaining, state, released_at)
				VALUES (gen_random_uuid(), '%s', '%s', int4range(1, %d), %d, %d, 'released', now())`, id, persoDay, cards+1, cards, cards),
			fmt.Sprintf(`INSERT INTO listed_card (id, request_id, row, serial)
				SELECT gen_random_uuid(), '%s', n, 'SAM' || lpad(n::text, 8, '0') FROM generate_series(1, %d) AS n`, id, cards),
			`INSERT INTO live_serial (serial, request_id, card_id) SELECT serial, request_id, id FROM listed_card`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
		}
		if _, err := perso.Enlist(ctx, tx, id, machine.Actor{Name: "kasubdit", Role: request.Kasubdit}, persoAt); err != nil {
			return err
		}
		if err := secretKeys(ctx, tx, "00000000-0000-7000-8000-000000000001"); err != nil {
			return err
		}
		return tx.Select(ctx, &h.serials, `SELECT serial FROM listed_card ORDER BY serial`)
	})
}

// secretKeys gives produsen and office keys whose private halves nobody has.
func secretKeys(ctx context.Context, tx *postgres.Tx, produsen string) error {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	_, _, escrow, err := cardsecret.NewParts()
	if err != nil {
		return err
	}
	if _, err := cardsecret.RecordEscrow(ctx, tx, cardsecret.Escrow{
		Recipient: escrow, Custodians: []string{"1", "2"}, Place: "uji", RecordedBy: "uji", OfficeAt: persoAt,
	}); err != nil {
		return err
	}
	k, err := cardsecret.Offer(ctx, tx, produsen, id.Recipient().String(), cardsecret.Who{Name: "pic", At: persoAt})
	if err == nil {
		_, err = cardsecret.Confirm(ctx, tx, k.ID, k.Fingerprint, cardsecret.Who{Name: "operator", At: persoAt})
	}
	return err
}

var persoKeys = []string{"sam-transport-master", "sam-final-master", "sam-secret-wrap"}

func (h *hall) openToken(ctx context.Context) (err error) {
	hsm := h.g.services.HSM
	if h.token, err = pkcs11.Open(pkcs11.Config{Module: hsm.Module, TokenLabel: hsm.Label, PINFile: hsm.PINFile}); err != nil {
		return err
	}
	for _, label := range persoKeys {
		_, err := h.token.FindKey(ctx, label)
		if errors.Is(err, pkcs11.ErrKeyNotFound) {
			_, err = h.token.GenerateAES(ctx, label, 256, pkcs11.UseMAC|pkcs11.UseEncrypt)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// startChips runs the virtual chips where the readers' ports are.
func (h *hall) startChips(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sam") // a short path: it holds a socket
	if err != nil {
		return err
	}
	socket := filepath.Join(dir, "s")
	args := []string{"-control", socket, "-write-log", filepath.Join(dir, "writes.jsonl")}
	for _, r := range h.readers {
		args = append(args, "-reader", fmt.Sprintf("%s=127.0.0.1:%d", r.Name, r.Port))
	}
	cmd := exec.Command(filepath.Join(h.g.bin, "virtualsam"), args...)
	if err := h.g.services.InReaderNamespace(cmd); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	cmd.Env = append(cmd.Environ(), h.g.services.Mark("bench-virtualsam"))
	if err := cmd.Start(); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	h.samEnd = func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		return os.RemoveAll(dir)
	}
	return until(ctx, 10*time.Millisecond, readyLimit, "the virtual chips", func() (bool, error) {
		var err error
		h.sam, err = client.Dial(ctx, socket)
		return err == nil, nil
	})
}

func (h *hall) startStation(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return err
	}
	dir := filepath.Join(h.g.dir, "bench-perso")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	clockFile := filepath.Join(dir, "clock")
	if err := os.WriteFile(clockFile, []byte(persoAt.Format(time.RFC3339)+"\n"), 0o600); err != nil {
		return err
	}
	hsm, db, broker := h.g.services.HSM, h.g.postgresConfig(persoName), h.g.rabbitConfig(persoName, "perso-station")
	var names []string
	for _, r := range h.readers[:persoReaders] {
		names = append(names, r.Name)
	}
	body, err := json.Marshal(map[string]any{ // JSON is YAML
		"http": map[string]any{"addr": address}, "office_clock": "file:" + clockFile, "station": "bench-1",
		"postgres":   map[string]any{"url": db.URL, "password_file": db.PasswordFile},
		"rabbit":     map[string]any{"url": broker.URL, "password_file": broker.PasswordFile, "name": broker.Name},
		"token":      map[string]any{"module": hsm.Module, "token_label": hsm.Label, "pin_file": hsm.PINFile},
		"production": false, "journal": filepath.Join(dir, "journal.jsonl"), "readers": names,
	})
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "perso-station.yaml")
	if err := os.WriteFile(config, body, 0o600); err != nil {
		return err
	}
	h.station, err = h.g.launch(ctx, "perso-station", config, "http://"+address, nil)
	return err
}

// chip makes the blank of the next listed card.
func (h *hall) chip(ctx context.Context, slow int) (serial string, err error) {
	if len(h.serials) == 0 {
		return "", errors.New("no listed card is left")
	}
	serial, h.serials = h.serials[0], h.serials[1:]
	return h.make(ctx, serial, slow)
}

func (h *hall) make(ctx context.Context, serial string, slow int) (string, error) {
	master, err := h.token.FindKey(ctx, persoKeys[0])
	if err != nil {
		return "", err
	}
	var keys [3]control.Secret
	for i, purpose := range []byte{pkcs11.PurposeENC, pkcs11.PurposeMAC, pkcs11.PurposeDEK} {
		value, err := master.KDF3(ctx, purpose, card.SeedChipID(serial), 16)
		if err != nil {
			return "", err
		}
		keys[i] = control.Secret(hex.EncodeToString(value))
	}
	return serial, h.sam.Make(ctx, control.Make{
		ID: serial, Serial: serial, Seed: serial, KVN: "30", ENC: keys[0], MAC: keys[1], DEK: keys[2], Fault: card.Fault{SlowMS: slow},
	})
}

// present puts a card in, waits until the station has made it clear, and takes it out.
func (h *hall) present(ctx context.Context, reader, serial string) (clear time.Time, err error) {
	if err := h.sam.Insert(ctx, reader, serial); err != nil {
		return clear, err
	}
	if err := until(ctx, 5*time.Millisecond, cardLimit, "clear", func() (bool, error) {
		s, err := h.slot(ctx, reader)
		if err != nil || s.Serial != serial || s.Outcome == "" {
			return false, err
		}
		clear = s.Since
		if s.Outcome != "clear" {
			return false, fmt.Errorf("%s: %s", s.Outcome, s.Reason)
		}
		return true, nil
	}); err != nil {
		return clear, err
	}
	if err := h.sam.Remove(ctx, reader); err != nil {
		return clear, err
	}
	return clear, until(ctx, 5*time.Millisecond, cardLimit, "an empty slot", func() (bool, error) {
		s, err := h.slot(ctx, reader)
		return s.Word == "masukkan", err
	})
}

// slotStatus is what the bench reads of a reader in the station's view.
type slotStatus struct {
	Name, Word, Serial, Outcome, Reason string
	Since                               time.Time
}

// slot asks what the station's own screen asks. The daemon's status would have every
// check run for each question, and the watching would cost more than the cards.
func (h *hall) slot(ctx context.Context, name string) (s slotStatus, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.station.address+"/api/v1/station?brief=true", nil)
	if err != nil {
		return s, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	var view struct{ Readers []slotStatus }
	if err := json.NewDecoder(res.Body).Decode(&view); err != nil {
		return s, err
	}
	for _, r := range view.Readers {
		if r.Name == name {
			return r, nil
		}
	}
	return s, nil
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/demo/hand"
	"dukcapil.go.id/sifilma/test/demo/people"
	"dukcapil.go.id/sifilma/test/demo/story"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/control/client"
)

const (
	usage    = "pemakaian: demo berkas [-kartu 25] [-ke FOLDER] | demo kartu [-gagal | -ragu] NO-SERI [NO-SERI ...]"
	cardTime = 2 * time.Minute
	lookAt   = 200 * time.Millisecond
)

func byHand(ctx context.Context, args []string) error {
	switch args[0] {
	case "berkas":
		return writeFiles(args[1:])
	case "kartu":
		return putCards(ctx, args[1:])
	}
	return errors.New(usage)
}

// writeFiles writes what a new request needs, with serials of its own.
func writeFiles(args []string) error {
	fs := flag.NewFlagSet("berkas", flag.ContinueOnError)
	dir := fs.String("dir", "", "folder kerja (bawaan: SIFILMA_RUN_DIR, lalu .run)")
	o := story.Order{Title: "Permohonan percobaan"}
	fs.IntVar(&o.Cards, "kartu", 25, "jumlah kartu")
	fs.StringVar(&o.PKS, "pks", "119/4051/DUKCAPIL/2026", "nomor PKS lembaga")
	fs.StringVar(&o.Lembaga, "lembaga", "PT Bank Contoh Nusantara", "lembaga pengguna")
	fs.StringVar(&o.Produsen, "produsen", "PT Produsen Contoh", "produsen")
	to := fs.String("ke", "contoh", "folder tujuan")
	if err := fs.Parse(args); err != nil {
		return err
	}
	run, err := local.RunDir(*dir)
	if err != nil {
		return err
	}
	office, err := clock.OpenOffice("file:" + filepath.Join(run, "office-clock"))
	if err != nil {
		return err
	}
	o.Today = clock.Today(office)
	key, parts, err := o.Parts()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*to, 0o750); err != nil {
		return err
	}
	fmt.Println("curl -H 'Authorization: Bearer KUNCI-API' -H 'Idempotency-Key: " + key + "' \\")
	for _, p := range parts {
		name := p.File
		if name == "" {
			name = p.Name + ".json"
		}
		path := filepath.Join(*to, name)
		if err := os.WriteFile(path, p.Body, 0o600); err != nil {
			return err
		}
		fmt.Printf("  -F '%s=@%s;type=%s' \\\n", p.Name, path, p.MediaType)
	}
	fmt.Println("  ALAMAT-INTAKE/api/v1/requests")
	fmt.Printf("No. seri kartu: %s sampai %s\n", story.Serial(key, 1), story.Serial(key, o.Cards))
	return nil
}

// putCards puts blank cards with these printed serials into a reader, one after the
// other, and takes each out when the station says so.
func putCards(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("kartu", flag.ContinueOnError)
	dir := fs.String("dir", "", "folder kerja (bawaan: SIFILMA_RUN_DIR, lalu .run)")
	fail := fs.Bool("gagal", false, "kartu yang rusak: penulisannya gagal")
	doubt := fs.Bool("ragu", false, "kartu yang terlepas di tengah penulisan: hasilnya meragukan; masukkan lagi tanpa -ragu supaya dibaca")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return errors.New(usage)
	}
	s, err := local.Load(*dir)
	if err != nil {
		return err
	}
	station, err := stationOf(s.Dir)
	if err != nil {
		return err
	}
	if err := os.Setenv("SOFTHSM2_CONF", s.HSM.Config); err != nil { // the module reads the process's environment
		return err
	}
	token, err := pkcs11.Open(pkcs11.Config{Module: s.HSM.Module, TokenLabel: s.HSM.Label, PINFile: s.HSM.PINFile})
	if err != nil {
		return err
	}
	defer func() { _ = token.Close() }()
	sam, err := client.Dial(ctx, filepath.Join(filepath.Dir(s.PCSC.Socket), "virtualsam.sock"))
	if err != nil {
		return fmt.Errorf("pembaca maya tidak menjawab; apakah kantor berjalan (make run)? %w", err)
	}
	defer func() { _ = sam.Close() }()
	maker, err := hand.NewChipMaker(ctx, sam, token)
	if err != nil {
		return err
	}
	var fault card.Fault
	switch {
	case *fail:
		fault.MemoryFailureAt = card.StepCONF
	case *doubt:
		fault.VanishAtStep, fault.Executed = card.StepCONF, true
	}
	for _, serial := range fs.Args() {
		made := maker.Made(serial)
		if err := maker.Make(ctx, serial, fault); err != nil {
			return err
		}
		if made {
			if err := sam.Fault(ctx, serial, fault); err != nil {
				return err
			}
		}
		said, err := putCard(ctx, sam, people.NewProgram(station, ""), serial)
		if err != nil {
			return err
		}
		fmt.Println(serial + ": " + said)
	}
	return nil
}

// putCard puts one card into the first empty reader and says what became of it.
func putCard(ctx context.Context, sam *client.Client, station *people.Client, serial string) (said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, cardTime)
	defer cancel()
	readers, _, err := sam.List(ctx)
	if err != nil {
		return "", err
	}
	reader := ""
	for _, r := range readers {
		if r.ID == "" {
			reader = r.Name
			break
		}
	}
	if reader == "" {
		return "", errors.New("tidak ada pembaca yang kosong")
	}
	if err := sam.Insert(ctx, reader, serial); err != nil {
		return "", err
	}
	inside := true
	defer func() {
		if inside {
			err = errors.Join(err, sam.Remove(context.WithoutCancel(ctx), reader))
		}
	}()
	for {
		readers, _, err := sam.List(ctx)
		if err != nil {
			return "", err
		}
		for _, r := range readers {
			inside = inside && (r.Name != reader || r.ID != "") // it may slip out
		}
		slots, err := hand.Slots(ctx, station)
		if err != nil {
			return "", err
		}
		for _, s := range slots {
			if s.Name == reader && s.Serial == serial && s.May() {
				return strings.TrimSpace(outcomes[s.Outcome] + " " + s.Reason), nil
			}
		}
		if !inside {
			return "kartu terlepas dari pembaca; lihat keadaannya pada halaman permohonan.", nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("stasiun belum selesai dengan kartu %s: %w", serial, ctx.Err())
		case <-time.After(lookAt):
		}
	}
}

var outcomes = map[string]string{"clear": "berhasil.", "failed": "gagal.", "in_doubt": "meragukan.", "refused": "ditolak."}

// stationOf is the address of the station in a run directory.
func stationOf(dir string) (string, error) {
	body, err := os.ReadFile(filepath.Join(dir, "etc", "perso-station.yaml"))
	if err != nil {
		return "", fmt.Errorf("kantor belum pernah berjalan di %s: %w", dir, err)
	}
	var c struct {
		HTTP struct {
			Addr string `yaml:"addr"`
		} `yaml:"http"`
	}
	if err := yaml.Unmarshal(body, &c); err != nil {
		return "", err
	}
	return "http://" + c.HTTP.Addr, nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/keyring"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/readers"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/trial"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/config"
	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/smartcard"
	"dukcapil.go.id/sifilma/schema"
)

// tryFlag asks for a trial instead of the daemon.
const tryFlag = "-try"

// insertWait is how long a trial waits for its card.
const insertWait = 2 * time.Minute

// tryProfile runs a trial if the arguments ask for one: then it returns true and the
// exit code, 0 when the profile does what it says.
func tryProfile(args []string, stdout, stderr io.Writer) (code int, trial bool) {
	if len(args) == 0 || args[0] != tryFlag {
		return 0, false
	}
	fs := flag.NewFlagSet("perso-station", flag.ContinueOnError)
	fs.SetOutput(stderr)
	edition := fs.String("try", "", "edisi `profil/versi` yang dicoba pada satu kartu uji; kartunya tidak dapat dipakai lagi")
	keyCode := fs.String("key-code", "ktpel", "Kode Kunci yang dipakai, edisi yang berlaku")
	reader := fs.String("in", "", "nama `pembaca` tempat kartu uji")
	by := fs.String("by", whoRuns(), "`nama` orang yang mencoba")
	serial := fs.String("serial", "", "`nomor` seri yang tercetak pada kartu uji, bila profilnya membaca nomor itu dengan pemindai")
	path := fs.String("config", "", "berkas konfigurasi stasiun")
	if len(args) == 2 && explain(args[1:], io.Discard) { // else -h would be the edition
		fs.SetOutput(stdout)
		fs.PrintDefaults()
		return 0, true
	}
	if err := fs.Parse(args); err != nil {
		return 2, true
	}
	cfg := defaults()
	err := config.Load(*path, &cfg)
	if err == nil && *reader == "" {
		err = errors.New("-in: sebut pembaca tempat kartu uji")
	}
	if err == nil && strings.TrimSpace(*by) == "" {
		err = errors.New("-by: sebut nama orang yang mencoba")
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "perso-station:", err)
		return 2, true
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	passed, err := runTrial(ctx, &cfg, toRun{*edition, *keyCode, *reader, strings.TrimSpace(*by), cardlist.Normalise(*serial)}, stdout, stderr)
	switch {
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "perso-station:", err)
		return 1, true
	case !passed:
		return 1, true
	}
	return 0, true
}

// toRun is a trial that is asked for.
type toRun struct{ edition, keyCode, reader, by, serial string }

// whoRuns is whoever started the program, also by sudo; empty if nobody knows.
func whoRuns() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if who, err := user.Current(); err == nil {
		return who.Username
	}
	return ""
}

func runTrial(ctx context.Context, cfg *Config, in toRun, stdout, stderr io.Writer) (passed bool, err error) {
	if err := cfg.readers().Use(in.reader); err != nil {
		if errors.Is(err, readers.ErrVirtual) {
			return false, err
		}
		return false, fmt.Errorf("-in: pembaca %q bukan pembaca stasiun ini; lihat readers pada konfigurasinya, dan nama pembaca pada halaman stasiun", in.reader)
	}
	db, err := postgres.Open(cfg.Postgres)
	if err != nil {
		return false, err
	}
	defer func() { _ = db.Close() }()
	db.Expect(schema.Version())
	office, err := clock.OpenOffice(cfg.OfficeClock)
	if err != nil {
		return false, err
	}
	plan, err := toTry(ctx, db, in.edition, in.keyCode)
	if err != nil {
		return false, err
	}
	compiled, err := plan.Compile()
	if err != nil {
		return false, err
	}
	if err := compiled.Runnable(); err != nil {
		return false, err
	}
	if compiled.Identify.Serial.From == profile.FromBarcode && in.serial == "" {
		return false, errors.New("-serial: profil ini membaca nomor seri dengan pemindai; sebut nomor yang tercetak pada kartu uji")
	}
	token, err := pkcs11.Open(cfg.Token)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, token.Close()) }()
	log := zerolog.New(stderr)
	child, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	slot, err := smartcard.StartReader(child, smartcard.Options{
		Name: in.reader, Command: []string{self, readers.ChildFlag, in.reader}, TransmitTimeout: compiled.Timeouts.Command.Duration(), Log: log,
	})
	if err != nil {
		return false, err
	}
	defer func() {
		end()
		<-slot.Done()
	}()
	_, _ = fmt.Fprintf(stderr, "Masukkan satu kartu uji ke pembaca %s, paling lama dalam %d menit. Kartunya tidak dapat dipakai lagi sesudahnya.\n",
		in.reader, int(insertWait/time.Minute))
	card, err := inserted(ctx, slot, compiled.Domain, stderr)
	if err != nil {
		return false, err
	}
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), 4*compiled.Timeouts.Card.Duration()) // a look after each step
	report := trial.Run(work, card, compiled, keyring.New(token, compiled, keybook.Book{DB: db}), trial.Desk{DB: db, Office: office, Serial: in.serial})
	cancel()
	err = card.Close(true)
	body, merr := json.MarshalIndent(report, "", "  ")
	if err = errors.Join(err, merr); err != nil {
		return false, err
	}
	_, _ = fmt.Fprintln(stdout, string(body))
	return report.Passed, db.InTx(context.WithoutCancel(ctx), func(ctx context.Context, tx *postgres.Tx) error {
		return recipe.AddTrial(ctx, tx, recipe.Trial{
			ProfileID: plan.Profile.ID, ContentSHA256: plan.Profile.SHA256, KeyCodeID: plan.KeyCode.ID, Station: cfg.Station, TriedBy: in.by, ChipID: report.ChipID, Passed: report.Passed,
			Report: body, OfficeAt: office.Now(),
		})
	})
}

// toTry is a profile's edition, in force or not, with the keys in force.
func toTry(ctx context.Context, db *postgres.DB, label, keyCode string) (p recipe.Plan, err error) {
	code, number, _ := strings.Cut(label, "/")
	n, err := strconv.Atoi(number)
	if err != nil {
		return p, fmt.Errorf("%s: %q bukan nama dan versi seperti gp-scp03-sam/2", tryFlag, label)
	}
	all, err := recipe.Editions(ctx, db, recipe.Profile, code)
	if err != nil {
		return p, err
	}
	for _, r := range all {
		if r.Edition == n {
			p.Profile = r
		}
	}
	if p.Profile.ID == "" {
		return p, fmt.Errorf("%s: edisi %s tidak ada", tryFlag, label)
	}
	if p.KeyCode, err = recipe.InForce(ctx, db, recipe.KeyCode, keyCode); err != nil {
		return p, fmt.Errorf("-key-code: tidak ada Kode Kunci %q yang berlaku: %w", keyCode, err)
	}
	return p, nil
}

// again is how often a card that is there and does not answer is connected anew: a
// reader that was just plugged in, or a card just put in, may need it.
const again = 500 * time.Millisecond

// heldBySomeone is said when the card is in a reader that another program holds: nearly
// always the station itself.
const heldBySomeone = "pembaca ini sedang dipakai program lain; hentikan stasiunnya selama uji coba, atau pakai pembaca lain"

// inserted waits for a card that answers, and tells people what it waits for.
func inserted(ctx context.Context, slot *smartcard.Reader, domain []byte, say io.Writer) (*smartcard.Card, error) {
	ctx, cancel := context.WithTimeout(ctx, insertWait)
	defer cancel()
	retry := time.NewTicker(again)
	defer retry.Stop()
	held := false
	for there := false; ; {
		select {
		case <-ctx.Done():
			if held {
				return nil, errors.New(heldBySomeone)
			}
			return nil, errors.New("tidak ada kartu uji yang menjawab di pembaca")
		case e, ok := <-slot.Events():
			if !ok {
				return nil, errors.New("pembaca tidak dapat dipakai")
			}
			switch e.Kind {
			case smartcard.Inserted:
				there = !e.Mute
			case smartcard.Removed, smartcard.ReaderAway:
				there = false
			}
		case <-retry.C:
		}
		if !there {
			continue
		}
		card, err := slot.Connect(ctx)
		if busy := errors.Is(err, smartcard.ErrReaderBusy); ctx.Err() == nil && busy != held {
			if held = busy; held {
				_, _ = fmt.Fprintln(say, "perso-station: "+heldBySomeone)
			}
		}
		if err != nil {
			continue
		}
		_, err = globalplatform.Select(ctx, card, domain) // changes nothing
		if _, answered := globalplatform.StatusOf(err); err == nil || answered {
			return card, nil
		}
		_ = card.Close(true)
	}
}

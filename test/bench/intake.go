package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

const (
	intakeName    = "bench_intake"
	intakeVhost   = "bench-intake"
	intakeClients = 64
	// intakeProdusen spreads the clients: one produsen has a quarter of the
	// intake's places at most.
	intakeProdusen = 8
	intakeTime     = 5 * time.Second
)

// intakeBench sends drops to the real intake, as delivered but for the rate of
// a key, and counts those that were accepted and are in the database.
type intakeBench struct {
	g    *ground
	db   *postgres.DB
	keys []string
	peak float64 // MB, the largest resident memory under the clients' load
	// body is a drop around its No. Pengajuan.
	head, tail  []byte
	contentType string
}

// Further settings of the section api: the intake as delivered, and the same
// handler with a transaction for each drop.
const (
	intakeSettings    = ""
	oneTransactionPer = ", drops_per_commit: 1"
)

func benchIntake(ctx context.Context, g *ground) (err error) {
	b := &intakeBench{g: g}
	if b.db, err = g.freshDatabase(ctx, intakeName); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.db.Close()) }()
	if err := g.freshVhost(ctx, intakeVhost); err != nil {
		return err
	}
	if err := b.seed(ctx); err != nil {
		return err
	}
	if err := b.compose(); err != nil {
		return err
	}
	results, err := g.takeTurns(ctx, "intake",
		side{"intake", b.with(intakeSettings)}, side{"tx-per-request", b.with(oneTransactionPer)})
	if err != nil {
		return err
	}
	compare(os.Stdout, "intake", "drops/s", results[0], results[1])
	compare(os.Stdout, "intake-memory", "MB", limit("peak", b.peak), limit("promise-idle", idlePromise))
	return nil
}

func (b *intakeBench) seed(ctx context.Context) error {
	if err := machine.Sync(ctx, b.db, request.Machine); err != nil {
		return err
	}
	return b.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		b.keys = nil
		for i := range intakeProdusen {
			in, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: fmt.Sprintf("PT Produsen Contoh %d", i+1)})
			if err != nil {
				return err
			}
			key, err := identity.NewAPIKey(ctx, tx, in.ID, "bench", []string{identity.ScopeRequestWrite}, time.Now().Add(24*time.Hour))
			if err != nil {
				return err
			}
			b.keys = append(b.keys, key)
		}
		return institution.SeedMachineType(ctx, tx, institution.MachineType{
			Code: "GSX-01", Name: "GSX-01", UsesReader: true, SAMPattern: `SAM-[0-9]{6}`, ReaderPattern: `R-[0-9]{6}`,
		})
	})
}

// compose writes the drop that is sent again and again: a form, three small
// papers, a list of three cards. Only the No. Pengajuan differs.
func (b *intakeBench) compose() error {
	const mark = "MARK-OF-REFERENCE"
	form, err := json.Marshal(map[string]any{
		"kind": "reader", "reference": mark, "title": "Personalisasi", "sam_function": "R", "card_count": 3,
		"machine_type": "GSX-01", "pks_number": "PKS/1", "notes": "",
		"letter": map[string]any{"sender": "PT Produsen Contoh", "post": "Direktur", "number": "12/DIR",
			"date": time.Now().AddDate(0, 0, -2).Format(time.DateOnly), "subject": "Permohonan"},
		"lines":           []any{map[string]any{"lembaga": "PT Bank Contoh", "quantity": 3, "remarks": ""}},
		"purchase_orders": []any{map[string]any{"number": "PO-1", "from": "PT Bank Contoh", "to": "PT Produsen Contoh", "reader_count": 3}},
	})
	if err != nil {
		return err
	}
	var cards []cardlist.Row
	for i := range 3 {
		cards = append(cards, cardlist.Row{Row: i + 1, Serial: fmt.Sprintf("SAM-%06d", i), ReaderSerial: fmt.Sprintf("R-%06d", i)})
	}
	var list bytes.Buffer
	if err := cardlist.WriteSheet(&list, cards); err != nil {
		return err
	}
	pdf := []byte("%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
		"3 0 obj<</Type/Page/Parent 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n")
	var whole bytes.Buffer
	w := multipart.NewWriter(&whole)
	for _, p := range []struct {
		name, file string
		content    []byte
	}{{"request", "", form}, {"letter", "surat.pdf", pdf}, {"purchase_order", "po.pdf", pdf}, {"pks", "pks.pdf", pdf}, {"card_list", "daftar.xlsx", list.Bytes()}} {
		disposition := fmt.Sprintf("form-data; name=%q", p.name)
		if p.file != "" {
			disposition += fmt.Sprintf("; filename=%q", p.file)
		}
		part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {disposition}})
		if err != nil {
			return err
		}
		if _, err := part.Write(p.content); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	var found bool
	b.head, b.tail, found = bytes.Cut(whole.Bytes(), []byte(mark))
	b.contentType = w.FormDataContentType()
	if !found {
		return errors.New("the drop has no reference")
	}
	return nil
}

// with measures the intake under further settings.
func (b *intakeBench) with(settings string) func(context.Context) (float64, error) {
	return func(ctx context.Context) (rate float64, err error) {
		ports, err := local.FreePorts(b.g.services.Postgres.Port+300, 1)
		if err != nil {
			return 0, err
		}
		addr := "127.0.0.1:" + strconv.Itoa(ports[0])
		db, broker := b.g.postgresConfig(intakeName), b.g.rabbitConfig(intakeVhost, "intake")
		path := filepath.Join(b.g.dir, "intake-bench.yaml")
		if err := os.WriteFile(path, fmt.Appendf(nil,
			"log_level: warn\nhttp: {addr: %q}\npostgres: {url: %q, password_file: %q}\nrabbit: {url: %q, password_file: %q}\n"+
				"api: {rate_per_second: 1000000, rate_burst: 1000000%s}\n",
			addr, db.URL, db.PasswordFile, broker.URL, broker.PasswordFile, settings), 0o600); err != nil {
			return 0, err
		}
		d, err := b.g.launch(ctx, "intake", path, "http://"+addr, nil)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, d.stop()) }()
		if err := b.g.settleDown(ctx); err != nil {
			return 0, err
		}
		rate, err = b.rush(ctx, d)
		if mb, ok := resident(d.cmd.Process.Pid, "VmHWM"); ok {
			b.peak = max(b.peak, mb)
		}
		return rate, err
	}
}

// rush lets the clients send for a while and returns the accepted drops a
// second, after it has found each of them in the database.
func (b *intakeBench) rush(ctx context.Context, d *process) (float64, error) {
	before, err := b.stored(ctx)
	if err != nil {
		return 0, err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: intakeClients}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	counts, faults := make([]int, intakeClients), make([]error, intakeClients)
	spentBefore, daemonBefore := b.g.spent(), familyTime(d.cmd.Process.Pid)
	began := time.Now()
	var all sync.WaitGroup
	for i := range intakeClients {
		all.Go(func() {
			for time.Since(began) < intakeTime && ctx.Err() == nil && faults[i] == nil {
				if faults[i] = b.send(ctx, client, d.address, b.keys[i%len(b.keys)]); faults[i] == nil {
					counts[i]++
				}
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	if err := errors.Join(faults...); err != nil {
		return 0, err
	}
	accepted := 0
	for _, n := range counts {
		accepted += n
	}
	daemon := familyTime(d.cmd.Process.Pid) - daemonBefore
	b.g.spent().tell("intake", spentBefore, accepted)
	fmt.Printf("note intake cpu_us_per_drop intake=%.0f (go above: the clients)\n", float64(daemon.Microseconds())/float64(max(accepted, 1)))
	after, err := b.stored(ctx)
	if err != nil {
		return 0, err
	}
	if after-before != accepted {
		return 0, fmt.Errorf("%d drops were accepted, %d are in the database", accepted, after-before)
	}
	return float64(accepted) / took.Seconds(), nil
}

// stored counts the requests that have all that a drop writes.
func (b *intakeBench) stored(ctx context.Context) (n int, err error) {
	err = b.db.Get(ctx, &n, `
		SELECT count(*) FROM request r
		WHERE EXISTS (SELECT FROM history h WHERE h.subject = r.id AND h.to_state = 'submitted')
		  AND EXISTS (SELECT FROM outbox o WHERE o.subject = r.id)
		  AND EXISTS (SELECT FROM audit a WHERE a.request_id = r.id)
		  AND (SELECT count(*) FROM request_file f WHERE f.request_id = r.id) = 4`)
	return n, err
}

func (b *intakeBench) send(ctx context.Context, client *http.Client, address, key string) error {
	reference := strings.ToUpper(uuid.NewString()[:18])
	body := bytes.Join([][]byte{b.head, b.tail}, []byte(reference))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/api/v1/requests", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", b.contentType)
	req.Header.Set("Idempotency-Key", uuid.NewString())
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusAccepted {
		return fmt.Errorf("intake answered %s: %s", res.Status, text)
	}
	return nil
}

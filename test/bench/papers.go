package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice/seed"
)

const (
	papersName     = "bench_papers"
	papersRequests = 100 // that finish together
	papersCards    = 25  // of each
	papersPrinted  = 3   // of a request that LibreOffice prints: two letters and the BAST
	papersMade     = 4   // of a request: those and the result list
	papersRounds   = 1   // unless roundsVariable is set: each takes minutes
	papersPromise  = 240.0
	papersLimit    = 20 * time.Minute
	bareRun        = 50 // documents that bare LibreOffice gets at once

	fillCards   = 250
	fillAgain   = 25
	fillPromise = 50.0 // ms
)

// benchPapers measures how long the papers of requests that finish together take with
// the real generator, beside LibreOffice alone with as many documents.
func benchPapers(ctx context.Context, g *ground) error {
	few := *g
	if os.Getenv(roundsVariable) == "" {
		few.rounds = papersRounds
	}
	times, err := few.takeTurns(ctx, "papers",
		side{"papers", few.papersOnce},
		side{"bare-soffice", few.bareSoffice})
	if err != nil {
		return err
	}
	compare(os.Stdout, "papers", "s", times[0], times[1], limit("promise", papersPromise))
	return nil
}

// papersOnce has the generator make the papers of all requests, and counts them.
func (g *ground) papersOnce(ctx context.Context) (seconds float64, err error) {
	db, err := g.freshDatabase(ctx, papersName)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := g.freshVhost(ctx, papersName); err != nil {
		return 0, err
	}
	plan := seed.Plan{Cards: papersCards, Failed: 1, Lembaga: []string{"PT Bank Contoh Nusantara", "PT Asuransi Contoh Sejahtera"}}
	if err := seed.Prepare(ctx, db, plan); err != nil {
		return 0, err
	}
	p, err := g.launchGenerator(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	requests, err := finishTogether(ctx, db, plan)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for _, r := range requests {
		if err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			if err := seed.Finish(ctx, tx, r); err != nil {
				return err
			}
			_, err := handover.Open(ctx, tx, r.ID, 0, seed.As(request.Operator, ""))
			return err
		}); err != nil {
			return 0, err
		}
	}
	if err := until(ctx, 100*time.Millisecond, papersLimit, "papers", func() (bool, error) {
		var n int
		err := db.Get(ctx, &n, `SELECT count(*) FROM document WHERE state IN ('awaiting_signature', 'issued')`)
		return n == papersMade*papersRequests, err
	}); err != nil {
		return 0, err
	}
	seconds = time.Since(began).Seconds()
	var n int
	if err := db.Get(ctx, &n, `SELECT count(DISTINCT (kind, subject_id)) FROM document`); err != nil {
		return 0, err
	}
	if n != papersMade*papersRequests {
		return 0, fmt.Errorf("%d papers of %d", n, papersMade*papersRequests)
	}
	return seconds, nil
}

// finishTogether adds requests that are in progress with all their cards through.
func finishTogether(ctx context.Context, db *postgres.DB, plan seed.Plan) (requests []seed.Request, err error) {
	for n := range papersRequests {
		if err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			r, err := seed.Insert(ctx, tx, plan, n+1)
			requests = append(requests, r)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return requests, nil
}

// launchGenerator runs the real generator as it is delivered.
func (g *ground) launchGenerator(ctx context.Context) (*process, error) {
	ports, release, err := local.FreePorts(g.services.Postgres.Port+300, 1)
	if err != nil {
		return nil, err
	}
	defer release()
	addr := "127.0.0.1:" + strconv.Itoa(ports[0])
	db, broker := g.postgresConfig(papersName), g.rabbitConfig(papersName, "document-generator")
	path := filepath.Join(g.dir, "document-generator-bench.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil,
		"log_level: warn\nhttp: {addr: %q}\npostgres: {url: %q, password_file: %q}\nrabbit: {url: %q, password_file: %q}\n",
		addr, db.URL, db.PasswordFile, broker.URL, broker.PasswordFile), 0o600); err != nil {
		return nil, err
	}
	return g.launch(ctx, "document-generator", path, "http://"+addr, nil)
}

// filledBAST is a BAST of n cards, made from the delivered template.
func filledBAST(n int) ([]byte, error) {
	template, err := configs.Template("bast")
	if err != nil {
		return nil, err
	}
	inside, err := docx.Inspect(template)
	if err != nil {
		return nil, err
	}
	var dot bytes.Buffer
	if err := png.Encode(&dot, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, tag := range inside.Tags {
		if tag[0] != '@' {
			values[tag] = "Contoh"
		}
	}
	cards := make([]map[string]string, n)
	for i := range cards {
		cards[i] = map[string]string{"no": strconv.Itoa(i + 1), "serial": fmt.Sprintf("SAM01%06d", i+1), "pcid": fmt.Sprintf("%032d", i+1), "manifest_number": fmt.Sprintf("M-2026-%08d", i+1)}
	}
	return docx.Fill(template, values, map[string][]map[string]string{"cards": cards}, docx.Picture{Name: "verification_qr", PNG: dot.Bytes(), Width: 20, Height: 20})
}

// bareSoffice converts as many documents as LibreOffice prints for the requests, each a
// BAST of as many cards, in runs of bareRun: it loses some of 300 that are given at once.
func (g *ground) bareSoffice(ctx context.Context) (seconds float64, err error) {
	body, err := filledBAST(papersCards)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp(g.dir, "bench-soffice-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return 0, err
	}
	const n = papersPrinted * papersRequests
	var paths []string
	for i := range n {
		path := filepath.Join(dir, fmt.Sprintf("%04d.docx", i))
		if err := os.WriteFile(path, body, 0o600); err != nil {
			return 0, err
		}
		paths = append(paths, path)
	}
	began := time.Now()
	for some := range slices.Chunk(paths, bareRun) {
		args := append([]string{"-env:UserInstallation=file://" + filepath.Join(dir, "profile"), "--headless", "--convert-to", "pdf:writer_pdf_Export",
			"--outdir", filepath.Join(dir, "out")}, some...)
		if said, err := exec.CommandContext(ctx, "soffice", args...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("soffice: %w: %s", err, said)
		}
	}
	seconds = time.Since(began).Seconds()
	made, err := filepath.Glob(filepath.Join(dir, "out", "*.pdf"))
	if err == nil && len(made) != n {
		err = fmt.Errorf("soffice made %d papers of %d", len(made), n)
	}
	return seconds, err
}

// benchFill measures the filling of a BAST with a day's cards, without LibreOffice.
func benchFill(ctx context.Context, g *ground) error {
	times, err := g.takeTurns(ctx, "fill", side{"fill-250", func(context.Context) (float64, error) {
		var took []float64
		for range fillAgain {
			began := time.Now()
			if _, err := filledBAST(fillCards); err != nil {
				return 0, err
			}
			took = append(took, float64(time.Since(began).Microseconds())/1000)
		}
		slices.Sort(took)
		return took[len(took)/2], nil
	}})
	if err != nil {
		return err
	}
	compare(os.Stdout, "fill-250", "ms", times[0], limit("promise", fillPromise))
	return nil
}

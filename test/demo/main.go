// Command demo plays the people around SI-FILMA: a produsen's software that
// drops a request, the staff who register, decide and sign, and the hand that
// puts cards into the readers. It uses nothing that they would not use: the
// intake endpoint, the portal's API, the readers.
//
// It reads its script, a JSON object that `sifilma up` writes, from standard
// input. With arguments it does one thing for whoever tries the office by hand:
// `demo berkas` writes the files of a new request, `demo kartu` puts cards in.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"dukcapil.go.id/sifilma/test/demo/story"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); ctx.Err() != nil {
		os.Exit(130) // stopped, not failed
	} else if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "peragaan:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return byHand(ctx, args)
	}
	var script story.Script
	if err := json.NewDecoder(os.Stdin).Decode(&script); err != nil {
		return fmt.Errorf("membaca naskah: %w", err)
	}
	return story.Play(ctx, script, os.Stdout)
}

// Command virtualsam is a box of virtual SAM KTP-el chips and the slots of a
// vpcd driver to put them in. Tests and the demo steer it over a unix socket.
// It is never part of a production machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"dukcapil.go.id/sifilma/test/virtualsam/control"
	"dukcapil.go.id/sifilma/test/virtualsam/vpcd"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

// readers collects -reader NAME=HOST:PORT; a name may hold an equals sign.
type readers [][2]string

func (r *readers) String() string { return "" }

func (r *readers) Set(value string) error {
	cut := strings.LastIndex(value, "=")
	if cut < 1 || cut == len(value)-1 {
		return errors.New("want NAME=HOST:PORT")
	}
	for _, other := range *r {
		if other[0] == value[:cut] {
			return fmt.Errorf("reader %q is named twice", value[:cut])
		}
	}
	*r = append(*r, [2]string{value[:cut], value[cut+1:]})
	return nil
}

func main() {
	var slots readers
	socket := flag.String("control", "", "unix socket to be steered by")
	path := flag.String("write-log", "", "file for the write log (JSON lines, appended)")
	attached := flag.Bool("attached", false, "end when standard input does, so as not to outlive a starter that dies")
	verbose := flag.Bool("v", false, "log each control request and lost connection")
	flag.Var(&slots, "reader", "NAME=HOST:PORT of a listening vpcd slot (repeat for more)")
	flag.Parse()
	level := zerolog.InfoLevel
	if *verbose {
		level = zerolog.DebugLevel
	}
	log := zerolog.New(os.Stderr).Level(level).With().Timestamp().Str("service", "virtualsam").Logger()
	if *socket == "" || len(slots) == 0 || flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if *attached {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	if err := run(ctx, *socket, *path, slots, log); err != nil {
		log.Error().Err(err).Msg("stopped")
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, socket, path string, named readers, log zerolog.Logger) (err error) {
	lines, err := writelog.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lines.Close()) }()
	listener, err := control.Listen(ctx, socket)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	slots := make([]*vpcd.Slot, len(named))
	for i, n := range named {
		slots[i] = vpcd.NewSlot(n[0], n[1], log)
		group.Go(func() error { return slots[i].Run(ctx) })
	}
	server := control.NewServer(slots, lines, log)
	group.Go(func() error { return server.Serve(ctx, listener) })
	log.Info().Str("control", socket).Int("readers", len(slots)).Msg("ready")
	return group.Wait()
}

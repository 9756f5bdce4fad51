package smartcard

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ebfe/scard"
)

const (
	// listEvery is how often the list of readers is looked at.
	listEvery = time.Second
	// listMisses is how many looks in a row a reader must be missing before it
	// is reported gone: while pcscd starts, its readers appear one by one.
	listMisses = 3
)

// WatchReaders calls change with the sorted names of the readers that are
// plugged in: once when pcscd first tells, then whenever they change, until ctx
// is done. While pcscd is away nothing is reported, because that says nothing
// about the readers; their own children report it. A removed reader is reported
// after three seconds, an added one within one.
func WatchReaders(ctx context.Context, change func(names []string)) {
	watchReaders(ctx, pcscd{}, listEvery, change)
}

func watchReaders(ctx context.Context, manager resourceManager, every time.Duration, change func([]string)) {
	looks := make(chan []string)
	go lookAtReaders(ctx, manager, every, looks)
	var known []string
	misses := make(map[string]int)
	first := true
	for {
		var names []string
		select {
		case <-ctx.Done():
			return
		case names = <-looks:
		}
		next := slices.Clone(names)
		for _, name := range names {
			delete(misses, name)
		}
		for _, name := range known {
			if slices.Contains(names, name) {
				continue
			}
			if misses[name]++; misses[name] < listMisses {
				next = append(next, name)
			} else {
				delete(misses, name)
			}
		}
		slices.Sort(next)
		next = slices.Compact(next)
		if first || !slices.Equal(next, known) {
			first, known = false, next
			change(slices.Clone(next))
		}
	}
}

// lookAtReaders lists the readers again and again through a context of its
// own. It runs apart from its consumer because a call to a hanging pcscd cannot
// be broken off.
func lookAtReaders(ctx context.Context, manager resourceManager, every time.Duration, looks chan<- []string) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var pcsc pcscContext
	release := func() {
		if pcsc != nil {
			_ = guard(pcsc.Release)
			pcsc = nil
		}
	}
	defer release()
	for {
		var names []string
		err := guard(func() (err error) {
			if pcsc == nil {
				if pcsc, err = manager.establish(); err != nil {
					pcsc = nil
					return err
				}
			}
			names, err = pcsc.ListReaders()
			return err
		})
		if errors.Is(err, scard.ErrNoReadersAvailable) {
			names, err = nil, nil
		}
		if err != nil {
			release()
		} else {
			select {
			case looks <- names:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

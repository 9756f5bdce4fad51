package line

import (
	"fmt"

	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
)

// The database counts the authentications of a chip that are not known to have
// succeeded, for all stations. A station counts those of its own in its journal, too:
// a database that was restored has forgotten some, and the chip has not. Whichever has
// its fill stops.

// countTry follows the tries of chips along the journal. What is only noted in a
// session of the card is a success.
func countTry(tries map[string]int, e journal.Entry) {
	switch e.Kind {
	case entryTry:
		tries[e.Card]++
	case entryUntried:
		tries[e.Card] = max(0, tries[e.Card]-1)
	case entryIntent, entryStep, entryProven:
		delete(tries, e.Card)
	}
}

// mayTry is perso.ErrAuthenticationStopped when a chip has had its tries by the journal.
func (l *Line) mayTry(chip string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tries[chip] >= perso.MaxAuthentications {
		return fmt.Errorf("%w: by the journal", perso.ErrAuthenticationStopped)
	}
	return nil
}

// allPassed tells that by the journal each try of a chip is known to have succeeded.
func (l *Line) allPassed(chip string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tries[chip] == 0
}

// tried puts a try into the journal before it is made.
func (l *Line) tried(chip string) error { return l.noteTry(entryTry, chip) }

// untried takes a try back that the chip has not heard of. Without it one too many is
// counted, which is the safe side.
func (l *Line) untried(chip string) {
	if err := l.noteTry(entryUntried, chip); err != nil {
		l.Log.Error().Err(err).Msg("journal does not take back a try")
	}
}

func (l *Line) noteTry(kind, chip string) error {
	e := journal.Entry{Kind: kind, Card: chip}
	if err := l.Journal.Append(e); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tries == nil {
		l.tries = map[string]int{}
	}
	countTry(l.tries, e)
	return nil
}

// passed forgets the tries of a chip after a success; the entries that follow say so
// to whoever reads the journal.
func (l *Line) passed(chip string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.tries, chip)
}

package console

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
)

// Failure is a card that did not become a SAM, with what was said to it.
type Failure struct {
	At      time.Time       `json:"at"`
	Reader  string          `json:"reader"`
	Serial  string          `json:"serial"`
	Chip    string          `json:"chip"`
	CardID  string          `json:"card_id"`
	Outcome string          `json:"outcome"` // failed, in_doubt or refused
	Reason  string          `json:"reason"`
	Trace   []line.Exchange `json:"trace"`
}

// mostFailures is how many are kept.
const mostFailures = 20

// keepFailure adds a failure, newest first. A refusal, which wrote nothing, makes way
// for others.
func keepFailure(list []Failure, f Failure) []Failure {
	list = slices.Insert(list, 0, f)
	if len(list) <= mostFailures {
		return list
	}
	at := len(list) - 1
	for i := at; i >= 0; i-- {
		if list[i].Outcome == "refused" {
			at = i
			break
		}
	}
	return slices.Delete(list, at, at+1)
}

// recall reads the failures of before the start. A file that cannot be read costs no
// more than them.
func recall(path string, log zerolog.Logger) (list []Failure) {
	if path == "" {
		return nil
	}
	body, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(body, &list)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn().Err(err).Msg("the failures of before the start cannot be read")
		return nil
	}
	return list
}

// save keeps the failures on disk when there are new ones. They are for people; the
// truth about a card is in the database and the journal.
func (c *Console) save() {
	c.mu.Lock()
	list, unsaved := slices.Clone(c.failures), c.unsaved
	c.unsaved = false
	c.mu.Unlock()
	if c.Memory == "" || !unsaved {
		return
	}
	body, err := json.Marshal(list)
	if err == nil {
		if err = os.WriteFile(c.Memory+".new", body, 0o600); err == nil {
			err = os.Rename(c.Memory+".new", c.Memory)
		}
	}
	if err != nil {
		c.Log.Warn().Err(err).Msg("the last failures cannot be kept over a restart")
	}
}

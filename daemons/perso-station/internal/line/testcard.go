package line

import (
	"context"
	"encoding/json"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/sam"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/trial"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// outcomeTest is that of a test card: it is nobody's, and of no further use.
const outcomeTest = "test"

// tested says, as a *perso.Refusal, that no test card has passed at this station on
// this office day, where the station is to be tested each day.
func (l *Line) tested(ctx context.Context) error {
	if l.TestCards == nil {
		return nil
	}
	today := clock.Today(l.Office)
	l.mu.Lock()
	known := l.testedOn == today
	l.mu.Unlock()
	if known {
		return nil
	}
	passed, err := recipe.PassedAt(ctx, l.DB, l.Station, today)
	if err != nil {
		return err
	}
	if !passed {
		return &perso.Refusal{Why: perso.TestCardDue}
	}
	l.mu.Lock()
	l.testedOn = today
	l.mu.Unlock()
	return nil
}

// isTestCard tells whether a card that no list has is one for tests: by its serial, or
// by its chip where nothing tells the serial.
func (l *Line) isTestCard(look sam.Look) bool {
	name := look.Serial
	if name == "" {
		name = look.ChipID
	}
	return l.TestCards != nil && l.TestCards.MatchString(name)
}

// testCard runs the day's test on a test card. Cards that wait for it are then looked
// at again. If the station ends in the middle, the test card is lost and nothing else.
func (t *task) testCard(ctx context.Context) verdict {
	work := context.WithoutCancel(ctx)
	show := func(v view) verdict {
		v.Serial, v.Chip = t.look.Serial, t.look.ChipID
		return verdict{view: v}
	}
	err := t.line.tested(work)
	if err == nil {
		return show(view{State: setAside, Outcome: outcomeRefused, Reason: "Kartu uji hari ini sudah lulus; simpan kartu ini untuk hari lain"})
	}
	if why, refused := perso.RefusedFor(err); !refused || why != perso.TestCardDue {
		return t.refusedBy(err)
	}
	if err := t.kit.ring.Check(work); err != nil {
		return t.away(err)
	}
	t.slot.show(view{State: working, Serial: t.look.Serial, Chip: t.look.ChipID, Step: "kartu uji"})
	t.dialogue.Close()
	card, cancel := context.WithTimeout(work, 4*t.kit.profile.Timeouts.Card.Duration()) // a look after each step
	report := trial.Run(card, t.card, t.kit.profile, t.kit.ring, trial.Desk{DB: t.line.DB, Office: t.line.Office, Serial: t.look.Serial})
	cancel()
	body, err := json.Marshal(report)
	if err == nil {
		err = t.line.DB.InTx(work, func(ctx context.Context, tx *postgres.Tx) error {
			return recipe.AddTrial(ctx, tx, recipe.Trial{
				ProfileID: t.kit.plan.Profile.ID, ContentSHA256: t.kit.plan.Profile.SHA256, KeyCodeID: t.kit.plan.KeyCode.ID, Station: t.line.Station,
				TriedBy: "stasiun " + t.line.Station, ChipID: report.ChipID, Passed: report.Passed, Report: body, OfficeAt: t.line.Office.Now(),
			})
		})
	}
	if err != nil {
		t.log.Error().Err(err).Msg("the test card's result is not kept; another one is needed")
		return show(view{State: setAside, Outcome: outcomeTest, Reason: "Hasil kartu uji tidak tercatat; pakai kartu uji lain"})
	}
	t.line.count(outcomeTest)
	if !report.Passed {
		t.log.Error().Str("problem", report.Problem).Msg("the day's test card did not pass")
		return show(view{State: setAside, Outcome: outcomeTest, Reason: "Kartu uji tidak lulus; hubungi petugas sebelum mencoba yang lain"})
	}
	t.log.Info().Str("presented", t.look.Serial).Msg("the day's test card has passed")
	t.line.Wake()
	return show(view{State: setAside, Outcome: outcomeTest, Reason: "Kartu uji lulus; simpan terpisah dari kartu permohonan"})
}

// forTest tells whether what was found of a card makes it a test card for the kit in
// hand: nobody knows it, and it is a blank of the kit.
func (t *task) forTest(err error) bool {
	why, refused := perso.RefusedFor(err)
	return refused && (why == perso.Unlisted || why == perso.SerialUnknown) &&
		t.line.isTestCard(t.look) && t.look.Fresh(t.kit.profile)
}

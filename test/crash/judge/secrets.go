package judge

import "context"

// secrets: the produsen can use each good card. Its file is there, one of the attempt that
// made it, for its own key and the office's; a card by hand has none.
func (j *judging) secrets(ctx context.Context) error {
	var without []string
	if err := j.db.Select(ctx, &without, `SELECT c.serial FROM card c JOIN perso_attempt a ON a.card_id = c.id AND a.attempt = c.attempt
		WHERE c.state = 'clear' AND a.by_hand = (EXISTS (SELECT FROM card_secret s WHERE s.attempt_id = a.id AND s.edition = 1)) ORDER BY 1`); err != nil {
		return err
	}
	for _, serial := range without {
		j.lost("kartu %s jadi tanpa berkas rahasianya", serial)
	}
	var odd int
	if err := j.db.Get(ctx, &odd, `SELECT count(*) FROM card_secret s JOIN perso_attempt a ON a.id = s.attempt_id WHERE a.sealed IS NULL`); err != nil {
		return err
	}
	if odd != 0 {
		j.doubled("%d berkas rahasia tanpa niat menulis kartunya", odd)
	}
	return nil
}

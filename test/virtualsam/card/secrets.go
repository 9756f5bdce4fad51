package card

import "strconv"

// Secret is a value that a chip was told, or has made with a terminal, and that nobody
// may write down.
type Secret struct {
	Name  string
	Value []byte
}

// Secrets are all of them since the chip was made, also those of sessions that are over.
func (c *Chip) Secrets() []Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Secret(nil), c.secrets...)
}

func (c *Chip) keep(name string, value []byte) {
	if len(value) > 0 {
		c.secrets = append(c.secrets, Secret{name, append([]byte(nil), value...)})
	}
}

func (c *Chip) keepKeys(keyset int, k Keys) {
	of := " of keyset " + strconv.Itoa(keyset)
	c.keep("ENC"+of, k.ENC)
	c.keep("MAC"+of, k.MAC)
	c.keep("DEK"+of, k.DEK)
}

// keepSession keeps the keys of the session that was just begun.
func (c *Chip) keepSession() {
	c.sessions++
	of := " of session " + strconv.Itoa(c.sessions)
	switch s := c.session.(type) {
	case *scp02:
		c.keep("S-ENC"+of, s.enc)
		c.keep("C-MAC"+of, s.mac)
		c.keep("R-MAC"+of, s.rmac)
		c.keep("S-DEK"+of, s.dek)
	case *scp03:
		c.keep("S-ENC"+of, s.enc)
		c.keep("S-MAC"+of, s.mac)
		c.keep("S-RMAC"+of, s.rmac)
	}
}

package smartcard

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// keeper holds on to what it was given, as memory does.
type keeper struct {
	given []byte
	sent  bytes.Buffer
}

func (k *keeper) Write(p []byte) (int, error) {
	k.given = p
	return k.sent.Write(p)
}

// A frame may carry a CONF: what is left of it in memory is nothing.
func TestFramesAreWiped(t *testing.T) {
	t.Parallel()
	k := &keeper{}
	w := &frameWriter{w: k}
	require.NoError(t, w.write(message{ID: 1, Op: opTransmit, Data: bytes.Repeat([]byte{0xC5}, 64)}))
	require.NotEmpty(t, k.given)
	require.Equal(t, make([]byte, len(k.given)), k.given)
	m, err := readFrame(&k.sent)
	require.NoError(t, err)
	require.Equal(t, bytes.Repeat([]byte{0xC5}, 64), m.Data)
}

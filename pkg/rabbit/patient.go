package rabbit

import (
	"net"
	"sync"
	"time"
)

const (
	// writeLimit bounds each write: a broker short of memory or disk stops
	// reading, and amqp091-go would hang in Publish and in Close.
	writeLimit = 10 * time.Second
	// waitingBytes is how much may wait to be written; then writers wait too.
	waitingBytes = 256 << 10
)

// patientConn gives each write a deadline, so that a peer that stops reading
// ends the connection instead of hanging it.
//
// amqp091-go writes frame by frame. Here what is written during a write goes out
// together in the next one: under load that saves most of the system calls, here
// and at the broker, and a lone frame waits for nothing. A write that fails
// closes the connection; whoever wrote learns it from there, as with any bytes
// that were lost on their way.
type patientConn struct {
	net.Conn

	mu      sync.Mutex
	room    sync.Cond // of mu: waiting has become short, or err is set
	waiting []byte
	spare   []byte // to be waiting next, empty
	writing bool   // somebody is in flush
	err     error  // of the write that failed
}

func newPatientConn(c net.Conn) *patientConn {
	p := &patientConn{Conn: c}
	p.room.L = &p.mu
	return p
}

// Write has p written soon. Its error is that of an earlier write.
func (c *patientConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && len(c.waiting) >= waitingBytes {
		c.room.Wait()
	}
	if c.err != nil {
		return 0, c.err
	}
	c.waiting = append(c.waiting, p...)
	if !c.writing {
		c.writing = true
		go c.flush()
	}
	return len(p), nil
}

// flush writes until nothing is waiting.
func (c *patientConn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) > 0 && c.err == nil {
		out := c.waiting
		c.waiting = c.spare[:0]
		c.room.Broadcast()
		c.mu.Unlock()
		err := c.SetWriteDeadline(time.Now().Add(writeLimit))
		if err == nil {
			_, err = c.Conn.Write(out)
		}
		if err != nil {
			_ = c.Close() // which the connection's reader notices
		}
		c.mu.Lock()
		c.err = err
		c.spare = out[:0]
	}
	c.writing = false
	c.room.Broadcast()
}

// Package client speaks to a running virtualsam over its control socket.
package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/control"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

// Client is one connection, made anew after one that broke; calls on it follow
// one another.
type Client struct {
	path string

	mu     sync.Mutex
	conn   net.Conn // nil after one that broke
	reader *bufio.Reader
	closed bool
}

// Dial connects to the socket at path.
func Dial(ctx context.Context, path string) (*Client, error) {
	c := &Client{path: path}
	if err := c.dial(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Client) dial(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", c.path)
	if err != nil {
		return fmt.Errorf("virtualsam: %w", err)
	}
	c.conn, c.reader = conn, bufio.NewReader(conn)
	return nil
}

// Close ends the connection; chips and slots stay as they are.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return c.hangUp()
}

func (c *Client) hangUp() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	if err != nil {
		return fmt.Errorf("virtualsam: %w", err)
	}
	return nil
}

// Do sends one request. When ctx ends first, it may or may not have been done.
func (c *Client) Do(ctx context.Context, request control.Request) (control.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return control.Response{}, fmt.Errorf("virtualsam: %s: %w", request.Op, net.ErrClosed)
	}
	if c.conn == nil {
		if err := c.dial(ctx); err != nil {
			return control.Response{}, err
		}
	}
	line, err := c.exchange(ctx, request)
	if err != nil {
		_ = c.hangUp() // an answer may still be on its way
		return control.Response{}, fmt.Errorf("virtualsam: %s: %w", request.Op, errors.Join(err, ctx.Err()))
	}
	var response control.Response
	if err := json.Unmarshal(line, &response); err != nil {
		return control.Response{}, fmt.Errorf("virtualsam: %s: %w", request.Op, err)
	}
	if !response.OK {
		return response, fmt.Errorf("virtualsam: %s: %s", request.Op, response.Error)
	}
	return response, nil
}

// exchange sends a line and reads one.
func (c *Client) exchange(ctx context.Context, request control.Request) ([]byte, error) {
	conn := c.conn
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	raw, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(append(raw, '\n')); err != nil {
		return nil, err
	}
	return c.reader.ReadBytes('\n')
}

// Make makes a chip.
func (c *Client) Make(ctx context.Context, chip control.Make) error {
	_, err := c.Do(ctx, control.Request{Op: control.OpMake, Chip: &chip})
	return err
}

// Insert puts a chip into a reader (name, or index from 0) and goes on.
func (c *Client) Insert(ctx context.Context, reader, id string) error {
	_, err := c.Do(ctx, control.Request{Op: control.OpInsert, Reader: reader, ID: id})
	return err
}

// InsertAndWait puts a chip in and waits until the driver has spoken to it. On
// a timeout the chip is in the slot all the same.
func (c *Client) InsertAndWait(ctx context.Context, reader, id string, patience time.Duration) error {
	_, err := c.Do(ctx, control.Request{Op: control.OpInsert, Reader: reader, ID: id, WaitMS: int(patience.Milliseconds())})
	return err
}

// Remove takes out what is in the reader.
func (c *Client) Remove(ctx context.Context, reader string) error {
	_, err := c.Do(ctx, control.Request{Op: control.OpRemove, Reader: reader})
	return err
}

// Fault replaces the chip's fault; the zero Fault heals it.
func (c *Client) Fault(ctx context.Context, id string, fault card.Fault) error {
	_, err := c.Do(ctx, control.Request{Op: control.OpFault, ID: id, Fault: &fault})
	return err
}

// Release lets the command go on that the chip holds.
func (c *Client) Release(ctx context.Context, id string) error {
	_, err := c.Do(ctx, control.Request{Op: control.OpRelease, ID: id})
	return err
}

// List answers the readers and the chips.
func (c *Client) List(ctx context.Context) ([]control.Reader, []control.Chip, error) {
	response, err := c.Do(ctx, control.Request{Op: control.OpList})
	return response.Readers, response.Chips, err
}

// Log answers the write log of this run from line number since on.
func (c *Client) Log(ctx context.Context, since int) ([]writelog.Line, error) {
	response, err := c.Do(ctx, control.Request{Op: control.OpLog, Since: since})
	return response.Lines, err
}

// Secrets answers what nobody may write down of a chip.
func (c *Client) Secrets(ctx context.Context, id string) ([]control.ChipSecret, error) {
	response, err := c.Do(ctx, control.Request{Op: control.OpSecrets, ID: id})
	return response.Secrets, err
}

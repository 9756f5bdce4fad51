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

// Client is one connection; calls on it follow one another.
type Client struct {
	mu     sync.Mutex
	conn   net.Conn
	reader *bufio.Reader
}

// Dial connects to the socket at path.
func Dial(ctx context.Context, path string) (*Client, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("virtualsam: %w", err)
	}
	return &Client{conn: conn, reader: bufio.NewReader(conn)}, nil
}

// Close ends the connection; chips and slots stay as they are.
func (c *Client) Close() error {
	if err := c.conn.Close(); err != nil {
		return fmt.Errorf("virtualsam: %w", err)
	}
	return nil
}

// Do sends one request. When ctx ends first, the connection is of no more use.
func (c *Client) Do(ctx context.Context, request control.Request) (control.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })()
	raw, err := json.Marshal(request)
	if err != nil {
		return control.Response{}, fmt.Errorf("virtualsam: %w", err)
	}
	if _, err := c.conn.Write(append(raw, '\n')); err != nil {
		return control.Response{}, fmt.Errorf("virtualsam: %s: %w", request.Op, errors.Join(err, ctx.Err()))
	}
	line, err := c.reader.ReadBytes('\n')
	if err != nil {
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

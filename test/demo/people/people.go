// Package people are the clients of the office: the produsen's software at the
// intake endpoint, and staff at the portal's API, each signed in by name.
package people

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/textproto"
	"time"
)

// patience is how long a person tries again while a daemon is away.
const patience = 60 * time.Second

// Problem is a problem answer (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Pointer string `json:"pointer"`
		Code    string `json:"code"`
		Detail  string `json:"detail"`
	} `json:"errors"`
}

func (p *Problem) Error() string {
	s := fmt.Sprintf("%d %s: %s", p.Status, p.Title, p.Detail)
	for _, e := range p.Errors {
		s += fmt.Sprintf("\n  %s (%s): %s", e.Pointer, e.Code, e.Detail)
	}
	return s
}

// Is says whether err is a problem with one of these status codes.
func Is(err error, status ...int) bool {
	var p *Problem
	if !errors.As(err, &p) {
		return false
	}
	for _, s := range status {
		if p.Status == s {
			return true
		}
	}
	return false
}

// Part is a part of a multipart body.
type Part struct {
	Name, File, MediaType string
	Body                  []byte
}

// Client speaks to one daemon as one person or program.
type Client struct {
	base   string
	header http.Header
	http   *http.Client
	login  map[string]string
}

// NewProgram is the produsen's software with its API key.
func NewProgram(base, apiKey string) *Client {
	return &Client{base: base, header: http.Header{"Authorization": {"Bearer " + apiKey}}, http: &http.Client{Timeout: 30 * time.Second}}
}

// NewPerson is somebody with an account; signing in happens when it is needed.
func NewPerson(base, username, password string) *Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // New has no error to give without options
	}
	return &Client{base: base, header: http.Header{}, http: &http.Client{Timeout: 30 * time.Second, Jar: jar},
		login: map[string]string{"username": username, "password": password}}
}

// Call is one request.
type Call struct {
	Method, Path string
	Header       map[string]string
	JSON         any    // body, or
	Parts        []Part // body
}

// Do sends a call and decodes the answer into out, if any. While the daemon is
// away or not ready it tries again: every call of the demo may be repeated
// without harm.
func (c *Client) Do(ctx context.Context, call Call, out any) (http.Header, error) {
	deadline := time.Now().Add(patience)
	for {
		header, err := c.once(ctx, call, out)
		if Is(err, http.StatusUnauthorized) && c.login != nil {
			if _, err = c.once(ctx, Call{Method: http.MethodPost, Path: "/api/v1/session", JSON: c.login}, nil); err == nil {
				continue
			}
		}
		var netErr net.Error
		away := errors.As(err, &netErr) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
			Is(err, http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInternalServerError)
		if err == nil || !away || ctx.Err() != nil || time.Now().After(deadline) {
			return header, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (c *Client) once(ctx context.Context, call Call, out any) (http.Header, error) {
	var body io.Reader
	mediaType := ""
	switch {
	case call.Parts != nil:
		text, boundary, err := encodeParts(call.Parts)
		if err != nil {
			return nil, err
		}
		body, mediaType = bytes.NewReader(text), boundary
	case call.JSON != nil:
		text, err := json.Marshal(call.JSON)
		if err != nil {
			return nil, err
		}
		body, mediaType = bytes.NewReader(text), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, c.base+call.Path, body)
	if err != nil {
		return nil, err
	}
	req.Header = c.header.Clone()
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	for k, v := range call.Header {
		req.Header.Set(k, v)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 400 {
		p := &Problem{}
		if json.Unmarshal(text, p) != nil || p.Title == "" {
			p.Title = http.StatusText(res.StatusCode)
			p.Detail = string(text[:min(len(text), 200)])
		}
		p.Status = res.StatusCode
		return res.Header, fmt.Errorf("%s %s: %w", call.Method, call.Path, p)
	}
	switch o := out.(type) {
	case nil:
	case *[]byte:
		*o = text
	default:
		if err := json.Unmarshal(text, out); err != nil {
			return nil, fmt.Errorf("%s %s: %w", call.Method, call.Path, err)
		}
	}
	return res.Header, nil
}

func encodeParts(parts []Part) (body []byte, mediaType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		disposition := fmt.Sprintf(`form-data; name=%q`, p.Name)
		if p.File != "" {
			disposition += fmt.Sprintf(`; filename=%q`, p.File)
		}
		h.Set("Content-Disposition", disposition)
		if p.MediaType != "" {
			h.Set("Content-Type", p.MediaType)
		}
		part, err := w.CreatePart(h)
		if err != nil {
			return nil, "", err
		}
		if _, err := part.Write(p.Body); err != nil {
			return nil, "", err
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

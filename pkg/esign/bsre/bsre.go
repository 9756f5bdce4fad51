// Package bsre has PDFs signed by the eSign Client Service of Balai Sertifikasi Elektronik
// (BSrE), which runs inside the agency: HTTP with Basic authentication, PDF, NIK and
// passphrase in one form (users.md C.4).
//
// The service names a request only in its answer. One whose answer did not come can
// therefore not be asked about: people look in the service's own record.
package bsre

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
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"dukcapil.go.id/sifilma/pkg/config"
	"dukcapil.go.id/sifilma/pkg/esign"
)

// Config says where the service is; without an address it is not used.
type Config struct {
	URL          string        `yaml:"url"`
	Username     string        `yaml:"username"`
	PasswordFile string        `yaml:"password_file"`
	Timeout      time.Duration `yaml:"timeout"` // of a call
	// PlainHTTP allows an address without TLS on another machine: passphrases and the
	// signers' NIK can be read on the way then.
	PlainHTTP bool `yaml:"plain_http"`
}

// Validate checks the section.
func (c Config) Validate() error {
	if c.URL == "" {
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("url %q is not an address such as https://esign.example", c.URL)
	}
	if u.Scheme == "http" && !c.PlainHTTP && !local(u.Hostname()) {
		return fmt.Errorf("url %q has no TLS: passphrases could be read on the way; use https, or set plain_http: true where the network itself is closed", c.URL)
	}
	if c.Username == "" || c.PasswordFile == "" {
		return errors.New("username and password_file are needed")
	}
	if c.Timeout < time.Second || c.Timeout > 5*time.Minute {
		return errors.New("timeout must be 1s to 5m")
	}
	return nil
}

// local says whether a host is this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Driver is the service.
type Driver struct {
	base, username, password string
	client                   *http.Client
}

// New returns the driver; it reads the password.
func New(c Config) (*Driver, error) {
	password, err := config.Secret(c.PasswordFile)
	if err != nil {
		return nil, err
	}
	return &Driver{
		base: strings.TrimRight(c.URL, "/"), username: c.Username, password: password,
		client: &http.Client{
			Timeout: c.Timeout,
			// Not even a request that is answered with "elsewhere" is sent twice.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     &http.Transport{DisableKeepAlives: true}, // a request on a connection that died is repeated by net/http
		},
	}, nil
}

// Name implements esign.Driver.
func (*Driver) Name() string { return "bsre" }

// mostBody bounds an answer.
const mostBody = 64 << 20

// Request implements esign.Driver.
func (d *Driver) Request(ctx context.Context, j esign.Job) esign.Answer {
	var body bytes.Buffer
	defer func() { clear(body.Bytes()) }()
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("file", j.Name)
	if err == nil {
		_, err = file.Write(j.PDF)
	}
	for _, field := range []struct {
		name  string
		value []byte
	}{{"nik", []byte(j.NIK)}, {"passphrase", j.Passphrase}, {"tampilan", []byte("invisible")}} {
		if err != nil {
			break
		}
		var part io.Writer
		if part, err = form.CreateFormField(field.name); err == nil {
			_, err = part.Write(field.value)
		}
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil { // of memory alone
		return esign.Answer{Outcome: esign.Refused, Reason: esign.Other, Code: "form"}
	}
	content := body.Bytes()
	// A reader that net/http does not know cannot be rewound, so nothing is sent again.
	var connected atomic.Bool // with TLS, where that is spoken
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+"/api/sign/pdf", struct{ io.Reader }{bytes.NewReader(content)})
	if err != nil {
		return esign.Answer{Outcome: esign.Refused, Reason: esign.Other, Code: "address"}
	}
	r.ContentLength = int64(len(content))
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.SetBasicAuth(d.username, d.password)
	w, err := d.client.Do(r)
	if err != nil {
		return unanswered(connected.Load())
	}
	defer func() { _ = w.Body.Close() }()
	return read(w)
}

// unanswered is the answer when there was none. Without a connection nothing was sent.
func unanswered(connected bool) esign.Answer {
	if !connected {
		return esign.Answer{Outcome: esign.Refused, Reason: esign.Away}
	}
	return esign.Answer{Outcome: esign.Doubt, Code: "no-answer"}
}

// reference is the header in which the service names a request.
const reference = "id_dokumen"

var (
	referencePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)
	signature        = []byte("/ByteRange")
)

// read reads the answer to a request for a signature.
func read(w *http.Response) esign.Answer {
	a := esign.Answer{Outcome: esign.Doubt, Code: strconv.Itoa(w.StatusCode)}
	if id := w.Header.Get(reference); referencePattern.MatchString(id) {
		a.Reference = id
	}
	body, err := io.ReadAll(io.LimitReader(w.Body, mostBody+1))
	switch {
	case w.StatusCode >= 400 && w.StatusCode < 500:
		return refusal(w.StatusCode, body)
	case err != nil || len(body) > mostBody:
		a.Code = "cut-off"
	case w.StatusCode == http.StatusOK && isSigned(body):
		a.Outcome, a.PDF, a.Code = esign.Signed, body, ""
	}
	return a
}

func isSigned(body []byte) bool {
	return bytes.HasPrefix(body, []byte("%PDF-")) && bytes.Contains(body, signature)
}

// refusal is what the service did not do. Its words are not kept: only its code.
func refusal(status int, body []byte) esign.Answer {
	a := esign.Answer{Outcome: esign.Refused, Reason: esign.Other, Code: strconv.Itoa(status)}
	var said struct {
		Code json.Number `json:"status_code"`
	}
	if json.Unmarshal(body, &said) == nil {
		if n, err := said.Code.Int64(); err == nil && n > 0 {
			a.Code = strconv.FormatInt(n, 10)
		}
	}
	switch {
	case a.Code == "2031":
		a.Reason = esign.WrongPassphrase
	case a.Code == "2011" || a.Code == "2021":
		a.Reason = esign.UnknownSigner
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		a.Reason = esign.Denied
	case status == http.StatusRequestTimeout || status == http.StatusConflict || status == http.StatusTooEarly: // says nothing of what was done
		a.Outcome, a.Reason = esign.Doubt, ""
	}
	return a
}

// Ask implements esign.Driver: it fetches what the service named.
func (d *Driver) Ask(ctx context.Context, p esign.Past) (esign.Answer, error) {
	if !referencePattern.MatchString(p.Reference) {
		return esign.Answer{}, esign.ErrCannotAsk
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/api/sign/download/"+p.Reference, http.NoBody)
	if err != nil {
		return esign.Answer{}, fmt.Errorf("bsre: %w", err)
	}
	r.SetBasicAuth(d.username, d.password)
	w, err := d.client.Do(r)
	if err != nil {
		return esign.Answer{}, errors.New("bsre: the service does not answer")
	}
	defer func() { _ = w.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(w.Body, mostBody+1))
	if err != nil || len(body) > mostBody || w.StatusCode != http.StatusOK || !isSigned(body) {
		return esign.Answer{Outcome: esign.Doubt, Reference: p.Reference, Code: strconv.Itoa(w.StatusCode)}, nil
	}
	return esign.Answer{Outcome: esign.Signed, PDF: body, Reference: p.Reference}, nil
}

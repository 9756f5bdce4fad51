package rabbit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	heartbeat = 10 * time.Second
	// dialLimit bounds the TCP connect and, anew, the AMQP handshake.
	dialLimit = 5 * time.Second
	// hangUpLimit bounds the closing handshake.
	hangUpLimit = 3 * time.Second
)

var errURL = errors.New("rabbit.url is not an AMQP URI (amqp://user@host:port/vhost); several are put with commas between them")

// addresses returns the configured URIs. Its error never shows the URL: it may
// hold a password.
func (b *Broker) addresses() ([]string, error) {
	uris := strings.Split(b.cfg.URL, ",")
	for i, uri := range uris {
		uris[i] = strings.TrimSpace(uri)
		if _, err := amqp.ParseURI(uris[i]); err != nil {
			return nil, errURL
		}
	}
	return uris, nil
}

// dial opens a connection to one of the nodes. Ending ctx breaks it off.
func (b *Broker) dial(ctx context.Context, purpose string, attempt int) (*amqp.Connection, *patientConn, error) {
	uris, err := b.addresses()
	if err != nil {
		return nil, nil, err
	}
	address := uris[attempt%len(uris)]
	sasl, err := b.credentials(address)
	if err != nil {
		return nil, nil, err
	}
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(b.cfg.Name + " " + purpose)
	var raw *patientConn
	conn, err := amqp.DialConfig(address, amqp.Config{
		Heartbeat:  heartbeat,
		Properties: properties,
		SASL:       sasl,
		Dial: func(network, addr string) (net.Conn, error) {
			tcp, err := (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			raw = newPatientConn(tcp)
			// Cleared by the library once the handshake is done.
			return raw, raw.SetDeadline(time.Now().Add(dialLimit))
		},
		// Recovery stays nil: see the package comment.
	})
	if err != nil {
		return nil, nil, err
	}
	return conn, raw, nil
}

// credentials are nil, which means those of the URI, unless a password file is
// configured.
func (b *Broker) credentials(address string) ([]amqp.Authentication, error) {
	if b.cfg.PasswordFile == "" {
		return nil, nil
	}
	uri, err := amqp.ParseURI(address)
	if err != nil {
		return nil, errURL
	}
	password, err := os.ReadFile(b.cfg.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("reading the broker's password: %w", err)
	}
	return []amqp.Authentication{&amqp.PlainAuth{Username: uri.Username, Password: strings.TrimSpace(string(password))}}, nil
}

// codeOf returns the AMQP reply code in err, or 0.
func codeOf(err error) int {
	var reply *amqp.Error
	if errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}

package smartcard

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

// roleVariable makes the test binary play one of the processes around a reader.
const roleVariable = "SMARTCARD_TEST_ROLE"

// TestMain runs the tests, or the process that a test has asked for; the reader
// or the port is the first argument.
func TestMain(m *testing.M) {
	var err error
	switch role := os.Getenv(roleVariable); role {
	case "":
		goleak.VerifyTestMain(m)
		return
	case "reader":
		err = ServeReader(context.Background(), os.Args[1], os.Stdin, os.Stdout)
	case "supervisor":
		err = playSupervisor(os.Args[1])
	case "bridge":
		err = playBridge(os.Args[1])
	default:
		err = fmt.Errorf("no role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// playSupervisor keeps a reader until it is killed, and says when the reader's
// process is up.
func playSupervisor(name string) error {
	r, err := StartReader(context.Background(), Options{
		Name: name, Command: []string{os.Args[0], name},
		Env: []string{roleVariable + "=reader"}, Log: zerolog.Nop(),
	})
	if err != nil {
		return err
	}
	for e := range r.Events() {
		fmt.Println(e.Kind)
	}
	return nil
}

// playBridge carries a card's side of the vpcd protocol between a driver, in
// whose network namespace it runs, and its standard input and output. It is the
// card's contact: when it ends, the card is out.
func playBridge(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(conn, os.Stdin)
		os.Exit(0)
	}()
	_, err = io.Copy(os.Stdout, conn)
	return err
}

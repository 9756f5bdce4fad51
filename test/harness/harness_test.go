package harness_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/schema"
	"dukcapil.go.id/sifilma/test/harness"
)

func TestDatabasesAreFreshMigratedAndSeparate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	one, two := harness.DB(t), harness.DB(t)
	one.Expect(schema.Version())
	require.NoError(t, one.Check(ctx))
	require.NoError(t, one.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE only_here (n int)`)
		return err
	}))
	var there bool
	require.NoError(t, two.Get(ctx, &there, `SELECT to_regclass('only_here') IS NOT NULL`))
	require.False(t, there, "a table of one test is seen by another")
}

func TestDatabaseIsRemovedWithItsTest(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("takes one", func(t *testing.T) {
		d := harness.NewDatabase(t)
		name = d.Name
		var one int
		require.NoError(t, d.Open(t, "").Get(t.Context(), &one, `SELECT 1`))
	})
	var left int
	require.NoError(t, harness.DB(t).Get(t.Context(), &left, `SELECT count(*) FROM pg_database WHERE datname = $1`, name))
	require.Zero(t, left)
}

func TestRoleLoginIsNotTheOwner(t *testing.T) {
	t.Parallel()
	const role = "harness_reader"
	d := harness.NewDatabase(t)
	require.NoError(t, d.Open(t, "").InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `DO $$ BEGIN CREATE ROLE `+role+`; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
		return err
	}))
	var user string
	require.NoError(t, d.Open(t, role).Get(t.Context(), &user, `SELECT current_user`))
	require.Equal(t, role, user)
}

func TestVhostCarriesMessages(t *testing.T) {
	t.Parallel()
	config := harness.Rabbit(t)
	password, err := os.ReadFile(config.PasswordFile)
	require.NoError(t, err)
	url := strings.Replace(config.URL, "@", ":"+strings.TrimSpace(string(password))+"@", 1)
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	require.NoError(t, err)
	q, err := ch.QueueDeclare("letters", true, false, false, false, amqp.Table{"x-queue-type": "quorum"})
	require.NoError(t, err)
	require.NoError(t, ch.PublishWithContext(t.Context(), "", q.Name, true, false, amqp.Publishing{Body: []byte("surat")}))
	deliveries, err := ch.Consume(q.Name, "", true, false, false, false, nil)
	require.NoError(t, err)
	require.Equal(t, "surat", string((<-deliveries).Body))
}

func TestVhostIsRemovedWithItsTest(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("takes one", func(t *testing.T) { name = harness.NewVhost(t).Name })
	err := harness.Services(t).Rabbit.API(t.Context(), http.MethodGet, "/vhosts/"+name, nil, nil)
	require.ErrorContains(t, err, "404")
}

func TestReadersAreLeasedToOneTestAtATime(t *testing.T) {
	t.Parallel()
	n := len(harness.Services(t).PCSC.Primary())
	order := make(chan string, 2)
	t.Run("group", func(t *testing.T) {
		for _, name := range []string{"one", "other"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				lease := harness.Readers(t, n)
				require.Len(t, lease.Readers, n)
				order <- "take"
				require.Len(t, order, 1, "two tests hold the same readers")
				<-order
			})
		}
	})
}

func TestCardSideRunsWhereTheReadersListen(t *testing.T) {
	t.Parallel()
	lease := harness.Readers(t, 1)
	out, err := lease.Command(t.Context(), t, "cat", "/proc/self/net/tcp").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), strings.ToUpper(hex4(lease.Readers[0].Port)))
}

func hex4(port int) string {
	const digits = "0123456789abcdef"
	return string([]byte{':', digits[port>>12&15], digits[port>>8&15], digits[port>>4&15], digits[port&15]})
}

func TestProxyMisbehavesOnCommand(t *testing.T) {
	t.Parallel()
	relay := harness.Proxy(t, echoServer(t))
	say := func(c net.Conn, within time.Duration) error {
		require.NoError(t, c.SetDeadline(time.Now().Add(within)))
		if _, err := io.WriteString(c, "halo\n"); err != nil {
			return err
		}
		_, err := bufio.NewReader(c).ReadString('\n')
		return err
	}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", relay.Address())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	const patience = 10 * time.Second
	c := dial()
	require.NoError(t, say(c, patience))

	relay.Delay(200 * time.Millisecond)
	began := time.Now()
	require.NoError(t, say(c, patience))
	require.GreaterOrEqual(t, time.Since(began), 400*time.Millisecond, "200 ms each way")
	relay.Resume()

	held := dial() // its answers come two for one; what is left over must not answer for another
	relay.Blackhole()
	require.ErrorIs(t, say(held, 100*time.Millisecond), os.ErrDeadlineExceeded)
	relay.Resume()
	require.NoError(t, say(held, patience), "what was held goes on its way")

	relay.Cut()
	require.Error(t, say(c, patience))
	require.Error(t, say(dial(), patience), "a cut line takes no new connection")
	relay.Resume()
	require.NoError(t, say(dial(), patience))
}

func echoServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

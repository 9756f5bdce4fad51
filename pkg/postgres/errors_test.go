package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestClassification(t *testing.T) {
	t.Parallel()
	code := func(c pqerror.Code) error { return fmt.Errorf("wrapped: %w", &pq.Error{Code: c, Severity: "ERROR"}) }
	for _, c := range []struct {
		name           string
		err            error
		foreign, again bool
	}{
		{"nil", nil, false, false},
		{"domain", errors.New("no such card"), false, false},
		{"no rows", sql.ErrNoRows, false, false},
		{"stale", ErrStale, false, false},
		{"commit unknown", ErrCommitUnknown, true, false},
		{"bad connection", fmt.Errorf("x: %w", driver.ErrBadConn), true, true},
		{"end of stream", io.ErrUnexpectedEOF, true, true},
		{"refused", &net.OpError{Op: "dial", Err: errors.New("refused")}, true, true},
		{"deadline", context.DeadlineExceeded, true, false},
		{"cancelled", context.Canceled, true, false},
		{"unique", code("23505"), false, false},
		{"check", code("23514"), false, false},
		{"bad input", code("22P02"), false, false},
		{"syntax", code("42601"), false, false},
		{"raised by a trigger", code("P0001"), false, false},
		{"serialization", code("40001"), true, true},
		{"deadlock", code("40P01"), true, true},
		{"disk full", code("53100"), true, false},
		{"too many connections", code("53300"), true, false},
		{"statement timeout", code("57014"), true, false},
		{"shutting down", code("57P01"), true, true},
		{"starting up", code("57P03"), true, true},
		{"io", code("58030"), true, false},
		{"lock timeout", code("55P03"), true, false},
		{"wrong password", code("28P01"), true, false},
		{"read-only server", code("25006"), true, true},
		{"plan gone", code("26000"), true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.foreign, Foreign(c.err), "foreign")
			require.Equal(t, c.again, rerunnable(c.err), "run again")
		})
	}
}

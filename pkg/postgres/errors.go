package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

var (
	// ErrStale says that a compare-and-set met another state or version than it
	// expected: somebody else was first.
	ErrStale = errors.New("postgres: the row is no longer in the expected state")
	// ErrCommitUnknown says that COMMIT had no answer and the outcome could not be
	// learnt either. The caller must look at the data before it acts again.
	ErrCommitUnknown = errors.New("postgres: the outcome of the commit is unknown")
	// ErrNested says that InTx was called inside the function of another InTx.
	ErrNested = errors.New("postgres: InTx inside InTx")
)

func serverError(err error) *pq.Error {
	var pe *pq.Error
	if errors.As(err, &pe) {
		return pe
	}
	return nil
}

// Constraint returns the name of the constraint that err violates, or "".
func Constraint(err error) string {
	if pe := serverError(err); pe != nil && pe.Code.Class() == pqerror.ClassIntegrityConstraintViolation {
		return pe.Constraint
	}
	return ""
}

func violates(err error, code pqerror.Code, constraint string) bool {
	pe := serverError(err)
	return pe != nil && pe.Code == code && (constraint == "" || pe.Constraint == constraint)
}

// IsUnique reports whether err violates the unique constraint or index of that
// name; "" means any.
func IsUnique(err error, constraint string) bool {
	return violates(err, pqerror.UniqueViolation, constraint)
}

// IsCheck reports whether err violates the check constraint of that name; "" means any.
func IsCheck(err error, constraint string) bool {
	return violates(err, pqerror.CheckViolation, constraint)
}

// IsForeignKey reports whether err violates the foreign key of that name; "" means any.
func IsForeignKey(err error, constraint string) bool {
	return violates(err, pqerror.ForeignKeyViolation, constraint)
}

// IsExclusion reports whether err violates the exclusion constraint of that name; "" means any.
func IsExclusion(err error, constraint string) bool {
	return violates(err, pqerror.ExclusionViolation, constraint)
}

// IsLockTimeout reports whether err says that a lock was not to be had within
// lock_timeout.
func IsLockTimeout(err error) bool {
	pe := serverError(err)
	return pe != nil && pe.Code == pqerror.LockNotAvailable
}

// Foreign reports whether err is a fault that is not the data's own: the server
// is gone, full, shutting down or read-only, a lock or a deadline was not met.
// The same work may succeed later without any change to it.
func Foreign(err error) bool {
	if err == nil {
		return false
	}
	if connectionLost(err) || errors.Is(err, ErrCommitUnknown) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	pe := serverError(err)
	if pe == nil {
		return false
	}
	switch pe.Code.Class() {
	case "08", "28", "40", "53", "57", "58": // connection, authorization, rollback, resources, operator, system
		return true
	}
	return pe.Code == pqerror.LockNotAvailable || readOnlyServer(pe) || planGone(pe)
}

// connectionLost reports whether err says that the connection cannot be used any more.
func connectionLost(err error) bool {
	var ne net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &ne) && !errors.Is(err, context.DeadlineExceeded)
}

// readOnlyServer reports whether the server takes no writes: it is a standby, or
// was demoted to one.
func readOnlyServer(err error) bool {
	pe := serverError(err)
	return pe != nil && (pe.Code == pqerror.ReadOnlySQLTransaction ||
		// "cannot set transaction read-write mode during recovery", said by BEGIN on a standby
		pe.Code == pqerror.FeatureNotSupported && pe.Routine == "call_bool_check_hook")
}

// rerunnable reports whether a transaction that certainly was not committed may
// simply be run again.
func rerunnable(err error) bool {
	if connectionLost(err) || readOnlyServer(err) || planGone(err) {
		return true
	}
	pe := serverError(err)
	return pe != nil && (pe.Code == pqerror.TRSerializationFailure || pe.Code == pqerror.TRDeadlockDetected ||
		pe.Code.Class() == pqerror.ClassOperatorIntervention && pe.Code != pqerror.QueryCanceled)
}

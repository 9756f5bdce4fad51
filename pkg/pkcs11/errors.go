package pkcs11

import (
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

var (
	// ErrTokenGone says that the module or the token cannot be reached now. The next
	// call tries to connect again; transient keys are lost.
	ErrTokenGone = errors.New("HSM token is not reachable")
	// ErrPIN says that the token refused the PIN, or the PIN file cannot be read.
	ErrPIN = errors.New("HSM PIN refused")
	// ErrConfig says that the configuration is not complete.
	ErrConfig = errors.New("HSM configuration")
	// ErrKeyNotFound says that no key has this label, or that the key was deleted.
	ErrKeyNotFound = errors.New("HSM key not found")
	// ErrKeyExists says that the label is taken; keys are never overwritten.
	ErrKeyExists = errors.New("HSM key label is taken")
	// ErrKeyUse says that the key's attributes or size do not allow the operation.
	ErrKeyUse = errors.New("HSM key cannot be used so")
	// ErrMechanism says, besides ErrKeyUse, that the token cannot do the operation with
	// any key.
	ErrMechanism = errors.New("HSM does not have this mechanism")
	// ErrSealed says that a sealed secret does not open: another key, other binding, or
	// changed bytes.
	ErrSealed = errors.New("sealed secret does not open")
	// ErrClosed says that the Token or Key was closed.
	ErrClosed = errors.New("HSM handle is closed")
)

// gone tells which return values always mean that the connection to the token
// is lost.
func gone(err error) bool {
	switch code(err) {
	case p11.CKR_DEVICE_REMOVED, p11.CKR_DEVICE_ERROR, p11.CKR_TOKEN_NOT_PRESENT, p11.CKR_TOKEN_NOT_RECOGNIZED,
		p11.CKR_SESSION_HANDLE_INVALID, p11.CKR_SESSION_CLOSED, p11.CKR_CRYPTOKI_NOT_INITIALIZED,
		p11.CKR_SLOT_ID_INVALID, p11.CKR_USER_NOT_LOGGED_IN:
		return true
	}
	return false
}

// suspect tells which return values may mean it. SoftHSM answers so when its
// token directory has vanished, and also for faults of the call itself.
func suspect(err error) bool {
	switch code(err) {
	case p11.CKR_GENERAL_ERROR, p11.CKR_FUNCTION_FAILED, p11.CKR_OBJECT_HANDLE_INVALID,
		p11.CKR_KEY_HANDLE_INVALID, p11.CKR_WRAPPING_KEY_HANDLE_INVALID, p11.CKR_HOST_MEMORY, p11.CKR_DEVICE_MEMORY:
		return true
	}
	return false
}

// code is the module's return value inside err, CKR_OK for any other error.
func code(err error) p11.Error {
	var e p11.Error
	if errors.As(err, &e) {
		return e
	}
	return p11.CKR_OK
}

// name turns the module's return value into the package's own errors.
func name(what string, err error) error {
	switch code(err) {
	case p11.CKR_OK:
		return err
	case p11.CKR_PIN_INCORRECT, p11.CKR_PIN_INVALID, p11.CKR_PIN_LEN_RANGE, p11.CKR_PIN_EXPIRED, p11.CKR_PIN_LOCKED:
		return fmt.Errorf("%s: %w: %w", what, ErrPIN, err)
	case p11.CKR_OBJECT_HANDLE_INVALID, p11.CKR_KEY_HANDLE_INVALID, p11.CKR_WRAPPING_KEY_HANDLE_INVALID:
		return fmt.Errorf("%s: %w: %w", what, ErrKeyNotFound, err)
	case p11.CKR_MECHANISM_INVALID:
		return fmt.Errorf("%s: %w: %w: %w", what, ErrKeyUse, ErrMechanism, err)
	case p11.CKR_KEY_FUNCTION_NOT_PERMITTED, p11.CKR_KEY_SIZE_RANGE, p11.CKR_KEY_TYPE_INCONSISTENT,
		p11.CKR_KEY_UNEXTRACTABLE, p11.CKR_KEY_NOT_WRAPPABLE, p11.CKR_WRAPPING_KEY_SIZE_RANGE,
		p11.CKR_WRAPPING_KEY_TYPE_INCONSISTENT, p11.CKR_ATTRIBUTE_VALUE_INVALID:
		return fmt.Errorf("%s: %w: %w", what, ErrKeyUse, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

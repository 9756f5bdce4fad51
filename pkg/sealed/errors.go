package sealed

import "errors"

// What can be wrong with a token or bundle. Errors wrap one of these and say more.
var (
	// ErrForm says that the bytes are not a token, bundle or key in the one accepted form.
	ErrForm = errors.New("not in the accepted form")
	// ErrKey says that the signing key is none of the keys of the reader.
	ErrKey = errors.New("signed with a key that is not among the given ones")
	// ErrSignature says that the signature does not fit: header, payload or signature were
	// changed.
	ErrSignature = errors.New("signature does not fit")
	// ErrContent says that what the token speaks of was changed.
	ErrContent = errors.New("content was changed after it was signed")
	// ErrPurpose says that the token is a valid one, for something else.
	ErrPurpose = errors.New("signed for another purpose")
	// ErrNotYet says that the validity has not begun.
	ErrNotYet = errors.New("not valid yet")
	// ErrExpired says that the validity is over.
	ErrExpired = errors.New("expired")
)

// Package pkcs11 keeps AES keys in a PKCS#11 token and works with them there:
// CMAC, encryption, wrapping, key check values, diversification of card keys,
// sealing of secrets at rest. It knows nothing of what the keys are for.
//
// A Token connects when it is first used and again after the token was away;
// nothing here blocks a daemon's start. One login serves the whole process
// (PKCS#11 logs in the application, not the session), kept alive by an anchor
// session; every operation borrows a session of its own from a pool, because
// one session can carry one operation at a time.
//
// Faults of the token come back as ErrTokenGone and never say anything about
// the data. A refused PIN is not tried again until the PIN file changes, so
// that a health check cannot lock the token.
//
// Calls into the module cannot be interrupted: a context is looked at before a
// call and while waiting for a session, not during the call.
package pkcs11

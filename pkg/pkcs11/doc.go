// Package pkcs11 keeps AES and triple DES keys in a PKCS#11 token and works with
// them there: CMAC, encryption, wrapping, derivation, key check values,
// diversification of card keys, sealing of secrets at rest; and P-256 key pairs that
// sign. It knows nothing of what the keys are for.
//
// A Token connects when it is first used and again after the token was away;
// nothing here blocks a daemon's start. One login serves the whole process
// (PKCS#11 logs in the application, not the session), kept alive by an anchor
// session; every operation borrows a session of its own from a pool, because
// one session can carry one operation at a time.
//
// Faults of the token come back as ErrTokenGone and never say anything about
// the data. A refused PIN is not tried again until the PIN file or the token changes,
// and the last try before the token locks is never taken, so that neither a health
// check nor a restart loop can lock it.
//
// C_Finalize is process-wide. A token that was lost is looked for anew by initialising
// the library again, after the calls under way have ended and the transient keys of
// other Tokens are closed, and once for all who found it gone together.
//
// Calls into the module cannot be interrupted: a context is looked at before a
// call and while waiting for a session, not during the call.
//
// # What comes out of the token
//
// Stored keys are sensitive and not extractable: masters never come out, not
// even wrapped; Kept asks the token. For the keys of one card it depends on the
// mechanisms the token has. What must come out is in memory while that card is worked
// on, and is overwritten.
//
//	what                       SoftHSM 2.6.1             inside with a token that has
//	AES card key, KDF3         comes out, goes back in   CKM_SP800_108_COUNTER_KDF (not used here yet)
//	card key, AN10922          comes out, goes back in   a mechanism of its maker
//	DES card key, EMV, VISA2   inside                    CKM_DES3_ECB_ENCRYPT_DATA
//	session DEK of SCP02       inside                    CKM_DES3_CBC_ENCRYPT_DATA
//	other session keys         come out                  (the host computes each MAC with them)
//	AES key under an AES DEK   inside, but for 24 bytes  CKM_AES_CBC with CKF_WRAP
//	DES key under a DES DEK    comes out to be wrapped   CKM_DES3_ECB with CKF_WRAP
//
// A missing mechanism shows itself as ErrMechanism. SoftHSM has neither a DES
// wrapping nor CKM_XOR_BASE_AND_DATA.
package pkcs11

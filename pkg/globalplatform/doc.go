// Package globalplatform is the host side of GlobalPlatform card management:
// secure channel protocol 03 (Amendment D 1.1.1) with AES keys of 128, 192 and
// 256 bits in S8 mode, and the commands a personalisation line needs (GPC
// 2.3.1 chapter 11): SELECT, GET DATA, GET STATUS, SET STATUS, PUT KEY, STORE
// DATA.
//
// The package knows nothing of readers, of HSMs or of any application on the
// card. A card is reached through a Transmitter; static keys are reached
// through the Key interface, so that they can stay in a token
// (pkg/globalplatform/hsmkeys) or, in tests, live in memory (SoftwareKeys).
//
// Three rules are kept everywhere:
//   - The card proves its keys before the host spends one of the card's few
//     authentication attempts: EXTERNAL AUTHENTICATE is sent only after the card
//     cryptogram (and the pseudo-random card challenge, when the card makes one)
//     was verified.
//   - An answer shorter than a status word, a transport error, or a response
//     that does not verify is ErrOutcomeUnknown, never "failed": the card may
//     have done what it was told.
//   - No error and no String method carries a key, a cryptogram or command data.
package globalplatform

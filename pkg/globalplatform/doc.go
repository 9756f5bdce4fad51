// Package globalplatform is the host side of GlobalPlatform card management:
// the secure channel protocols SCP02 (GPC 2.3.1 appendix E: explicit initiation,
// 2-key triple DES, i=15, i=55 and their variants) and SCP03 (Amendment D 1.1.1:
// AES-128, AES-192 and AES-256 in S8 mode), and the commands a personalisation
// line needs (GPC 2.3.1 chapter 11): SELECT, GET DATA, GET STATUS, SET STATUS,
// PUT KEY, STORE DATA, INSTALL [for personalization].
//
// The package knows nothing of readers, of HSMs or of any application on the
// card. A card is reached through a Transmitter; static keys are reached
// through the Key interface, so that they can stay in a token
// (pkg/globalplatform/hsmkeys) or, in tests, live in memory (SoftwareKeys,
// SoftwareDESKeys).
//
// A session is opened for one protocol and one security level, and from then on
// looks the same for both protocols:
//
//	s, err := globalplatform.OpenSession(ctx, card, keys, globalplatform.OpenOptions{
//		Protocol: globalplatform.SCP03, KeyVersion: 0x30,
//		SecurityLevel: globalplatform.LevelFull, AID: aid,
//	})
//	defer s.Close()
//	err = s.StoreData(ctx, globalplatform.DGI{ID: 0x0101, Value: record})
//	check, err := s.PutKeys(ctx, 0x30, 0x31, newKeys)
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
//
// Not here: SCP03 S16 mode, SCP02 with implicit initiation or with the C-MAC on
// the unmodified APDU, BEGIN and END R-MAC SESSION, logical channels, extended
// length.
package globalplatform

// Package manifest makes and verifies the manifest of a KTP-el reader: the file that the
// registry hands over at activation and that is installed on the reader (features.md J09,
// J11, J13).
//
// A manifest is a payload in the format of a Driver, opaque to everything else, and beside
// it a detached JWS (RFC 7515 appendix F, ES256 of RFC 7518 section 3.4) whose header names
// the No. Manifest, the validity, the format, the key and the SHA-256 of the payload. A
// List, signed with the same key, names the manifests that are revoked or suspended. A
// delivery is one bundle (package sealed) with manifests, list and public keys.
//
// Everything is verified offline with the public key only, see Verifier. It needs nothing
// but the standard library and may be imported by other programs; README.md shows how.
package manifest

// Package sealed signs files so that anybody verifies them offline, with the public key
// only: tokens (JSON Web Signatures, RFC 7515, with ES256 of RFC 7518 section 3.4) and
// bundles (zip files in which every byte is covered by such a token).
//
// It needs nothing but the standard library and may be imported by other programs.
//
// # One reading
//
// A token or bundle has exactly one accepted form. Verification encodes what it has read
// again and compares all bytes, so that base64url with loose trailing bits, white space,
// another order of members, unknown or repeated members, a "crit" member (RFC 7515
// section 4.1.11, RFC 7797), another "alg", and the second signature that ECDSA has for
// every first one (s and n-s) are all refused, although they may be valid JWS. Whatever
// another library for JWS makes of an accepted token is the same: what is accepted here
// is plain RFC 7515.
//
// Keys are never taken from a token or bundle: "kid" is the thumbprint of the key
// (RFC 7638) and only says which of the reader's own keys to use. A key file may say that a
// key has ended, from when on it signs nothing, or was revoked: nothing it signed is
// accepted, since whoever has it chooses the time.
package sealed

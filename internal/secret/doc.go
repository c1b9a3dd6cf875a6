// Package secret owns credentials: their format, the ids that look them up, the
// hashes that are stored instead, passwords, and the types that keep all of
// these out of logs.
//
// It refuses, before any look-up, text that no server of this kind can have
// minted (length, prefix, kind, alphabet, checksum, id range). Only methods
// named Reveal return the text of a secret.
//
// It changes no state: other packages store, consume and end credentials. It
// imports no other package of this module.
package secret

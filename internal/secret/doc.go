// Package secret owns everything that is presented to prove something: the one
// credential format, the ids that look it up, the hashes that are stored in its
// place, passwords, and the types that keep all of these out of logs.
//
// It refuses, before any look-up, text that no server of this kind can have
// minted (length, prefix, kind, alphabet, checksum, id range), and it never
// hands out the text of a secret except through a method called Reveal.
//
// It moves no state: what it makes is stored, consumed and ended elsewhere. It
// is a leaf and imports nothing of the project.
package secret

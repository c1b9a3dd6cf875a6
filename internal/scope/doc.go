// Package scope defines scope sets, the catalogue of scopes, the roles of members
// and the matrix of their permissions (docs/scopes-file.md).
//
// It refuses a catalogue that has any fault, listing all of them, and scope strings
// that RFC 6749 §3.3 does not allow. Its errors never quote the input, so that they
// can be used as error_description.
//
// It has no state: sets and catalogues are immutable. It is a leaf and imports the
// standard library only.
package scope

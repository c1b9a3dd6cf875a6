// Package scope owns the words in which access is asked for and given: sets of
// scopes as OAuth writes them, the catalogue that says what each scope means to
// a person and to an API, the roles of members, and the matrix of permissions.
//
// It refuses a catalogue with any fault, naming all of them, and scope strings
// that RFC 6749 §3.3 does not allow. Its error texts never repeat what was sent,
// so that they may stand in an error_description.
//
// It moves no state: sets and catalogues do not change once made. It is a leaf
// and imports the standard library only.
package scope

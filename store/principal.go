package store

// Principal is the party that a rule or a write acts for. It is made once per request, command or background job, by
// the code that established who acts, and passed down from there. Its fields are closed: a package cannot change who
// acts, and the zero Principal, which no constructor was asked for, may do nothing.
type Principal struct {
	kind principalKind
	id   string // of the user or the client
	name string // of the operator
	ip   string // the client's address, if there is one
	form string
}

type principalKind int

const (
	noPrincipal principalKind = iota
	userPrincipal
	visitorPrincipal
	appPrincipal
	operatorPrincipal
	systemPrincipal
)

// UserPrincipal is a person who is logged in, or a bot that has proved its secret. An empty id gives the zero Principal.
func UserPrincipal(userID, ip string) Principal {
	if userID == "" {
		return Principal{}
	}
	return Principal{kind: userPrincipal, id: userID, ip: ip}
}

// VisitorPrincipal is a browser or a program that has not logged in: it can sign up, and present a refresh token. Audit
// events record it as a user without an id.
func VisitorPrincipal(ip string) Principal { return Principal{kind: visitorPrincipal, ip: ip} }

// AppPrincipal is an authenticated app or resource server. An empty client id gives the zero Principal.
func AppPrincipal(clientID, ip string) Principal {
	if clientID == "" {
		return Principal{}
	}
	return Principal{kind: appPrincipal, id: clientID, ip: ip}
}

// OperatorPrincipal is the operator of this server, who may do everything. The name is for logs and errors, such as
// "command line (root@host)"; an empty one gives the zero Principal.
func OperatorPrincipal(name string) Principal {
	if name == "" {
		return Principal{}
	}
	return Principal{kind: operatorPrincipal, name: name}
}

// SystemPrincipal is the server itself, in background work.
func SystemPrincipal() Principal { return Principal{kind: systemPrincipal} }

// WithForm returns p acting by a form with that key; an empty key is no form. The key is stored in the transaction of the
// write, and a second write by the same form fails with ErrConsumed. Only for methods that write one event.
func (p Principal) WithForm(key []byte) Principal {
	p.form = string(key)
	return p
}

// Form returns the key of the form, "" without one.
func (p Principal) Form() string { return p.form }

// IP returns the client's address, "" without one.
func (p Principal) IP() string { return p.ip }

// Permitted returns ErrNotPermitted for the zero Principal, and nil for any other.
func (p Principal) Permitted() error {
	if p.kind == noPrincipal {
		return ErrNotPermitted
	}
	return nil
}

// IsOperator reports whether p is the operator.
func (p Principal) IsOperator() bool { return p.kind == operatorPrincipal }

// UserID returns the id of the user that p is; "" for every other party, the operator included.
func (p Principal) UserID() string {
	if p.kind != userPrincipal {
		return ""
	}
	return p.id
}

// Actor returns p as an audit event records it. The operator's name is not part of it.
func (p Principal) Actor() Actor {
	return Actor{Kind: actorKinds[p.kind], ID: p.id, IP: p.ip}
}

var actorKinds = map[principalKind]ActorKind{
	userPrincipal: ActorUser, visitorPrincipal: ActorUser, appPrincipal: ActorApp, operatorPrincipal: ActorOperator, systemPrincipal: ActorSystem,
}

// String names p in errors and logs.
func (p Principal) String() string {
	switch p.kind {
	case userPrincipal:
		return "user " + p.id
	case visitorPrincipal:
		return "a visitor"
	case appPrincipal:
		return "client " + p.id
	case operatorPrincipal:
		return p.name
	case systemPrincipal:
		return "the server"
	}
	return "no principal"
}

// ActorKind is the kind of party that an audit event names.
type ActorKind string

// The kinds of parties.
const (
	ActorUser     ActorKind = "user"     // ID is the user id; "" before a log-in
	ActorApp      ActorKind = "app"      // an app or a resource server; ID is the client id
	ActorOperator ActorKind = "operator" // ID is empty
	ActorSystem   ActorKind = "system"   // the server itself; ID is empty
)

// Actor is the party that an audit event names. It is a record, and gives no right to act: that is a Principal.
type Actor struct {
	Kind ActorKind
	ID   string
	IP   string // the client's address, if there was one
}

package ratelimit

import (
	"cmp"
	"time"

	"xenoauth/store"
)

// Limits are the settings: how many failures, and how many costly successes, a caller may have before it must wait. The zero
// value of a field means its default. README.md states what each limits.
type Limits struct {
	LogIn   int // wrong passwords for one account, from one network or one known browser, in 15 minutes: 10
	Account int // wrong passwords for one account, from all networks, in 24 hours: 100
	IP      int // wrong passwords, and as many failed sign-ups, from one network in 15 minutes: 100
	SignUps int // sign-ups from one network in 24 hours: 1000
	Client  int // unknown clients, secrets, codes and refresh tokens from one network in a minute: 300
	Changes int // changes that one user makes on pages in an hour: 600
}

func (l Limits) orDefault() Limits {
	return Limits{
		LogIn: cmp.Or(l.LogIn, 10), Account: cmp.Or(l.Account, 100), IP: cmp.Or(l.IP, 100),
		SignUps: cmp.Or(l.SignUps, 1000), Client: cmp.Or(l.Client, 300), Changes: cmp.Or(l.Changes, 600),
	}
}

// name names a limit: in README.md and, if the database counts, in the keys of its rows. A name never changes: replicas of two
// versions count together while one replaces the other.
type name string

const (
	logInPair       name = "pair"
	logInBrowser    name = "device"
	passwordPair    name = "password"
	passwordBrowser name = "device-password"
	account         name = "account"
	network         name = "ip"
	signUpFailures  name = "signup"
	signUps         name = "signups"

	refusedNetwork name = "refused"
	refusedKey     name = "refused-key"
	pageChanges    name = "changes"
	codes          name = "codes"
	programLogIns  name = "program-logins"
)

// programChanges is how many log-ins of a user's programs count as one change. Each leaves rows and an audit event as well,
// but some programs log in for each task.
const programChanges = 10

// rule is how one limit counts.
type rule struct {
	limit  func(Limits) int
	window time.Duration
	memory bool // each replica counts for itself
	resets bool // a success resets the count
	keeps  bool // a success counts as well
}

// rules are all limits on counts. A limit that is not here does not exist: it would refuse everything.
var rules = map[name]rule{
	logInPair:       {limit: func(l Limits) int { return l.LogIn }, window: 15 * time.Minute, resets: true},
	logInBrowser:    {limit: func(l Limits) int { return l.LogIn }, window: 15 * time.Minute, resets: true},
	passwordPair:    {limit: func(l Limits) int { return l.LogIn }, window: 15 * time.Minute, resets: true},
	passwordBrowser: {limit: func(l Limits) int { return l.LogIn }, window: 15 * time.Minute, resets: true},
	// A success does not reset it: each log-in of the owner would give an attacker with many addresses as many guesses again.
	account:        {limit: func(l Limits) int { return l.Account }, window: 24 * time.Hour},
	network:        {limit: func(l Limits) int { return l.IP }, window: 15 * time.Minute},
	signUpFailures: {limit: func(l Limits) int { return l.IP }, window: 15 * time.Minute},
	signUps:        {limit: func(l Limits) int { return l.SignUps }, window: 24 * time.Hour, keeps: true},

	refusedNetwork: {limit: func(l Limits) int { return l.Client }, window: time.Minute, memory: true},
	refusedKey:     {limit: func(l Limits) int { return l.Client }, window: time.Minute, memory: true},
	pageChanges:    {limit: func(l Limits) int { return l.Changes }, window: time.Hour, memory: true},
	codes:          {limit: func(l Limits) int { return l.Changes }, window: time.Hour, memory: true},
	programLogIns:  {limit: func(l Limits) int { return programChanges * l.Changes }, window: time.Hour, memory: true},
}

// row is a limit in the database for one value. A network makes it a limit for the value from that network.
func (l *Limiter) row(n name, value string, from ...string) store.Limit {
	r := rules[n]
	key := string(n) + ":" + l.mark(n, value)
	for _, other := range from {
		key += ":" + l.mark(network, other)
	}
	return store.Limit{Key: key, Max: r.limit(l.limits), Window: r.window, Resets: r.resets, Keeps: r.keeps}
}

// tally counts a limit in memory.
func (l Limits) tally(n name) *tallies { return newTallies(rules[n].limit(l), rules[n].window) }

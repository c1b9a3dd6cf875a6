package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

const intoEvents = `INSERT INTO audit_events (id, at, kind, actor_kind, actor_id, actor_ip, account_id, app_id, installation_id, subject, detail)
`

var insertEvent = named(intoEvents + `VALUES (@event_id, @event_at, @kind, @actor_kind, @actor, @ip, @account, @app, @installation, @subject, @detail)`)

// recordGate records an event as a step of an operation. account and app are expressions, which can name columns of the gate;
// the rest of the event is given by runAs.
func recordGate(account, app string) string {
	return intoEvents + `SELECT @event_id, @event_at, @kind, @actor_kind, @actor, @ip, ` + account + `, ` + app + `, @installation, @subject, @detail FROM gate`
}

// storeForm stores the form by which a Principal acts as a step of an operation. A form that was stored before is a duplicate
// key, which rolls the whole operation back.
const storeForm = `INSERT INTO page_values (id, subject, sealed, created_at, expires_at)
SELECT @form, @form_subject, NULL, @event_at, @form_expires FROM gate WHERE @by_form = 1`

// runAs runs an operation on behalf of by; its steps record e, or parts of it. ErrConsumed: the form of by was used before.
func (s *Store) runAs(ctx context.Context, by store.Principal, o *operation, e store.Event, values args) (done bool, err error) {
	if err := by.Permitted(); err != nil {
		return false, err
	}
	done, err = o.run(ctx, s, append(s.event(by, e), values...))
	if repeatsForm(err) {
		return false, store.ErrConsumed
	}
	return done, err
}

// runAsIn is runAs in a transaction that has begun.
func (s *Store) runAsIn(ctx context.Context, q querier, by store.Principal, o *operation, e store.Event, values args) (done bool, err error) {
	done, err = o.runIn(ctx, s, q, append(s.event(by, e), values...))
	if repeatsForm(err) {
		return false, store.ErrConsumed
	}
	return done, err
}

// managedBy is the condition that a Principal manages an account: it is the operator, or a user who is an admin there. The
// account is an expression; the parameters are those of manager.
func managedBy(account string) string {
	return `(@operator = 1 OR EXISTS (SELECT 1 FROM members m JOIN accounts x ON x.id = m.account_id AND x.deleted_at IS NULL
	WHERE m.account_id = ` + account + ` AND m.user_id = @manager AND m.role = 'admin'))`
}

// manager returns the parameters of managedBy.
func manager(by store.Principal) args {
	operator, userID := operatorOrUser(by)
	return args{{"operator", operator}, {"manager", userID}}
}

// recordOnce records an event unless the form was stored before.
var recordOnce = named(`WITH form AS (
	INSERT INTO page_values (id, subject, sealed, created_at, expires_at)
	VALUES (@form, @form_subject, NULL, @event_at, @form_expires) ON CONFLICT (id) DO NOTHING RETURNING id)
` + intoEvents + `SELECT @event_id, @event_at, @kind, @actor_kind, @actor, @ip, @account, @app, @installation, @subject, @detail FROM form`)

// transactAs runs fn in a transaction on behalf of by, and refuses the zero Principal before it asks the database.
func (s *Store) transactAs(ctx context.Context, by store.Principal, fn func(context.Context, querier) error) error {
	if err := by.Permitted(); err != nil {
		return err
	}
	return s.db.transact(ctx, fn)
}

// record writes an audit event in the transaction of the change that it records.
func (s *Store) record(ctx context.Context, q querier, by store.Principal, e store.Event) error {
	if err := by.Permitted(); err != nil {
		return fmt.Errorf("record %s: %w", e.Kind, err)
	}
	if by.Form() != "" && s.dialect.consuming {
		n, err := recordOnce.exec(ctx, q, s.event(by, e))
		if err == nil && n == 0 {
			err = store.ErrConsumed
		}
		return err
	}
	if _, err := insertEvent.exec(ctx, q, s.event(by, e)); err != nil {
		return fmt.Errorf("record %s by %s: %w", e.Kind, by, err)
	}
	if by.Form() == "" {
		return nil
	}
	return s.keepForm(ctx, q, by, e)
}

// queueEvent is record as a part of a batch.
func (s *Store) queueEvent(b *batch, by store.Principal, e store.Event) {
	insertEvent.queue(b, s.event(by, e))
	if by.Form() != "" {
		s.queueForm(b, by, e)
	}
}

func (s *Store) event(by store.Principal, e store.Event) args {
	id, actor, now := secret.NewID(), by.Actor(), s.Now()
	return args{
		{"event_id", id[:]}, {"event_at", at(now)}, {"kind", e.Kind}, {"actor_kind", string(actor.Kind)}, {"actor", actor.ID}, {"ip", actor.IP},
		{"account", e.AccountID}, {"app", e.AppID}, {"installation", e.InstallationID}, {"subject", e.Subject}, {"detail", e.Detail},
		{"form", []byte(by.Form())}, {"form_subject", cmp.Or(e.AppID, e.Subject)}, {"form_expires", at(now.Add(store.FormKept))},
		{"by_form", flag(by.Form() != "")},
	}
}

// selectEvents is completed by the conditions that a filter has.
const selectEvents = `SELECT id, at, kind, actor_kind, actor_id, actor_ip, account_id, app_id, installation_id, subject, detail
FROM audit_events WHERE `

// The account's and the app's conditions have an index each. A kind alone is looked for along the index on time, which
// costs more the rarer the kind is.
const (
	eventsOfAccount = selectEvents + `account_id = $1 AND account_id <> '' AND ($2 = '' OR app_id = $2) AND ($3 = '' OR kind = $3) ORDER BY at DESC, id DESC LIMIT $4`
	eventsOfApp     = selectEvents + `app_id = $1 AND app_id <> '' AND ($2 = '' OR kind = $2) ORDER BY at DESC, id DESC LIMIT $3`
	eventsOfAll     = selectEvents + `($1 = '' OR kind = $1) ORDER BY at DESC, id DESC LIMIT $2`
)

func readEvent(scan scanner) (e store.Event, err error) {
	var actor string
	err = scan(scanID(&e.ID), scanTime(&e.At), &e.Kind, &actor, &e.By.ID, &e.By.IP, &e.AccountID, &e.AppID, &e.InstallationID,
		&e.Subject, &e.Detail)
	e.By.Kind = store.ActorKind(actor)
	return e, err
}

// Events implements store.Audit.
func (s *Store) Events(ctx context.Context, f store.EventFilter) (list []store.Event, err error) {
	defer wrapErr(&err, "list events")
	n := limit(f.Limit)
	switch {
	case f.AccountID != "":
		return collect(ctx, s.read(), readEvent, eventsOfAccount, f.AccountID, f.AppID, f.Kind, n)
	case f.AppID != "":
		return collect(ctx, s.read(), readEvent, eventsOfApp, f.AppID, f.Kind, n)
	}
	return collect(ctx, s.read(), readEvent, eventsOfAll, f.Kind, n)
}

// operatorOrUser returns the two parameters of a condition that lets the operator and some users pass: 1 for the operator,
// and the user's id, which is NULL for every other party and so equal to no column.
func operatorOrUser(by store.Principal) (operator int64, userID any) {
	if id := by.UserID(); id != "" {
		userID = id
	}
	return flag(by.IsOperator()), userID
}

// notFound reports whether a statement returned no row.
func notFound(err error) bool { return errors.Is(err, sql.ErrNoRows) }

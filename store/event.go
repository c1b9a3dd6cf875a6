package store

// The kinds of audit events. Each is written in the transaction of the change that it records.
const (
	EventUserCreated      = "user.created"
	EventUserRenamed      = "user.renamed"
	EventUserDisabled     = "user.disabled"
	EventUserEnabled      = "user.enabled"
	EventUserDeleted      = "user.deleted"
	EventEmailChanged     = "user.email_changed"
	EventEmailVerified    = "user.email_verified"
	EventCredentialsEnded = "user.credentials_ended" // everything that the password could have opened
	EventUserUnlocked     = "user.unlocked"          // the counts of wrong passwords were reset
	EventPasswordChanged  = "password.changed"

	EventAccountDisabled = "account.disabled"
	EventAccountEnabled  = "account.enabled"
	EventPlanChanged     = "plan.changed"
	EventMemberAdded     = "member.added"
	EventMemberChanged   = "member.changed" // another role
	EventMemberRemoved   = "member.removed"

	EventAppCreated    = "app.created"
	EventAppUpdated    = "app.updated"
	EventAppSuspended  = "app.suspended"
	EventAppResumed    = "app.resumed"
	EventAppVerified   = "app.verified"
	EventAppUnverified = "app.unverified"
	EventAppDeleted    = "app.deleted"
	EventSecretCreated = "secret.created"
	EventSecretRevoked = "secret.revoked"

	EventKeyCreated = "key.created" // its credentials are recorded as secret.created and secret.revoked
	EventKeyRevoked = "key.revoked"
	EventBotCreated = "bot.created"
	EventBotRemoved = "bot.removed"

	EventCatalogueChanged = "catalogue.changed" // of scopes, by a start of the server

	EventResourceCreated = "resource.created"
	EventResourceRemoved = "resource.removed"

	EventInstallationCreated  = "installation.created"
	EventInstallationApproved = "installation.approved" // another consent to a live installation
	EventInstallationRemoved  = "installation.removed"
	EventRequestDenied        = "request.denied"

	EventTokenIssued  = "token.issued" // a code was redeemed
	EventTokenRevoked = "token.revoked"
	EventCodeReplayed = "code.replayed" // and the tokens that it had produced were revoked
	EventFamilyEnded  = "family.ended"

	EventUserTokenIssued   = "user_token.issued"   // a log-in by a program
	EventUserTokenEnded    = "user_token.ended"    // a whole family
	EventSigningKeyCreated = "signing_key.created" // and the one before it will retire

	EventDatabaseAccepted = "database.accepted" // it seemed to be restored, and serve ran with --accept-restored-database

	EventSessionCreated = "session.created" // a log-in
	EventSessionEnded   = "session.ended"   // a log-out
	EventLogInsEnded    = "log_ins.ended"   // all sessions but one, and all user tokens
)

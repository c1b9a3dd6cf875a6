package store

// The kinds of audit events. Each is written in the transaction of what it records.
const (
	EventUserCreated     = "user.created"
	EventUserRenamed     = "user.renamed"
	EventUserDisabled    = "user.disabled"
	EventUserEnabled     = "user.enabled"
	EventUserDeleted     = "user.deleted"
	EventPasswordChanged = "password.changed"

	EventPlanChanged   = "plan.changed"
	EventMemberAdded   = "member.added"
	EventMemberChanged = "member.changed" // another role
	EventMemberRemoved = "member.removed"

	EventAppCreated    = "app.created"
	EventAppUpdated    = "app.updated"
	EventAppSuspended  = "app.suspended"
	EventAppResumed    = "app.resumed"
	EventAppVerified   = "app.verified"
	EventAppUnverified = "app.unverified"
	EventAppDeleted    = "app.deleted"
	EventSecretCreated = "secret.created"
	EventSecretRevoked = "secret.revoked"

	EventResourceCreated = "resource.created"
	EventResourceRemoved = "resource.removed"

	EventInstallationCreated  = "installation.created"
	EventInstallationApproved = "installation.approved" // another consent to a live installation
	EventInstallationRemoved  = "installation.removed"
	EventRequestDenied        = "request.denied"

	EventTokenIssued  = "token.issued" // a code was redeemed
	EventTokenRevoked = "token.revoked"
	EventCodeReplayed = "code.replayed" // and what it had produced was ended
	EventFamilyEnded  = "family.ended"

	EventSessionCreated = "session.created" // a log-in
	EventSessionEnded   = "session.ended"   // a log-out
)

package sqlstore

import (
	"context"
	"fmt"
	"time"
)

// Classify is classify for tests.
var Classify = classify

// SetBack sets the store's clock back by d, to the time that a process has which was suspended after reading the clock.
func (s *Store) SetBack(d time.Duration) {
	a := *s.clock.anchor.Load()
	a.answer = a.answer.Add(-d)
	s.clock.anchor.Store(&a)
}

// Transact runs fn in a transaction.
func (s *Store) Transact(ctx context.Context, fn func() error) error {
	return s.db.transact(ctx, func(context.Context, querier) error { return fn() })
}

// PanicAfter panics in a transaction that has run a statement.
func (s *Store) PanicAfter(ctx context.Context, statement string) error {
	return s.db.transact(ctx, func(ctx context.Context, q querier) error {
		if _, err := q.exec(ctx, statement); err != nil {
			return err
		}
		panic("at the disco")
	})
}

// Batch is batch for tests.
type Batch batch

// Exec adds a statement; the function it returns is the number of rows that it changed.
func (b *Batch) Exec(sql string, args ...any) func() int64 {
	q := (*batch)(b).exec(sql, args...)
	return func() int64 { return q.changed }
}

// ExecOrElse adds a statement that must change a row.
func (b *Batch) ExecOrElse(err error, sql string, args ...any) {
	(*batch)(b).exec(sql, args...).orElse(err)
}

// Count runs a statement that returns a number.
func (s *Store) Count(ctx context.Context, sql string) (n int, err error) {
	err = s.db.row(ctx, sql, nil, &n)
	return n, err
}

// Send runs a batch outside a transaction.
func (s *Store) Send(ctx context.Context, b Batch) error { return s.db.send(ctx, batch(b)) }

// SendInTransaction runs a batch inside one.
func (s *Store) SendInTransaction(ctx context.Context, b Batch) error {
	return s.db.transact(ctx, func(ctx context.Context, q querier) error { return q.send(ctx, batch(b)) })
}

// Statements are all statements by name, so that their plans can be tested.
var Statements = map[string]string{
	"selectUser": selectUser, "selectUserByEmail": selectUserByEmail, "selectUsers": selectUsers,
	"updatePassword": updatePassword, "endUserCodes": endUserCodes, "deleteSessions": deleteSessions, "updateHash": updateHash,
	"updateUserName": updateUserName, "disableUser": disableUser, "enableUser": enableUser, "markUserDeleted": markUserDeleted,
	"deleteMemberships": deleteMemberships, "removeUserInstallations": removeUserInstallations,

	"selectAccount": selectAccount, "selectAccounts": selectAccounts, "disableAccount": disableAccount, "enableAccount": enableAccount, "updatePlan": updatePlan,
	"selectMembersByAccount": selectMembersByAccount, "selectMembersByUser": selectMembersByUser, "joinAccount": joinAccount,
	"updateRole": updateRole, "deleteMember": deleteMember,

	"selectApp": selectApp, "selectAppsByUser": selectAppsByUser, "selectAppsPage": selectAppsPage,
	"suspendApp": suspendApp, "resumeApp": resumeApp,
	"verifyApp": verifyApp, "endVerification": endVerification, "selectAppVersion": selectAppVersion, "selectVerifiedNames": selectVerifiedNames, "selectAccountOfApp": selectAccountOfApp,
	"countInstalled": countInstalled, "countInstalledApps": countInstalledApps, "selectSecrets": selectSecrets,
	"selectResource": selectResource,
	"removeResource": removeResource,

	"selectRequest": selectRequest, "decideRequest": decideRequest, "selectInstallable": selectInstallable,
	"selectLive": selectLive, "updateApproved": updateApproved, "selectConsentAccounts": selectConsentAccounts,
	"selectInstalledApps": selectInstalledApps,

	"insertCode": insertCode.sql, "selectCode": selectCode, "countTry": countTry,
	"revokeSurplusFirst": revokeSurplusFirst.sql, "recordSurplusFirst": recordSurplusFirst.sql, "selectConsumed": selectConsumed, "revokeCodeToken": revokeCodeToken,
	"endCodeFamily": endCodeFamily, "selectCodeOwner": selectCodeOwner, "insertClientToken": insertClientTokens.of(2),
	"revokeToken": revokeToken, "revokeExpiringToken": revokeExpiringToken, "selectToken": selectToken,
	"selectExpiringToken": selectExpiringToken, "selectRefresh": selectRefresh,
	"selectRotated": refreshRotation.selectRotated, "endFamily": endFamily,
	"selectFamily": selectFamily, "selectAccess": selectAccess, "selectExpiringAccess": selectExpiringAccess,
	"selectAppClient": selectAppClient, "selectResourceClient": selectResourceClient,

	"selectAPIKey": selectAPIKey.sql, "selectManagedApp": selectManagedApp.sql, "selectManagedBot": selectManagedBot.sql, "lockLiveAccount": lockLiveAccount.sql,
	"selectManagedAccount": selectManagedAccount.sql, "lockApp": appClient.lock.sql, "lockResource": resourceClient.lock.sql, "lockKey": keyClient.lock.sql,
	"lockBot": botClient.lock.sql, "selectAPIKeysByUser": selectAPIKeysByUser, "selectAPIKeysPage": selectAPIKeysPage,
	"countKeys":         countKeys,
	"selectKeyBySecret": selectKeyBySecret,
	"selectBot":         selectBot, "selectBotsByUser": selectBotsByUser,
	"selectBotsPage": selectBotsPage, "countBots": countBots,
	"selectBotBySecret": selectBotBySecret, "insertIntegrationToken": insertIntegrationToken.sql, "selectIntegration": selectIntegration,
	"revokeIntegration": revokeIntegration, "selectIntegrationKey": selectIntegrationKey,

	"insertSession": insertSession.sql, "recordReplaced": recordReplaced.sql, "deleteReplaced": deleteReplaced.sql, "selectOtherSession": selectOtherSession.sql, "selectSession": selectSession, "updateSession": updateSession, "deleteSessionOnly": deleteSessionOnly,
	"selectSessions": selectSessions, "selectKey": selectKey, "eventsOfAccount": eventsOfAccount, "eventsOfApp": eventsOfApp,
	"eventsOfAll": eventsOfAll,

	"selectUserFamilies": selectUserFamilies, "endUserFamilies": endUserFamilies, "endFamilyOfUser": endFamilyOfUser,
	"selectSecretsOfMany": selectSecretsOfMany, "selectSecret": selectSecret,
	"insertUserFamily": insertUserFamily.sql, "selectUserRefresh": selectUserRefresh,
	"selectUserRotated": userRotation.selectRotated, "endUserFamily": endUserFamily,
	"selectUserFamily": selectUserFamily, "retireSigningKey": retireSigningKey,

	"selectFailures": selectFailures.of(2), "upsertFailures": upsertFailures.of(1), "returnAttempts": returnAttempts.of(2),
}

// StatementsOfOperations are the statements of operations on SQLite.
func StatementsOfOperations() map[string]string {
	all := map[string]string{}
	for name, o := range map[string]operation{
		"redeemForToken": redeemForToken, "redeemForFamily": redeemForFamily,
		"rotate": refreshRotation.rotate, "replace": refreshRotation.replace,
		"rotateUser": userRotation.rotate, "replaceUser": userRotation.replace,
		"addSecret": addSecretOf, "revokeSecretOfApp": appClient.revoke, "revokeSecretOfResource": resourceClient.revoke, "revokeSecretOfKey": keyClient.revoke,
		"revokeSecretOfBot": botClient.revoke, "createApp": createApp, "updateApp": updateApp, "deleteApp": deleteApp, "createAPIKey": createAPIKey,
		"revokeAPIKey": revokeAPIKey, "createBot": createBot, "removeBot": removeBot, "createUser": createUser, "setPassword": setPassword,
		"removeInstallation": removeInstallation,
	} {
		all[name] = o.gate.sql
		for i, st := range o.follow {
			all[fmt.Sprintf("%s, step %d", name, i+1)] = st.sql
		}
	}
	return all
}

// SetQueryOnly makes SQLite refuse writes as it does for a file that it cannot write, or accept them again.
func (s *Store) SetQueryOnly(ctx context.Context, on bool) error {
	value := "OFF"
	if on {
		value = "ON"
	}
	_, err := s.db.(*sqliteDB).write.ExecContext(ctx, "PRAGMA query_only = "+value)
	return err
}

package sqlstore

// SweepStatements are the statements of a sweep on SQLite, by what each does.
func SweepStatements() map[string]string {
	all := map[string]string{}
	for _, t := range []familyTables{appFamilies, userFamilies} {
		all["end expired "+t.families] = sqlite.endExpiredFamilies(t)
	}
	for _, r := range expiryRules {
		all["delete "+r.table+" by "+r.ended] = sqlite.deleteExpired(r)
		if r.used {
			all["delete uses of "+r.table+" by "+r.ended] = sqlite.deleteUses(r)
		}
	}
	return all
}

// PostgresSweepStatements are those of Postgres.
func PostgresSweepStatements() map[string]string {
	all := map[string]string{}
	for _, t := range []familyTables{appFamilies, userFamilies} {
		all["end expired "+t.families] = postgres.endExpiredFamilies(t)
	}
	for _, r := range expiryRules {
		all["delete "+r.table+" by "+r.ended] = postgres.deleteExpired(r)
		if r.used {
			all["delete "+r.table+" and uses by "+r.ended] = postgres.deleteExpiredAndUses(r)
		}
	}
	return all
}

package sqlstore

// SweepStatements are the statements of a sweep on SQLite, by what they do.
func SweepStatements() map[string]string {
	all := map[string]string{}
	for _, k := range kinships {
		all["end expired "+k.families] = sqlite.endExpiredFamilies(k)
	}
	for _, m := range mortals {
		all["delete "+m.table+" by "+m.ended] = sqlite.deleteDead(m)
		if m.used {
			all["delete uses of "+m.table+" by "+m.ended] = sqlite.deleteUses(m)
		}
	}
	return all
}

// PostgresSweepStatements are those of Postgres.
func PostgresSweepStatements() map[string]string {
	all := map[string]string{}
	for _, k := range kinships {
		all["end expired "+k.families] = postgres.endExpiredFamilies(k)
	}
	for _, m := range mortals {
		all["delete "+m.table+" by "+m.ended] = postgres.deleteDead(m)
		if m.used {
			all["delete "+m.table+" and uses by "+m.ended] = postgres.deleteDeadAndUses(m)
		}
	}
	return all
}

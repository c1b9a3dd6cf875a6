package faults

import "time"

// Short are the nemeses of make test.
func Short(database string) []Nemesis {
	if database == "SQLite" {
		return []Nemesis{KillServer(1), StopServer(1)}
	}
	return []Nemesis{KillServer(1), KillPostgres(1), CutAnswers(1, 2), InsertFails("P0001"), StopServer(1)}
}

// Long are the nemeses of make faults.
func Long(database string) []Nemesis {
	if database == "SQLite" {
		return []Nemesis{KillServer(50), StopServer(5)}
	}
	return []Nemesis{
		KillServer(50),
		KillPostgres(5),
		RestartPostgres("fast", 3), RestartPostgres("immediate", 3),
		CutAnswers(5, 20),
		ExhaustPool(4, 8*time.Second),
		SlowLink("answers 150 ms late", 150*time.Millisecond, 0, false, 8*time.Second),
		SlowLink("answers 2 s late", 2*time.Second, 0, false, 10*time.Second),
		SlowLink("1 kB/s", 0, 1000, false, 10*time.Second),
		SlowLink("blackhole", 0, 0, true, 10*time.Second),
		LockTables("tokens", 10*time.Second),
		InsertFails("P0001", "53100"),
		AbortTransactions(),
		KillMigration(1),
		StopServer(5),
	}
}

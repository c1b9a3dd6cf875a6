package faults

import "time"

// Short are the faults that strike whenever the tests are run.
func Short(database string) []Fault {
	if database == "SQLite" {
		return []Fault{Kills(1), Stops(1)}
	}
	return []Fault{Kills(1), Crash(1), Cut(1, 2), InsertFails("P0001"), Stops(1)}
}

// Long are all faults.
func Long(database string) []Fault {
	if database == "SQLite" {
		return []Fault{Kills(50), Stops(5)}
	}
	return []Fault{
		Kills(50),
		Crash(5),
		Restart("fast", 3), Restart("immediate", 3),
		Cut(5, 20),
		Exhaust(4, 8*time.Second),
		Slow("answers 150 ms late", 150*time.Millisecond, 0, false, 8*time.Second),
		Slow("answers 2 s late", 2*time.Second, 0, false, 10*time.Second),
		Slow("1 kB/s", 0, 1000, false, 10*time.Second),
		Slow("blackhole", 0, 0, true, 10*time.Second),
		Locked("tokens", 10*time.Second),
		InsertFails("P0001", "53100"),
		Aborts(),
		Migrations(1),
		Stops(5),
	}
}

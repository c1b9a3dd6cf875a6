module example.com/api

go 1.25.0

require xenoauth/bearer v0.0.0

replace xenoauth/bearer => ../../../bearer

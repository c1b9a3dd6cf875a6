module xenoauth/bearer

go 1.25.0

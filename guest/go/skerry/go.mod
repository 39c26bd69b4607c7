module skerry

go 1.19

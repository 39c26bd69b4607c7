module program

go 1.19

require skerry v0.0.0

replace skerry => ./skerry

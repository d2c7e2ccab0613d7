module example.com/booking

go 1.26.0

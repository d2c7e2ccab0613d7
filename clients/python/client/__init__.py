"""A client of the call request gateway, to be taken into a program of your own."""

"""What the Makefile runs and the server does not need."""

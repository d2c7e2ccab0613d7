"""A game day: an installation under load, and a night of faults for an operator to find and to mend."""

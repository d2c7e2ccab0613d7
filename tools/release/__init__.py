"""A release: the files made of a commit, their bill of materials and provenance, their sums and signatures."""

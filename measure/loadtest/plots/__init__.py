"""The report's plots: each a function that gives one SVG for a width, to be read without any script."""

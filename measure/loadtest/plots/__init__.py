"""The report's plots: each a function that returns an SVG of a width, without scripts."""

"""Runs the commands in docs/examples.md and docs/tools.md, and writes what they print: python -m tools.examples.

A page is Markdown. Each `sh` block is run as it is pasted; the block after it, if it is `json` or `text`, is what it
prints. A block that ends in `make run` starts a gateway with the settings in front of it, for its section alone;
without settings it means the gateway that all other sections are run against. Free ports take the place of those on the
page.
"""

"""Writes the API reference, docs/reference, from the protos' comments and docs/examples.md: python -m tools.reference.

sabledocs (PyPI) reads the descriptor set with the comments in it. How the pages look is in templates/, since its own
load scripts from the network. It needs another protobuf than the gateway, so it has an environment of its own,
build/sabledocs, made of requirements.txt.
"""

"""Tries with the settings as they are what an operator would try one by one, and reports what does not work."""

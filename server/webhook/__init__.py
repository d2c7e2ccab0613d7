"""The other front door: the vendor's push over HTTP, when a call request was completed."""

"""Everything that knows the vendor: its HTTP, its JSON, its words. Nothing of it leaves this package."""

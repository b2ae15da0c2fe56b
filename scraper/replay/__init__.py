"""From the archive back to a person, a program or the extractor. Read-only, and never a byte to the network."""

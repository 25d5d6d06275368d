"""The promises, one topic in each file."""

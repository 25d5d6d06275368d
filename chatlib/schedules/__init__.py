"""Every order in which threads can take turns, line by line: what `chatlib.orders` runs."""

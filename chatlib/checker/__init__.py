"""Does a server keep its promises? The function is `chatlib.check`."""

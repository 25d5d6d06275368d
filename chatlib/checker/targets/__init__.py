"""How a server under check is started, watched and ended."""

"""Who is stuck because of whom: what a film says of that, and how sure it is."""

"""A room for a class: who may come in, what is said, who is here, and how a class votes."""

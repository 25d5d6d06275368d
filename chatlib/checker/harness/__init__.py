"""The test clients, and what they have in common."""

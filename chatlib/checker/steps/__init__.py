"""What the test clients do."""

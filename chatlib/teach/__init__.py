"""What a lesson asks of its reader."""

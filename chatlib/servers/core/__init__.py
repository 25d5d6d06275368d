"""The life that all servers share, and the helpers of those that serve many clients in one thread."""

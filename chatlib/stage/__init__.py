"""The playground without its buttons: two servers, the same clients at both, and who waits for whom."""

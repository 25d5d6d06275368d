"""From the record of a film to a picture, a page or a text: pure functions."""

"""Does a server keep its promises? The function is `chatlib.check`.

`cases` are the promises, as data; `steps` what the test clients do. `runner` decides what is tried, and how
often; `judge` judges one try.
"""

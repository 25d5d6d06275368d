"""The test clients, the server that they meet (`launcher`), and what a case does with both (`session`)."""

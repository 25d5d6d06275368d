"""The load generator: many clients in one process, which verify every byte."""

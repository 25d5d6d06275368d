"""The life that all servers share, and what each way to wait needs besides its page.

`server`: accept, wait, shut down. `session`: a client comes, is heard, leaves. Of the servers with threads:
`thread_flusher`; of those with one thread: `nonblocking`, `reactor`, `selector_client`, `asyncio_clients`; of
processes: `fork`.
"""

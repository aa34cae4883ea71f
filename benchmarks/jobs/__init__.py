"""The service, measured from outside: through its own client, over real HTTP, with real workers."""

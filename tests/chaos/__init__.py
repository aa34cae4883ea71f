"""A service under load, and a killer."""

"""Data sets: uploaded tables, how they are read and described, and how a table becomes a network's numbers."""

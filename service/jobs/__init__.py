"""Jobs: posted over HTTP, queued in the table, trained by workers, followed by events."""

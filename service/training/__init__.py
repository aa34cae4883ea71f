"""What a worker's child process does with an assignment: read, encode, train with `core`, write."""

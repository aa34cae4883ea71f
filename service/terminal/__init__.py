"""What people see in a terminal: the progress of a training, its loss curve, and lists."""

"""Training and predicting on this machine, without a service: the same code, on files instead of rows of tables."""

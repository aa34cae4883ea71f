"""The numbers of one pass forward and back through the network of a job, or through the example of the design."""

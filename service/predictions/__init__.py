"""Predicting whole data sets: jobs in the same queue as trainings, which write a file where those make a model."""

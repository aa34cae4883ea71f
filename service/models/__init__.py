"""Trained models: their cards, their weights, and what they predict."""

"""Training on tables, with privacy and without: ranges, linear models, boosting, and how well they predict."""

"""Tables: regression, classes and quantiles from rows of numbers and text."""

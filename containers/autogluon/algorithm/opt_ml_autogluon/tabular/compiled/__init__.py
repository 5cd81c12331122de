"""A fitted predictor as a program on arrays: no data frame between a request and its answer.

For a few rows, AutoGluon spends nearly all time on data frames: each feature generator and each model makes
several. The program does the same arithmetic with what they have learned: `features` makes a matrix of the
columns of requests, `boosted`, `estimators` and `network` predict from it, and `models` bags, stacks and
weights them. What it does not know is left to AutoGluon, one model at a time, and `proof` compares both
before the first request.
"""

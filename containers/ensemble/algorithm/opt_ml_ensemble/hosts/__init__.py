"""A job on several hosts: the leading one reads, trains and writes as one host would, and boosts with all.

    leader (train)  --- link.py --->  each other host (member.py)
       |  hands out rows and rounds      |
       v                                 v
    boosting process                  boosting process      (process.py; XGBoost's collective joins them)

- The leader has all rows: it reads its own files, and those that only another host has over the link, so that
  schema, folds and blend are those of one host (team.py).
- XGBoost's rounds run on every host, each with its share of the rows, in a process of its own: XGBoost ends a
  process whose peer is lost, and the one that answers for the job must live to say why (TRAIN-75).
- Whoever is lost, fails or is stopped is seen on the links by everybody, at any stage.
"""

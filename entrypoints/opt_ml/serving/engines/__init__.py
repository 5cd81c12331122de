"""Other servers over the same handlers, chosen by OPT_ML_SERVING_ENGINE."""

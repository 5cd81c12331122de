"""The ensemble image's built-in algorithm: CatBoost, XGBoost and scikit-learn on the same rows, blended."""

"""Time series: from the history of each series to forecasts of the next steps, with quantiles."""

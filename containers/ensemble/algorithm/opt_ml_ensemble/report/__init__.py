"""report.html: what the job learned, on one page that needs no network."""

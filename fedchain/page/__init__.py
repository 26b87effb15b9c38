"""The page: shows a run in a browser, live, saved or as one file."""

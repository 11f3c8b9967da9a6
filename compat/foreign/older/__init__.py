"""Programs for clients of other releases, each run by an interpreter that has that release."""

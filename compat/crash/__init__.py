"""kill -9 under load, again and again; then a count of what was acknowledged."""

"""Other people's test suites, and other clients and older releases of clients."""

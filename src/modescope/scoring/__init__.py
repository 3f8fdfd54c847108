"""Images that any generator made, measured as our own are."""
